"""The alerts that stand and their groups: signals and time go in, messages come out.

Pure: no clock and no I/O; what it did since :meth:`OpenAlerts.touched` was asked last is what the
store writes, in one transaction with the cursor. Before it: `signals` and `probes`. After it:
`judge`, which commits, and `delivery`, which sends.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, structs

from services.alerts.core.grouping import Counts, Kind, due, forgettable
from services.alerts.core.rules import Rule, Rules
from services.alerts.core.signals import Facts, Signal
from services.alerts.core.states import State, Step, after

Key = tuple[str, str]
"""A rule's name, and an alert's or a group's key."""


class Alert(Struct, frozen=True, kw_only=True):
    """One thing that a rule watches, and where it stands. Times are milliseconds."""

    rule: str
    key: str
    group: str
    state: State
    since_ms: int
    """When it began."""
    last_ms: int
    """When it was last seen to begin."""
    facts: Facts


class Group(Struct, frozen=True, kw_only=True):
    """Alerts of a rule that share their messages."""

    rule: str
    key: str
    counts: Counts = Counts()
    since_ms: int = 0
    """When the first of its alerts began."""
    total: int = 0
    """Alerts that have fired since the group began."""
    thread: str = ""
    """The id of the message that opened it."""


class Notice(Struct, frozen=True, kw_only=True):
    """A group that is to be notified now: what its message is made of."""

    kind: Kind
    rule: Rule
    group: Group
    """As it was before."""
    alerts: tuple[Facts, ...]
    """Of those that it is about: that fire, or that are over."""
    at_ms: int


