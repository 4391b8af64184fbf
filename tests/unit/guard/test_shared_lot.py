"""Triggers of every kind that share a lot, on real and on random prices, against a reference.

The reference (`tests/fault/day.py`) is the one that the replayed day on real processes is held to.
Here the guard's decisions alone are walked as its worker walks them, with fills in several slices
and sales by hand in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core import trigger as trigger_rules
from services.guard.core.exit_size import Exit, size_exit
from services.guard.core.trigger import Judgement, Trigger, judge
from tests.fault import day
from tests.fault.day import SHARE, Bids
from tests.unit.guard.samples import NOW_MS, book_of
from tradingtools.domain.book import Book
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType, rungs_from_fields

S = TriggerStatus
LIVE = (S.ARMED, S.SUSPENDED)
LOT = {"follower_proxy": "w", "asset_id": "1", "shares_micros": 60 * SHARE}
ABSENT = dict.fromkeys(("price_micros", "size_micros", "callback_micros", "callback_ppm", "rungs"))
REAL = day.paths(12, 15, seed=1)


class Walk:
    """A lot and its triggers, moved by the guard's decisions."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.triggers = {row["id"]: _trigger(row) for row in rows}
        self.evening = [row["id"] for row in rows if row["break_even"]]
        self.shares: int = rows[0]["shares_micros"]
        self.cost: int = rows[0]["cost_micros"]

    def step(self, bids: Bids, parts: list[int]) -> None:
        """A book, until it moves nothing; each exit fills in these parts, percent of its rest."""
        book = book_of(tuple(bids))
        while self._judge_all(book, parts):
            pass

    def _judge_all(self, book: Book, parts: list[int]) -> bool:
        before, free = dict(self.triggers), self.shares
        exits = []
        for trigger in sorted(self.triggers.values(), key=_turn):
            now = self._follow(trigger, book)
            if self._verdict(now, book) is Judgement.FIRE:
                through = trigger_rules.rungs_reached(now, self.shares, book)
                desired = trigger_rules.next_size(now, self.shares, through)
                sized = size_exit(book, desired_micros=desired, free_micros=free, below_ppm=0)
                if isinstance(sized, Exit):
                    free -= sized.size_micros
                    basis = now.basis_micros or trigger_rules.left(now, self.shares)
                    now = structs.replace(
                        now,
                        status=S.CLOSING,
                        rungs_fired=through,
                        basis_micros=basis if through else None,
                    )
                    exits.append((now.id, sized.size_micros))
            self.triggers[now.id] = now
        for identifier, size in exits:
            self._fill(identifier, size, parts)
        return before != self.triggers

    def _verdict(self, trigger: Trigger, book: Book) -> Judgement:
        return judge(trigger, self.shares, book, NOW_MS)

    def _follow(self, trigger: Trigger, book: Book) -> Trigger:
        if trigger.status in LIVE and self.shares == 0:
            return structs.replace(trigger, status=S.CANCELLED)
        if self._verdict(trigger, book) is Judgement.ARM:
            trigger = structs.replace(trigger, status=S.ARMED)
        verdict = self._verdict(trigger, book)
        if verdict is Judgement.SUSPEND:
            return structs.replace(trigger, status=S.SUSPENDED)
        sale = trigger_rules.sale_of(trigger, self.shares, book)
        if verdict is Judgement.RATCHET and sale is not None:
            return structs.replace(trigger, peak_micros=trigger_rules.new_peak(trigger, sale))
        return trigger

    def _fill(self, identifier: str, size: int, parts: list[int]) -> None:
        """All of an exit, in slices: what is stored in between says what is still wanted."""
        trigger, sold = self.triggers[identifier], 0
        for percent in [*parts, 100]:
            part = (size - sold) * percent // 100
            self.cost -= self.cost * part // self.shares if self.shares else 0
            self.shares, sold = self.shares - part, sold + part
            trigger = structs.replace(trigger, sold_micros=trigger.sold_micros + part)
            desired = trigger_rules.still_needed(trigger, self.shares, sold)
            assert desired <= max(self.shares, 0), "never more than held"
        more = trigger.rungs_fired < len(trigger.rungs) and self.shares > 0
        self.triggers[identifier] = structs.replace(
            trigger, status=S.ARMED if more else S.DONE, rungs_done=trigger.rungs_fired
        )
        if trigger.rungs and self.shares:
            self._break_even(-(-self.cost * SHARE // self.shares))

    def _break_even(self, entry: int) -> None:
        for identifier in self.evening:
            stop = self.triggers[identifier]
            if stop.status in LIVE and stop.price_micros is not None:
                price = max(stop.price_micros, entry)
                self.triggers[identifier] = structs.replace(stop, price_micros=price)


def _turn(trigger: Trigger) -> tuple[int, str]:
    return list(TriggerType).index(trigger.type), trigger.id


def _trigger(row: Mapping[str, Any]) -> Trigger:
    timed = row["trigger_type"] == "TIME_STOP"
    return Trigger(
        id=row["id"],
        follower_proxy=row["follower_proxy"],
        asset_id=row["asset_id"],
        origin="s",
        type=TriggerType(row["trigger_type"]),
        price_micros=row["price_micros"],
        size_micros=row["size_micros"],
        status=S.ARMED,
        version=1,
        callback_micros=row["callback_micros"],
        callback_ppm=row["callback_ppm"],
        rungs=rungs_from_fields(row["rungs"]),
        fire_at_ms=NOW_MS + 1 if timed else None,
    )


cents = st.integers(1, 99).map(lambda cent: cent * 10_000)


@st.composite
def lots(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Triggers of one lot; one at most sells a part of it, so that none depends on a race."""
    cost = 60 * draw(cents)
    kinds = draw(st.lists(st.sampled_from(day.ORDER), min_size=1, max_size=4, unique=True))
    partial = draw(st.sampled_from(["LADDER", "TAKE_PROFIT"]))

    def terms(kind: str) -> Iterator[dict[str, Any]]:
        match kind:
            case "LADDER":
                prices = sorted(draw(st.sets(cents, min_size=1, max_size=4)))
                yield {"rungs": [{"price_micros": p, "share_ppm": 240_000} for p in prices]}
            case "TRAILING_STOP":
                yield {"price_micros": draw(cents), "callback_ppm": draw(st.integers(1, 900_000))}
            case "TAKE_PROFIT" if partial == kind and "LADDER" not in kinds:
                yield {"price_micros": draw(cents), "size_micros": draw(st.integers(5, 40)) * SHARE}
            case "TIME_STOP":
                yield {}
            case _:
                yield {"price_micros": draw(cents)}

    return [
        {
            **LOT, **ABSENT, **made, "cost_micros": cost, "id": kind, "trigger_type": kind,
            "break_even": kind == "STOP_LOSS" and draw(st.booleans()),
        }
        for kind in kinds
        for made in terms(kind)
    ]  # fmt: skip


@st.composite
def random_paths(draw: st.DrawFn) -> list[Bids]:
    """Gaps of any width, thin tops, now and then no bid."""
    found: list[Bids] = []
    for price in draw(st.lists(st.integers(2, 99), max_size=15)):
        size = draw(st.one_of(st.integers(1, 80), st.just(10**6)))
        top = (price * 10_000, size * SHARE)
        found.append(draw(st.sampled_from([[], *[[top, (top[0] - 10_000, 10**12)]] * 9])))
    return found


@given(
    lots(),
    st.one_of(random_paths(), st.sampled_from(REAL)),
    st.lists(st.integers(0, 100), max_size=3),
    st.dictionaries(st.integers(0, 14), st.integers(1, 12), max_size=3),
)
def test_triggers_that_share_a_lot_against_the_reference(
    rows: list[dict[str, Any]], path: list[Bids], parts: list[int], by_hand: dict[int, int]
) -> None:
    walk = Walk(rows)
    (reference,) = day.load(rows).values()
    for number, bids in enumerate(path):
        sold = min(by_hand.get(number, 0) * SHARE, reference.shares)
        if reference.shares - sold >= day.MINIMUM or sold == reference.shares:
            walk.cost -= walk.cost * sold // walk.shares if sold else 0
            walk.shares, reference.shares, reference.cost = (
                walk.shares - sold, reference.shares - sold, walk.cost,
            )  # fmt: skip
        walk.step(bids, parts)
        reference.step(bids)
        found = {
            t.id: day.state_of(t.status.value, t.sold_micros, t.rungs_done, t.peak_micros)
            for t in walk.triggers.values()
        }
        assert found == {trigger.id: trigger.state for trigger in reference.triggers}
        assert walk.shares == reference.shares >= 0
