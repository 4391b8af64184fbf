"""When each row of the tape is played, and with which defects of the real feed.

Only the gaps between transactions are shortened; the rows of one keep theirs, because how far a
leader's fills lie apart is what the follower has to cope with. Before: `tape`. After: `player`
walks the timeline and `world` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise

from paper.venue.core import rng
from paper.venue.tape import TapeRow

_WINDOW = 25  # transactions whose gaps are shortened together
LISTED_WITHIN_MS = 3_000
"""After so long every row is in the listings of the Data API."""
_LEAD_MS = 600  # how long before a transaction its book moves
_RESOLVE_AFTER_MS = 5_000


class Kind(IntEnum):
    """The kinds of steps; at one instant a book moves before its trade is reported."""

    ANCHOR = 0
    ROW = 1
    RESOLVE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Mean gap between transactions and the longest one, both in ms."""

    mean_gap_ms: int
    max_gap_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of the timeline: `row` is an index of the tape, `at_ms` counts from its start."""

    at_ms: int
    kind: Kind
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The feed's treatment of one row.

    `single`: with two sockets or more, all but one miss it. `late_ms`: extra delay of the frames.
    `counterparts`: rows of the other side of the match follow. `indexed_ms`: after how long the
    Data API shows it.
    """

    taker: bool
    fee: bool
    single: bool
    late_ms: int
    counterparts: int
    indexed_ms: int


def transactions(tape: Sequence[TapeRow]) -> tuple[tuple[int, ...], ...]:
    """Row indices grouped by transaction, groups in the order of their first rows."""
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(tape):
        groups.setdefault(row.trade.tx, []).append(index)
    return tuple(tuple(group) for group in groups.values())


def starts(recorded_ms: Sequence[int], pace: Pace) -> tuple[int, ...]:
    """When each transaction starts, given when each was recorded (ascending).

    Gaps are capped, then each window of transactions that is still slower than the pace is
    shortened in proportion. No gap is ever made longer.
    """
    gaps = [min(later - earlier, pace.max_gap_ms) for earlier, later in pairwise(recorded_ms)]
    at, result = 0, [0]
    for begin in range(0, len(gaps), _WINDOW):
        window = gaps[begin : begin + _WINDOW]
        total, allowed = sum(window), pace.mean_gap_ms * len(window)
        for gap in window:
            at += gap * allowed // total if total > allowed else gap
            result.append(at)
    return tuple(result)


def timeline(
    tape: Sequence[TapeRow], pace: Pace, resolves: Sequence[int] = ()
) -> tuple[Event, ...]:
    """Every step of one lap, in playing order. `resolves` are rows whose market resolves later."""
    groups = transactions(tape)
    begins = starts([tape[group[0]].recv_ms for group in groups], pace)
    played = [0] * len(tape)
    anchored = [0] * len(tape)
    last: dict[str, int] = {}
    for group, begin in zip(groups, begins, strict=True):
        for place, index in enumerate(group):
            row = tape[index]
            at = begin + row.recv_ms - tape[group[0]].recv_ms
            condition = row.trade.condition
            lead = 0 if place else _LEAD_MS
            played[index] = at
            anchored[index] = min(at, max(at - lead, last.get(condition, 0)))
            last[condition] = at
    events = [Event(at_ms=at, kind=Kind.ROW, row=i) for i, at in enumerate(played)]
    events += [Event(at_ms=at, kind=Kind.ANCHOR, row=i) for i, at in enumerate(anchored)]
    events += [
        Event(at_ms=played[i] + _RESOLVE_AFTER_MS, kind=Kind.RESOLVE, row=i) for i in resolves
    ]
    return tuple(sorted(events, key=lambda event: (event.at_ms, event.kind, event.row)))


def resolutions(tape: Sequence[TapeRow], seed: int, count: int) -> tuple[int, ...]:
    """The last rows of `count` markets, drawn by seed, whose markets resolve after them."""
    last: Mapping[str, int] = {row.trade.condition: index for index, row in enumerate(tape)}
    drawn = sorted(last, key=lambda condition: rng.key(seed, "resolve", condition))
    return tuple(sorted(last[condition] for condition in drawn[:count]))


def salted(tx: str, salt: str, lap: int) -> str:
    """The transaction hash of one run and lap; as recorded when there is no salt."""
    if not salt:
        return tx
    return "0x" + sha256(f"{salt}{lap}{tx}".encode()).hexdigest()


def delivery(tape_row: str, seed: int, *, late_permille: int, lone_permille: int) -> Delivery:
    """The seeded fate of the row that `tape_row` names."""
    base = rng.key(seed, "delivery", tape_row)
    late = rng.hits(rng.mix(base, 0), late_permille)
    return Delivery(
        late_ms=rng.between(rng.mix(base, 1), 1_000, 8_000) if late else 0,
        single=rng.hits(rng.mix(base, 2), lone_permille),
        taker=rng.hits(rng.mix(base, 3), 650),
        fee=rng.hits(rng.mix(base, 4), 850),
        counterparts=rng.between(rng.mix(base, 5), 0, 2),
        indexed_ms=rng.between(rng.mix(base, 6), 500, LISTED_WITHIN_MS),
    )
