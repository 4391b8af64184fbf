"""Alerts and their groups, over any history of signals and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.core.grouping import Counts, Kind, due, forgettable
from services.alerts.core.open_alerts import Alert, Group, Key, Notice, OpenAlerts
from services.alerts.core.rules import Grouping, QuietHours, Rule, Rules, is_quiet
from services.alerts.core.signals import Signal
from services.alerts.core.states import STEPS, State, Step, after
from services.alerts.core.texts import message_id

T = TypeVar("T", Alert, Group)
TIMING = Grouping(wait_seconds=5, interval_seconds=60, repeat_seconds=600)


def rule(name: str, **changes: object) -> Rule:
    fields: dict[str, object] = {
        "name": name, "severity": "critical", "events": ("order.dead",), "title": "one",
        "titles": "{count}", "todo": "look", "ended": "over", **changes,
    }  # fmt: skip
    return Rule(**fields)  # type: ignore[arg-type]


RULES = Rules(
    grouping=TIMING,
    quiet_hours=None,
    targets=(),
    rules={
        "held": rule("held", until=("order.settled",), for_seconds=10),
        "lasting": rule("lasting", until=("order.settled",)),
        "once": rule("once", ends_after_seconds=30),
        "mild": rule("mild", severity="warning", until=("order.settled",)),
    },
)


def signal(name: str, key: str, at: int, *, started: bool = True, group: str = "") -> Signal:
    return Signal(rule=name, key=key, at_ms=at * 1000, started=started, group=group)


def run(open_alerts: OpenAlerts, at: int, *signals: Signal, quiet: bool = False) -> list[Notice]:
    open_alerts.take(signals, RULES)
    return open_alerts.tick(RULES, at * 1000, quiet, message_id)


def test_the_table_has_every_step_that_can_happen() -> None:
    outside = {(s, Step.STARTED) for s in (None, *State)} | {
        (s, Step.ENDED) for s in (None, *State)
    }
    assert STEPS.keys() == outside | {(State.PENDING, Step.HELD), (State.RESOLVED, Step.NOTIFIED)}
    with pytest.raises(KeyError):
        after(State.FIRING, Step.HELD)


def test_five_hundred_of_one_cause_are_one_message_and_one_end() -> None:
    open_alerts = OpenAlerts()
    dead = [signal("lasting", str(n), 100) for n in range(500)]
    assert run(open_alerts, 100, *dead) == []
    (reported,) = run(open_alerts, 105)
    assert (reported.kind, len(reported.alerts)) == (Kind.FIRING, 500)
    most = [signal("lasting", str(n), 110, started=False) for n in range(499)]
    assert run(open_alerts, 110, *most) == []
    (reported,) = run(open_alerts, 111, signal("lasting", "499", 111, started=False))
    assert (reported.kind, reported.group.total) == (Kind.RESOLVED, 500)
    assert run(open_alerts, 10_000) == []


def test_causes_are_told_apart() -> None:
    open_alerts = OpenAlerts()
    run(open_alerts, 0, signal("lasting", "a", 0, group="x"), signal("lasting", "b", 0, group="y"))
    assert {reported.group.key for reported in run(open_alerts, 5)} == {"x", "y"}


def test_what_is_over_before_its_time_is_not_told() -> None:
    open_alerts = OpenAlerts()
    run(open_alerts, 0, signal("held", "a", 0))
    assert run(open_alerts, 9, signal("held", "a", 9, started=False)) == []
    assert run(open_alerts, 100) == []


def test_a_group_that_grows_is_told_again_and_not_at_once() -> None:
    open_alerts = OpenAlerts()
    run(open_alerts, 0, signal("lasting", "a", 0))
    assert [reported.kind for reported in run(open_alerts, 5)] == [Kind.FIRING]
    assert run(open_alerts, 64, signal("lasting", "b", 6)) == []
    (reported,) = run(open_alerts, 65)
    assert (reported.kind, reported.group.counts.pending, reported.group.total) == (Kind.MORE, 1, 2)
    assert [reported.kind for reported in run(open_alerts, 665)] == [Kind.STILL]


def test_what_flaps_is_told_twice_an_interval_at_most() -> None:
    open_alerts, kinds = OpenAlerts(), []
    for at in range(0, 600, 2):
        kinds += run(open_alerts, at, signal("lasting", "a", at, started=at % 4 == 0))
    assert len(kinds) <= 2 * (600 // 60 + 1)


def test_alert_without_an_end_is_over_after_silence() -> None:
    open_alerts = OpenAlerts()
    run(open_alerts, 0, signal("once", "a", 0))
    assert [reported.kind for reported in run(open_alerts, 5)] == [Kind.FIRING]
    assert run(open_alerts, 31, signal("once", "a", 20)) == []
    assert run(open_alerts, 49) == []
    assert [reported.kind for reported in run(open_alerts, 50)] == [Kind.RESOLVED]


def test_quiet_hours_keep_what_is_mild_for_their_end() -> None:
    open_alerts = OpenAlerts()
    loud = run(open_alerts, 0, signal("mild", "a", 0), signal("lasting", "b", 0), quiet=True)
    loud += run(open_alerts, 10, quiet=True)
    assert [reported.rule.name for reported in loud] == ["lasting"]
    assert run(open_alerts, 20, signal("mild", "a", 20, started=False), quiet=True) == []
    (reported,) = run(open_alerts, 500)
    assert (reported.rule.name, reported.kind) == ("mild", Kind.PASSED)


@pytest.mark.parametrize(
    ("begin", "end", "at", "quiet"),
    [
        ("22:00", "07:00", "23:00", True), ("22:00", "07:00", "06:59", True),
        ("22:00", "07:00", "07:00", False), ("22:00", "07:00", "12:00", False),
        ("01:00", "05:00", "01:00", True), ("01:00", "05:00", "05:00", False),
    ],
)  # fmt: skip
def test_quiet_hours_may_pass_midnight(begin: str, end: str, at: str, quiet: bool) -> None:
    assert is_quiet(QuietHours(begin=begin, end=end), time.fromisoformat(at)) is quiet
    assert not is_quiet(None, time.fromisoformat(at))


def test_a_rule_that_is_gone_takes_its_alerts_along() -> None:
    open_alerts = OpenAlerts()
    run(open_alerts, 0, signal("lasting", "a", 0))
    run(open_alerts, 5)
    others = Rules(grouping=TIMING, quiet_hours=None, targets=(), rules={})
    assert open_alerts.tick(others, 6_000, False, message_id) == []
    alerts, groups = open_alerts.touched()
    assert set(alerts.values()) == {None}
    assert set(groups.values()) == {None}


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(RULES.rules)),
        st.sampled_from("abcd"),
        st.booleans(),
        st.integers(0, 40),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


def keep(kept: dict[Key, T], changed: Mapping[Key, T | None]) -> None:
    """Write changes as the database does."""
    for where, one in changed.items():
        kept.pop(where, None)
        if one is not None:
            kept[where] = one


def played(
    history: Sequence[tuple[str, str, bool, int, bool, bool]], *, restarts: bool
) -> tuple[list[Notice], OpenAlerts, int]:
    """Play a history and return what is told; with restarts, by a process that is killed."""
    retained_alerts: dict[Key, Alert] = {}
    retained_groups: dict[Key, Group] = {}
    open_alerts, reported, at = OpenAlerts(), [], 1_000
    for name, key, started, passes, quiet, restart in history:
        at += passes
        sent = signal(name, key, at, started=started, group="" if key in "ab" else "other")
        reported += run(open_alerts, at, sent, quiet=quiet)
        alerts, groups = open_alerts.touched()
        keep(retained_alerts, alerts)
        keep(retained_groups, groups)
        if restarts and restart:
            open_alerts = OpenAlerts(retained_alerts.values(), retained_groups.values())
    for _ in range(3):
        at += 100
        reported += run(open_alerts, at)
    return reported, open_alerts, at


def essence(reported: Notice) -> tuple[object, ...]:
    return (
        reported.rule.name,
        reported.group.key,
        reported.kind,
        reported.at_ms,
        reported.group.total,
    )


@given(steps)
def test_each_opening_is_closed_once_and_each_firing_notified(
    history: list[tuple[str, str, bool, int, bool, bool]],
) -> None:
    reported, open_alerts, at = played(history, restarts=False)
    open_groups: set[tuple[str, str]] = set()
    for one in reported:
        group = (one.rule.name, one.group.key)
        if one.kind in (Kind.FIRING, Kind.PASSED):
            assert group not in open_groups
        else:
            assert group in open_groups
        if one.kind is Kind.FIRING:
            open_groups.add(group)
        elif one.kind is Kind.RESOLVED:
            open_groups.remove(group)
        assert one.group.total >= one.group.counts.pending
        if one.kind in (Kind.FIRING, Kind.STILL):
            assert len(one.alerts) == one.group.counts.firing > 0
    # The last looks came long after the last signal: whatever had fired was told by then.
    assert {one.kind for one in run(open_alerts, at + 10_000)} <= {Kind.STILL}
    assert {rule for rule, firing in open_alerts.firing().items() if firing} == {
        name for name, _ in open_groups
    }


@given(steps)
def test_a_process_that_is_killed_tells_the_same(
    history: list[tuple[str, str, bool, int, bool, bool]],
) -> None:
    once = sorted(map(repr, map(essence, played(history, restarts=False)[0])))
    assert sorted(map(repr, map(essence, played(history, restarts=True)[0]))) == once


@given(
    st.builds(
        Counts,
        firing=st.integers(0, 3),
        pending=st.integers(0, 3),
        pending_since_ms=st.integers(0, 100_000),
        notified_ms=st.none() | st.integers(0, 100_000),
        open=st.booleans(),
    ),
    st.integers(100_000, 10_000_000),
)
def test_pending_alert_is_notified_and_only_done_ones_forgotten(
    counts: Counts, now_ms: int
) -> None:
    later = 2 * now_ms + TIMING.interval_seconds * 1000
    if counts.pending or (counts.open and not counts.firing):
        assert due(counts, TIMING, later, quiet=False) is not None
        assert not forgettable(counts, TIMING, later)
    assert due(counts, TIMING, now_ms, quiet=True) is None
