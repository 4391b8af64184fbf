"""Lets events, looks and time move the alerts, and commits what follows, one step at a time.

Before it: the log's reader and `looks`. After it: `delivery`, which is woken when there is a
message. A step is committed before the next one begins, under the lease of the one who judges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.alerts import store
from services.alerts.core import texts
from services.alerts.core.grouping import Kind
from services.alerts.core.open_alerts import OpenAlerts
from services.alerts.core.probes import Holds, changes
from services.alerts.core.rules import Rule, Rules, Target, is_quiet
from services.alerts.core.signals import Event, Signal, of_event
from services.alerts.core.texts import Links, Message
from tradingtools import clock
from tradingtools.runtime import instruments
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("alerts")
_meter = metrics.get_meter("tradingtools.alerts")
_made = instruments.counter(
    "tradingtools.alerts", "alerts_messages", "messages, by kind", instruments.each(kind=Kind)
)
_TICK_SECONDS = 1.0
_STORE_EVERY_MS = 5_000
"""A cursor that only passes over what no rule wants is written this often."""
_LATE_MS = 5_000
"""Events that are older than this are caught up with: until then they tell what time it is."""
_SILENT_SECONDS = 10.0
"""A log that says nothing for so long is not caught up with: what was known last has to do."""


class Judge:
    """The one that judges.

    Args:
        pool: of the deciding database.
        lease: of the alerts.
        open_alerts: what stood when the process ended.
        rules: that count.
        targets: by name.
        links: where messages lead.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        open_alerts: OpenAlerts,
        rules: Rules,
        targets: Mapping[str, Target],
        links: Links,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._open_alerts = open_alerts
        self._links = links
        self._one_at_a_time = asyncio.Lock()
        self._retained_ms = 0
        self._late_ms: int | None = None
        self._last_event = 0.0
        self.rules = rules
        self.targets = targets
        self.notified = asyncio.Event()
        """Set when there is a message."""
        self.changed = asyncio.Event()
        """Set when other rules count."""
        _meter.create_observable_gauge(
            "alerts_firing", [self._observe], description="alerts that fire, by rule"
        )

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        firing = self._open_alerts.firing()
        return [Observation(firing.get(rule, 0), {"rule": rule}) for rule in self.rules.rules]

    async def use(self, rules: Rules, targets: Mapping[str, Target]) -> None:
        """Go by other rules and targets from now on."""
        async with self._one_at_a_time:
            self.rules, self.targets = rules, targets
        self.changed.set()

    async def on_response(self, response: Any) -> bool:
        """Take events from the log; returns whether there were any."""
        events = [
            Event(type=e.type, subject=e.subject, at_ms=e.time.ToMilliseconds(), data=e.data)
            for e in response.events
        ]
        async with self._one_at_a_time:
            now_ms = clock.now_ms()
            newest_ms = max((event.at_ms for event in events), default=now_ms)
            # While it is caught up with, a breaker that was closed since does not count as open.
            self._late_ms = newest_ms if newest_ms < now_ms - _LATE_MS else None
            self._last_event = clock.monotonic()
            rules = self.rules.rules.values()
            signals = [signal for event in events for signal in of_event(event, rules)]
            if signals or now_ms >= self._retained_ms + _STORE_EVERY_MS:
                await self._step(signals, cursor=response.cursor)
                self._retained_ms = now_ms
        return bool(events)

    async def on_check(
        self, rule: Rule, holds: Holds, *, unreachable: frozenset[str] = frozenset()
    ) -> None:
        """Take what a look has found; what could not be asked for stays as it is."""
        async with self._one_at_a_time:
            known = [key for key in self._open_alerts.known(rule.name) if key not in unreachable]
            if holds or known:
                await self._step(list(changes(rule, holds, known, clock.now_ms())))

    async def on_rise(self, signals: Iterable[Signal]) -> None:
        """Take what has happened once more."""
        async with self._one_at_a_time:
            await self._step(list(signals))

    async def run(self) -> None:
        """Let time pass, for ever."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            async with self._one_at_a_time:
                await self._step([])

    async def _step(self, signals: list[Signal], cursor: str = "") -> None:
        rules = self.rules
        self._open_alerts.take(signals, rules)
        notified = self._open_alerts.tick(rules, self._now_ms(), self._is_quiet(), texts.message_id)
        messages = [(one, self._targets_of(one)) for one in (
            texts.message(each, self._links) for each in notified
        )]  # fmt: skip
        alerts, groups = self._open_alerts.touched()
        if not (alerts or groups or messages or cursor):
            return
        made = store.Changes(alerts=alerts, groups=groups, messages=messages, cursor=cursor)
        await while_database_is_away(partial(store.commit, self._pool, self._lease, made))
        for message, _ in messages:
            _made.add(1, {"kind": message.kind})
        if messages:
            self.notified.set()

    def _targets_of(self, message: Message) -> list[str]:
        return [
            name
            for name, target in self.targets.items()
            if message.severity in target.severities
            and (not message.targets or name in message.targets)
        ]

    def _now_ms(self) -> int:
        """Return the time; while old events are caught up with, theirs."""
        silent = clock.monotonic() > self._last_event + _SILENT_SECONDS
        return clock.now_ms() if self._late_ms is None or silent else self._late_ms

    def _is_quiet(self) -> bool:
        quiet = self.rules.quiet_hours
        if quiet is None:
            return False
        now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        return is_quiet(quiet, now.astimezone(ZoneInfo(quiet.zone)).time())
