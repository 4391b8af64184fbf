"""Ladders and second ticks on random paths of books, against plain references."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core import exit_outcome, history_text
from services.guard.core import trigger as trigger_rules
from services.guard.core.exit_outcome import ExitResult, NextStep
from services.guard.core.trigger import Judgement, Trigger, judge
from tests.unit.guard.samples import NOW_MS, book_of, trigger_of
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.money import MICROS
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import Rung, TriggerType

LOT = 20_000_000
bad = st.sampled_from([s for s in BookStatus if s is not BookStatus.FRESH])


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Often thin, sometimes bad: one-sided, crossed, stale."""
    prices = sorted(draw(st.sets(st.integers(1, 99), max_size=3)), reverse=True)
    bids = tuple((p * 10_000, draw(st.integers(1, 30_000_000))) for p in prices)
    status = draw(st.one_of(st.just(BookStatus.FRESH), st.just(BookStatus.FRESH), bad))
    return book_of(bids, status=status)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Rung, ...]:
    prices = sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=5)))
    left, rungs = MICROS, []
    for price in prices:
        share = draw(st.integers(1, max(1, left // 2)))
        left -= share
        rungs.append(Rung(price * 10_000, share))
    return tuple(rungs)


def ladder_of(rungs: tuple[Rung, ...], size: int | None = None) -> Trigger:
    return structs.replace(
        trigger_of(TriggerType.LADDER, size=size), price_micros=None, rungs=rungs
    )


def fetches(book: Book, size: int) -> Fraction | None:
    """Price per share for a size, share by share; those that find no bid fetch nothing."""
    taken, money = 0, 0
    for price, level in book.bids:
        part = min(level, size - taken)
        taken, money = taken + part, money + part * price
    return Fraction(money, size) if taken else None


def reference(
    rungs: tuple[Rung, ...], done: int, basis: int, held: int, book: Book
) -> tuple[int, int]:
    """Rungs that have fired, and what they sell: climbed one by one from below."""
    fired, size = done, 0
    for rung in range(done, len(rungs)):
        part = sum(rungs[n].share_ppm for n in range(done, rung + 1)) * basis // MICROS
        desired = held if rung == len(rungs) - 1 else min(max(part, 1), held)
        price = fetches(book, desired)
        if price is None or price < rungs[rung].price_micros:
            break
        fired, size = rung + 1, desired
    return fired, size


Step = tuple[Book, int, list[int]]
"""A book, what the follower sells by hand before it, and percents that each slice fills."""
steps = st.lists(
    st.tuples(
        books(),
        st.sampled_from([0, 0, 0, 3_000_000]),
        st.lists(st.integers(0, 100), max_size=3),
    ),
    max_size=20,
)


def close(trigger: Trigger, held: int, fills: list[int]) -> tuple[Trigger, int]:
    """Follow an exit to its end, as the worker does; returns the trigger and what is held then."""
    sold = 0
    for percent in [*fills, 100]:
        desired = trigger_rules.still_needed(trigger, held, sold)
        assert desired <= held, "never more than held"
        filled = desired * percent // 100
        sold, held = sold + filled, held - filled
        # After a kill there is what is stored: sums come from the orders, all else from the row.
        trigger = structs.replace(trigger, sold_micros=trigger.sold_micros + filled)
        ended = ExitResult(
            state=OrderState.CONFIRMED,
            failed_kind=None,
            sold_micros=sold,
            desired_micros=trigger_rules.still_needed(trigger, held, sold),
            rungs_micros=trigger_rules.left(trigger, held)
            if trigger.rungs_fired < len(trigger.rungs)
            else 0,
            min_size_micros=1,
        )
        step = exit_outcome.after_exit(ended)
        if step is not NextStep.SLICE:
            status = TriggerStatus.ARMED if step is NextStep.RUNG else TriggerStatus.DONE
            return structs.replace(trigger, status=status, rungs_done=trigger.rungs_fired), held
    raise AssertionError("the last slice sells all that is wanted")


@given(ladders(), st.none() | st.integers(1, LOT), steps)
def test_a_ladder_against_a_plain_reference(
    rungs: tuple[Rung, ...], size: int | None, path: list[Step]
) -> None:
    trigger, held, done = ladder_of(rungs, size), LOT, 0
    basis: int | None = None
    for book, by_hand, fills in path:
        held -= min(by_hand, held)
        may = held if size is None else min(held, size - trigger.sold_micros)
        verdict = judge(trigger, held, book, NOW_MS)
        if verdict is Judgement.ARM:
            trigger = structs.replace(trigger, status=TriggerStatus.ARMED)
            verdict = judge(trigger, held, book, NOW_MS)
        if verdict is Judgement.SUSPEND:
            trigger = structs.replace(trigger, status=TriggerStatus.SUSPENDED)
        if trigger.status is not TriggerStatus.ARMED or may <= 0:
            assert verdict is not Judgement.FIRE
            continue
        fired, desired = reference(rungs, done, basis or may, may, book)
        if book.status is not BookStatus.FRESH or fired == done:
            assert verdict is not Judgement.FIRE
            continue
        assert verdict is Judgement.FIRE
        assert trigger_rules.rungs_reached(trigger, held, book) == fired > done, "each rung once"
        assert trigger_rules.next_size(trigger, held, fired) == desired, "a jump sells the sum once"
        basis, before = basis or may, held
        trigger = structs.replace(
            trigger, status=TriggerStatus.CLOSING, rungs_fired=fired, basis_micros=basis
        )
        trigger, held = close(trigger, held, fills)
        assert before - held == desired, "partial fills sell the same in the end"
        done = fired
        if trigger.status is TriggerStatus.DONE:
            break
    if done == len(rungs):
        assert trigger.status is TriggerStatus.DONE
        assert size is not None or held == 0, "the last rung takes the rest"


def test_rungs_sell_in_turn_and_a_jump_sells_their_sum() -> None:
    rungs = (Rung(600_000, 250_000), Rung(700_000, 250_000), Rung(800_000, 0))
    trigger = ladder_of(rungs)
    assert judge(trigger, LOT, book_of(((590_000, LOT),)), NOW_MS) is Judgement.NOTHING
    for price, fired, size in (
        (600_000, 1, 5_000_000),
        (750_000, 2, 10_000_000),
        (900_000, 3, LOT),
    ):
        book = book_of(((price, LOT),))
        assert trigger_rules.rungs_reached(trigger, LOT, book) == fired
        assert trigger_rules.next_size(trigger, LOT, fired) == size
    assert history_text.fired(trigger, LOT, book_of(((750_000, LOT),)), 2) == (
        "rungs 1 to 2: 10 shares would fetch 0.75, fires at 0.6; bids 20 at 0.75"
    )
    # Only as many shares as the second rung's price is bid for: the first rung alone fires.
    thin = book_of(((700_000, 5_000_000), (600_000, LOT)))
    assert trigger_rules.rungs_reached(trigger, LOT, thin) == 1


def test_the_shares_are_those_of_the_beginning() -> None:
    rungs = (Rung(600_000, 500_000), Rung(700_000, 250_000), Rung(800_000, 0))
    second = structs.replace(
        ladder_of(rungs), rungs_done=1, rungs_fired=1, basis_micros=LOT, sold_micros=LOT // 2
    )
    assert trigger_rules.next_size(second, LOT // 2) == LOT // 4
    assert trigger_rules.next_size(second, 1_000_000) == 1_000_000, "after a sell by hand"


PRICED = [kind for kind in TriggerType if kind not in (TriggerType.TIME_STOP, TriggerType.LADDER)]


def armed(kind: TriggerType) -> Trigger:
    made = structs.replace(trigger_of(kind), two_ticks=True)
    if kind is not TriggerType.TRAILING_STOP:
        return made
    return structs.replace(made, callback_micros=100_000, peak_micros=600_000)


@pytest.mark.parametrize("kind", PRICED)
@given(path=st.lists(books(), max_size=15))
def test_two_ticks_fire_on_the_second_in_a_row(kind: TriggerType, path: list[Book]) -> None:
    trigger, plain = armed(kind), structs.replace(armed(kind), two_ticks=False)
    in_a_row = 0
    for book in (structs.replace(book, revision=number) for number, book in enumerate(path)):
        hit = judge(plain, LOT, book, NOW_MS) is Judgement.FIRE
        in_a_row = in_a_row + 1 if hit else 0
        verdict = judge(trigger, LOT, book, NOW_MS)
        assert (verdict is Judgement.FIRE) is (in_a_row == 2)
        if verdict is Judgement.FIRE:
            return
        if verdict is Judgement.NOTE:
            trigger = structs.replace(trigger, tick=trigger_rules.tick_of(book))
            assert judge(trigger, LOT, book, NOW_MS) is Judgement.NOTHING, "one book counts once"
        elif verdict is not Judgement.NOTHING:
            # As any change in the database does; suspended and armed again in one go.
            trigger = structs.replace(trigger, tick=None)