class OpenAlerts:
    """All alerts and groups.

    Args:
        alerts: that stood when the process ended.
        groups: of them.
    """

    def __init__(self, alerts: Iterable[Alert] = (), groups: Iterable[Group] = ()) -> None:
        self._alerts: dict[Key, Alert] = {}
        self._groups = {(one.rule, one.key): one for one in groups}
        self._members: dict[Key, dict[str, None]] = {}
        self._times: list[tuple[int, Key]] = []
        self._touched_alerts: dict[Key, None] = {}
        self._touched_groups: dict[Key, None] = {}
        self._scheduled: set[Key] = set()
        for alert in alerts:
            self._put((alert.rule, alert.key), alert)
        # Times are made by rules, which may be others by now: all are looked at once.
        for key in self._alerts:
            self._schedule(key, 0)
        self._touched_alerts.clear()

    def known(self, rule: str) -> list[str]:
        """Return the keys of a rule's alerts that have begun and not ended."""
        return [
            key
            for (name, key), alert in self._alerts.items()
            if name == rule and alert.state is not State.RESOLVED
        ]

    def firing(self) -> Mapping[str, int]:
        """Return how many alerts fire, by rule."""
        counts: dict[str, int] = {}
        for group in self._groups.values():
            counts[group.rule] = counts.get(group.rule, 0) + group.counts.firing
        return counts

    def take(self, signals: Iterable[Signal], rules: Rules) -> None:
        """Let signals move alerts."""
        for signal in signals:
            rule = rules.rules.get(signal.rule)
            if rule is not None:
                self._take(signal, rule)

    def _take(self, signal: Signal, rule: Rule) -> None:
        key = (signal.rule, signal.key)
        alert = self._alerts.get(key)
        step = Step.STARTED if signal.started else Step.ENDED
        state = after(alert.state if alert else None, step)
        if state is None:
            self._drop(key)
        elif alert is None or (alert.state is State.RESOLVED and signal.started):
            self._begin(key, signal, rule)
        elif not signal.started:
            self._move(key, alert, state)
        elif _ends_by_itself(rule):
            self._put(key, structs.replace(alert, last_ms=max(alert.last_ms, signal.at_ms)))

    def _begin(self, key: Key, signal: Signal, rule: Rule) -> None:
        self._drop(key)
        self._put(
            key,
            Alert(
                rule=signal.rule, key=signal.key, group=signal.group, state=State.PENDING,
                since_ms=signal.at_ms, last_ms=signal.at_ms, facts=signal.facts,
            ),
        )  # fmt: skip
        self._schedule(key, signal.at_ms + rule.for_seconds * 1000)

    def tick(
        self, rules: Rules, now_ms: int, quiet: bool, name: Callable[[Notice], str]
    ) -> list[Notice]:
        """Let time pass; return what is to be notified, which counts as notified from now on.

        Args:
            rules: that count.
            now_ms: the time.
            quiet: only what is critical is notified.
            name: gives the id of a message that opens a group.
        """
        self._forget_other_rules(rules)
        self._let_pass(rules, now_ms)
        notices: list[Notice] = []
        for key in list(self._groups):
            rule, group = rules.rules[key[0]], self._groups[key]
            held_back = quiet and rule.severity != "critical"
            kind = due(group.counts, rules.grouping, now_ms, quiet=held_back)
            if kind is not None:
                one = Notice(
                    kind=kind, rule=rule, group=group, alerts=self._facts(key, kind), at_ms=now_ms
                )
                notices.append(one)
                self._close(key, one, name(one))
            elif forgettable(group.counts, rules.grouping, now_ms):
                self._forget(key)
        return notices

    def touched(self) -> tuple[dict[Key, Alert | None], dict[Key, Group | None]]:
        """Return what has changed since this was asked last; None: it is gone."""
        alerts = {key: self._alerts.get(key) for key in self._touched_alerts}
        groups = {key: self._groups.get(key) for key in self._touched_groups}
        self._touched_alerts.clear()
        self._touched_groups.clear()
        return alerts, groups

    def _let_pass(self, rules: Rules, now_ms: int) -> None:
        while self._times and self._times[0][0] <= now_ms:
            _, key = heapq.heappop(self._times)
            self._scheduled.discard(key)
            alert = self._alerts.get(key)
            if alert is None:
                continue
            rule = rules.rules[alert.rule]
            if alert.state is State.PENDING:
                held_at = alert.since_ms + rule.for_seconds * 1000
                if now_ms < held_at:
                    self._schedule(key, held_at)
                    continue
                alert = self._move(key, alert, after(alert.state, Step.HELD))
            if alert is not None and alert.state is State.FIRING and _ends_by_itself(rule):
                ends_at = alert.last_ms + rule.ends_after_seconds * 1000
                if now_ms < ends_at:
                    self._schedule(key, ends_at)
                else:
                    self._move(key, alert, after(alert.state, Step.ENDED))

    def _move(self, key: Key, alert: Alert, state: State | None) -> Alert | None:
        """Give an alert a state, and count it in its group."""
        if state is alert.state:
            return alert
        if state is None:
            self._drop(key)
            return None
        moved = structs.replace(alert, state=state)
        self._put(key, moved)
        at = (alert.rule, alert.group)
        group = self._groups.get(at) or Group(rule=alert.rule, key=alert.group)
        counts = group.counts
        if state is State.FIRING:
            fresh = counts.firing == 0 and counts.pending == 0 and not counts.open
            group = structs.replace(
                group,
                total=1 if fresh else group.total + 1,
                since_ms=alert.since_ms if fresh else group.since_ms,
                counts=structs.replace(
                    counts,
                    firing=counts.firing + 1,
                    pending=counts.pending + 1,
                    pending_since_ms=counts.pending_since_ms if counts.pending else alert.last_ms,
                ),
            )
        else:
            group = structs.replace(group, counts=structs.replace(counts, firing=counts.firing - 1))
        self._put_group(at, group)
        return moved

    def _facts(self, at: Key, kind: Kind) -> tuple[Facts, ...]:
        over = kind in (Kind.RESOLVED, Kind.PASSED)
        desired = State.RESOLVED if over else State.FIRING
        members = (self._alerts[at[0], key] for key in self._members.get(at, ()))
        return tuple(alert.facts for alert in members if alert.state is desired)

    def _close(self, at: Key, notice: Notice, named: str) -> None:
        """Note that a group was notified; what is over and notified is gone."""
        group, kind = notice.group, notice.kind
        ended = kind in (Kind.RESOLVED, Kind.PASSED)
        counts = structs.replace(group.counts, pending=0, notified_ms=notice.at_ms, open=not ended)
        opens = kind in (Kind.FIRING, Kind.PASSED)
        thread = named if opens else group.thread
        self._put_group(at, structs.replace(group, counts=counts, thread=thread))
        for key in list(self._members.get(at, ())) if ended else ():
            alert = self._alerts[at[0], key]
            if alert.state is State.RESOLVED and after(alert.state, Step.NOTIFIED) is None:
                self._drop((at[0], key))

    def _forget_other_rules(self, rules: Rules) -> None:
        for key in [key for key in self._alerts if key[0] not in rules.rules]:
            self._drop(key)
        for key in [key for key in self._groups if key[0] not in rules.rules]:
            self._forget(key)

    def _put(self, key: Key, alert: Alert) -> None:
        self._alerts[key] = alert
        self._members.setdefault((alert.rule, alert.group), {})[alert.key] = None
        self._touched_alerts[key] = None

    def _drop(self, key: Key) -> None:
        alert = self._alerts.pop(key, None)
        if alert is not None:
            at = (alert.rule, alert.group)
            self._members[at].pop(alert.key, None)
            if not self._members[at]:
                del self._members[at]
            self._touched_alerts[key] = None

    def _put_group(self, at: Key, group: Group) -> None:
        self._groups[at] = group
        self._touched_groups[at] = None

    def _forget(self, at: Key) -> None:
        del self._groups[at]
        self._touched_groups[at] = None

    def _schedule(self, key: Key, at_ms: int) -> None:
        if key not in self._scheduled:
            self._scheduled.add(key)
            heapq.heappush(self._times, (at_ms, key))


def _ends_by_itself(rule: Rule) -> bool:
    return not rule.until and (rule.probe is None or rule.probe == "counter")
