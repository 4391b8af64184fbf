"""Checks at what no event tells: processes, what they need, the log's lag, disks, sums, counters.

Before it: the processes' health and metrics, the database, the file systems. After it: `judge`, by
what `core/probes` says that it means. A look that fails says nothing, and is logged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import grpc
import psycopg
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from services.alerts import store
from services.alerts.core import probes
from services.alerts.core.probes import Disk, Health
from services.alerts.core.rules import Rule
from services.alerts.core.signals import Signal, desired, group_of
from services.alerts.judge import Judge
from tradingtools import clock
from tradingtools.rpc import transport
from tradingtools.rpc.health import CONTRACT
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("alerts")
_ANSWER_SECONDS = 2.0
_SERVING = health_pb2.HealthCheckResponse.SERVING


class Checks:
    """Checks again and again.

    Args:
        judge: is called with what was found.
        pool: of the deciding database.
        http: for metrics.
        processes: whose health is asked, by name ``host:port``.
        metrics: whose metrics are looked at, by name ``host:port``.
        disks: directories.
    """

    def __init__(
        self,
        judge: Judge,
        pool: Pool,
        http: aiohttp.ClientSession,
        *,
        processes: Mapping[str, str],
        metrics: Mapping[str, str],
        disks: Sequence[str],
    ) -> None:
        self._judge = judge
        self._pool = pool
        self._http = http
        self._channels = {name: transport.channel(at) for name, at in processes.items()}
        self._processes = processes
        self._metrics = metrics
        self._disks = disks
        self._lag = _Lag()
        self._day = _Day()
        self._counters: dict[tuple[str, str], float] = {}

    async def run(self, pause_seconds: float) -> None:
        """Look for ever."""
        try:
            while True:
                await asyncio.sleep(pause_seconds)
                await self.poll()
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def poll(self) -> None:
        """Look at everything once."""
        await self._check_processes()
        await self._check_disks()
        try:
            await self._check_database()
        except psycopg.Error as error:
            # `dependency` tells of it, by the health of all that need it.
            _log.warning("not looked", at="database", error=str(error).strip()[:200])
        await self._check_counters()

    async def _check_processes(self) -> None:
        answers = await asyncio.gather(*(self._health(name) for name in self._processes))
        for rule in self._judge.rules.of_probe("process"):
            await self._judge.on_check(rule, probes.not_serving(answers))
        for rule in self._judge.rules.of_probe("dependency"):
            unreachable = probes.unreachable(rule, answers)
            await self._judge.on_check(rule, probes.away(rule, answers), unreachable=unreachable)

    async def _health(self, name: str) -> Health:
        # The package's types leave out the methods of its stub.
        stub: Any = health_pb2_grpc.HealthStub(self._channels[name])
        statuses: dict[str, bool] | None = None
        try:
            listed = await stub.List(CONTRACT.HealthListRequest(), timeout=_ANSWER_SECONDS)
            statuses = {what: answer.status == _SERVING for what, answer in listed.statuses.items()}
        except grpc.RpcError:
            pass  # it does not answer: that is what is reported
        return Health(process=name, target=self._processes[name], statuses=statuses)

    async def _check_disks(self) -> None:
        disks = []
        for path in self._disks:
            try:
                found = await asyncio.to_thread(os.statvfs, path)
            except OSError as error:
                _log.warning("not looked", at=path, error=error.strerror)
                continue
            size = found.f_blocks * found.f_frsize
            disks.append(Disk(path=path, free=found.f_bavail * found.f_frsize, size=size))
        for rule in self._judge.rules.of_probe("disk"):
            await self._judge.on_check(rule, probes.nearly_full(rule, disks))

    async def _check_database(self) -> None:
        for rule in self._judge.rules.of_probe("event_lag"):
            lag = self._lag.seen(*await store.log_position(self._pool))
            await self._judge.on_check(rule, probes.behind(rule, lag))
        for rule in self._judge.rules.of_probe("daily_loss"):
            day, micros = await self._day.realised(self._pool)
            await self._judge.on_check(rule, probes.lost_too_much(rule, day, micros))
        for rule in self._judge.rules.of_probe("bots"):
            unowned = await store.without_engine(self._pool)
            await self._judge.on_check(rule, probes.without_engine(unowned))

    async def _check_counters(self) -> None:
        rules = list(self._judge.rules.of_probe("counter"))
        if not rules:
            return
        for process, at in self._metrics.items():
            try:
                async with self._http.get(
                    f"http://{at}/metrics", timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
                ) as answer:
                    text = await answer.text()
            except (aiohttp.ClientError, TimeoutError):
                continue  # a process that is away is told by its health
            signals = [each for rule in rules for each in self._risen(rule, process, text)]
            if signals:
                await self._judge.on_rise(signals)

    def _risen(self, rule: Rule, process: str, text: str) -> Iterator[Signal]:
        """Return what has happened since the last look; what is seen first is where it begins."""
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name not in rule.counters:
                    continue
                labels = {k: v for k, v in sample.labels.items() if not k.startswith("otel_")}
                key = "/".join((process, sample.name, *labels.values()))
                before = self._counters.get((rule.name, key), sample.value)
                self._counters[rule.name, key] = sample.value
                # A process that was started afresh counts from 0.
                if sample.value > before or 0 < sample.value < before:
                    facts = {"process": process, "counter": sample.name, **labels}
                    if not desired(rule, facts):
                        continue
                    yield Signal(
                        rule=rule.name, key=key, at_ms=clock.now_ms(), started=True,
                        group=group_of(rule, facts), facts=facts,
                    )  # fmt: skip


class _Lag:
    """Since when the log has not moved although there was something to tell."""

    def __init__(self) -> None:
        self._position = -1
        self._since = 0.0

    def seen(self, position: int, newest: int) -> float:
        """Return for how many seconds by now."""
        if position >= newest or position != self._position:
            self._position, self._since = position, clock.monotonic()
        return clock.monotonic() - self._since


class _Day:
    """The result that all followers together have realised on this day (UTC)."""

    def __init__(self) -> None:
        self._day: datetime | None = None
        self._after = 0
        self._micros = 0

    async def realised(self, pool: Pool) -> tuple[str, int]:
        """Return the day and the sum; only new bookings are read."""
        now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        day = now - timedelta(
            hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond
        )
        if day != self._day:
            after = await store.before_day(pool, day)
            self._day, self._after, self._micros = day, after, 0
        micros, self._after = await store.realised(pool, self._after, day)
        self._micros += micros
        return day.strftime("%Y-%m-%d"), self._micros
