"""The lane of one endpoint: what is under way, what is tried again and what comes next. Pure.

A lane has room for one message where the order of the log is kept, and for a few where it is not.
What it says is durable before anything is forgotten: after a kill -9 it goes on from what was
written last, and may send again what was taken meanwhile, under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from services.webhooks.core import schedule
from services.webhooks.core.verdict import Verdict

WIDTH: Final = {"LOG": 1, "NONE": 16}
"""By ordering: messages that are under way or wait to be tried again."""
REPLAYS: Final = 4


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was not taken yet."""

    attempts: int = 0
    """Attempts that have failed."""
    next_ms: int = 0
    """The next try, milliseconds since the epoch."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the log that are delivered again: those in (after, to]."""

    after: int
    to: int


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the delivery to one endpoint."""

    position: int
    """Every event up to this number is delivered, was not wanted, or is pending."""
    width: int
    pending: Mapping[int, Pending] = {}
    """By number."""
    replays: tuple[Range, ...] = ()
    """The first one is delivered before what comes after the position."""
    failing_since_ms: int | None = None


def has_room(lane: Lane) -> bool:
    """Return whether another message may leave."""
    return len(lane.pending) < lane.width


def read_from(lane: Lane) -> tuple[int, int | None]:
    """Return after which number to read, and up to which one; None: as far as there are events."""
    if lane.replays:
        return lane.replays[0].after, lane.replays[0].to
    return lane.position, None


def take(lane: Lane, number: int) -> Lane:
    """Return the lane when a message leaves for the first time."""
    return passed(replace(lane, pending={**lane.pending, number: Pending()}), number)


def passed(lane: Lane, number: int) -> Lane:
    """Return the lane when everything up to a number has been looked at."""
    if not lane.replays:
        return replace(lane, position=max(lane.position, number))
    first, *rest = lane.replays
    if number < first.to:
        return replace(lane, replays=(Range(after=number, to=first.to), *rest))
    return replace(lane, replays=tuple(rest))


def replayed(lane: Lane, after: int, to: int) -> Lane:
    """Return the lane when a range is to be delivered again, as far as it was delivered."""
    to = min(to, lane.position)
    if after >= to:
        return lane
    return replace(lane, replays=(*lane.replays, Range(after=after, to=to)))


def due(lane: Lane, now_ms: int, under_way: frozenset[int]) -> int | None:
    """Return the number of a message that is to be tried again now; None: there is none."""
    waiting = [(p.next_ms, number) for number, p in lane.pending.items() if number not in under_way]
    at, number = min(waiting, default=(now_ms + 1, 0))
    return number if at <= now_ms else None


def next_due_ms(lane: Lane, under_way: frozenset[int]) -> int | None:
    """Return when the next message is tried again; None: none is."""
    return min((p.next_ms for n, p in lane.pending.items() if n not in under_way), default=None)


def later(lane: Lane, number: int, at_ms: int) -> Lane:
    """Return the lane when a message cannot leave before an instant, which is no attempt."""
    return replace(
        lane, pending={**lane.pending, number: replace(lane.pending[number], next_ms=at_ms)}
    )


def without(lane: Lane, number: int) -> Lane:
    """Return the lane without a message that is not delivered."""
    return replace(lane, pending={n: p for n, p in lane.pending.items() if n != number})


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The lane after an answer, and what is to be written."""

    lane: Lane
    verdict: Verdict
    disable: str = ""
    """Why the endpoint is disabled; empty: it is not."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The times that a settlement needs."""

    now_ms: int
    first_pause_ms: int
    chance: float
    retry_after_ms: int = 0


def settle(lane: Lane, number: int, verdict: Verdict, times: Times) -> Settled:
    """Return the lane after an attempt.

    Args:
        lane: with the message pending.
        number: of its event.
        verdict: of the answer.
        times: when, and how long to wait.
    """
    rest = without(lane, number)
    if verdict is Verdict.DELIVERED:
        return Settled(lane=replace(rest, failing_since_ms=None), verdict=verdict)
    if verdict is Verdict.GIVEN_UP:
        return Settled(lane=rest, verdict=verdict)
    since = times.now_ms if lane.failing_since_ms is None else lane.failing_since_ms
    attempts = lane.pending[number].attempts + 1
    if lane.width > 1 and attempts >= schedule.ATTEMPTS:
        lane = replace(rest, failing_since_ms=since)
        return Settled(lane=lane, verdict=Verdict.GIVEN_UP, disable=_disable(since, times, verdict))
    wait = schedule.wait_ms(attempts, times.first_pause_ms, times.chance, times.retry_after_ms)
    again = Pending(attempts=attempts, next_ms=times.now_ms + wait)
    lane = replace(lane, pending={**lane.pending, number: again}, failing_since_ms=since)
    return Settled(lane=lane, verdict=verdict, disable=_disable(since, times, verdict))


def _disable(since_ms: int, times: Times, verdict: Verdict) -> str:
    if verdict is Verdict.GONE:
        return "the endpoint has answered 410 Gone"
    failing = times.now_ms - since_ms >= schedule.DISABLED_AFTER_MS
    return "no message was taken for five days" if failing else ""
