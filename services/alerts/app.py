"""Composition of the alerts: the log and the looks in, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from services.alerts import rules_file, store, targets
from services.alerts.checks import Checks
from services.alerts.core.rules import Rules, Target
from services.alerts.core.texts import Links
from services.alerts.delivery import Deliveries
from services.alerts.heartbeat import Heartbeat
from services.alerts.judge import Judge
from services.alerts.settings import Settings
from tradingtools.rpc import streams
from tradingtools.runtime import gc_policy
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

_log = structlog.get_logger("alerts")
_FILE_SECONDS = 2.0
Senders = Mapping[str, targets.Target]


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the alerts until ``stop``."""
    async with composed("alerts", settings) as parts:
        http = await parts.stack.enter_async_context(aiohttp.ClientSession())
        own = _Own(settings, http)
        try:
            rules, named, senders = own.read()
            processes = _addresses("TT_ALERTS_PROCESSES", settings.processes)
            metrics = _addresses("TT_ALERTS_METRICS", settings.metrics)
        except (rules_file.FileError, targets.TargetError) as error:
            raise Startup(str(error)) from None
        pool = await parts.pool(size=2, by_index=True)
        owned = await parts.lease(pool)
        cursor = await store.begin(pool)
        links = Links(console=settings.console_url.rstrip("/"), runbook=settings.runbook_url)
        judge = Judge(pool, owned, await store.open_alerts(pool), rules, named, links)
        deliveries = Deliveries(pool, judge.notified)
        deliveries.use(senders)
        events = rpc.EventServiceStub(parts.channel(settings.events_target))
        heartbeat = Heartbeat(settings.heartbeat_url, http)
        looks = Checks(
            judge, pool, http, processes=processes, metrics=metrics, disks=settings.disks
        )
        await parts.serve(settings.listen, [], lambda _: None)
        _log.info("rules", rules=len(rules.rules), targets=sorted(named))
        await parts.run(
            stop,
            gc_policy.keep_away(),
            _follow(events, judge, heartbeat, cursor),
            judge.run(),
            looks.run(settings.look_ms / 1000),
            deliveries.run(),
            heartbeat.run(settings.heartbeat_seconds),
            own.watch(judge, deliveries),
        )


async def _follow(stub: Any, judge: Judge, heartbeat: Heartbeat, cursor: str) -> None:
    """Read the log for ever, those types that some rule needs."""

    async def read(types: list[str]) -> None:
        nonlocal cursor
        event_filter = pb.EventFilter(types=types)

        def opened(after: str) -> Any:
            return stub.StreamEvents(pb.StreamEventsRequest(cursor=after, filter=event_filter))

        async for response in streams.read("events", opened, cursor):
            await judge.on_response(response)
            cursor = response.cursor
            heartbeat.beat()

    while True:
        judge.changed.clear()
        # Ends, and begins anew, when other rules count.
        await until_one_ends(_wait(judge.changed), read(judge.rules.types()))


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


class _Own:
    """The operator's file of rules, and what it makes."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._http = http
        self._path = Path(settings.file) if settings.file else None
        self._seen = self._stamp()

    def read(self) -> tuple[Rules, Mapping[str, Target], Senders]:
        """Return rules, targets and what sends to them, both by name.

        Raises:
            FileError, TargetError: something is wrong; the message is one line.
        """
        rules = rules_file.load(self._path)
        urls = rules_file.urls(rules, self._settings.targets)
        if not urls:
            urls = {"log": (Target(name="log", url=targets.LOG), targets.LOG)}
        senders = {name: targets.make(name, url, self._http) for name, (_, url) in urls.items()}
        return rules, {name: target for name, (target, _) in urls.items()}, senders

    async def watch(self, judge: Judge, deliveries: Deliveries) -> None:
        """Read the file again when it changes, for ever; a wrong one changes nothing."""
        while True:
            await asyncio.sleep(_FILE_SECONDS)
            stamp = self._stamp()
            if stamp == self._seen:
                continue
            self._seen = stamp
            try:
                rules, named, senders = self.read()
            except (rules_file.FileError, targets.TargetError) as error:
                _log.error("the rules are wrong; those of before count", error=str(error))
                continue
            await judge.use(rules, named)
            deliveries.use(senders)
            _log.info("rules read again", rules=len(rules.rules), targets=sorted(named))

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size) if found else None


def _addresses(setting: str, given: Sequence[str]) -> dict[str, str]:
    """Return ``name=host:port`` of a setting by name.

    Raises:
        Startup: one is malformed.
    """
    found = {}
    for entry in given:
        name, _, at = entry.partition("=")
        host, _, port = at.rpartition(":")
        if not name or not host or not port.isdecimal() or name in found:
            raise Startup(f"{setting}: {entry!r} is not name=host:port, each name once")
        found[name] = at
    return found
