"""Trailing stops and time stops on random paths of books, against plain references."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core import history_text
from services.guard.core.trigger import (
    Judgement,
    Trigger,
    judge,
    new_peak,
    sale_of,
)
from tests.unit.guard.samples import NOW_MS, book_of, trigger_of
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType

LOT = 20_000_000
bad = st.sampled_from([s for s in BookStatus if s is not BookStatus.FRESH])


@st.composite
def steps(draw: st.DrawFn) -> tuple[Book, int]:
    """A book, often thin or bad, and what the lot holds then: manual sells come in between."""
    prices = sorted(draw(st.sets(st.integers(1, 99), max_size=3)), reverse=True)
    bids = tuple((p * 10_000, draw(st.integers(1, 30_000_000))) for p in prices)
    status = draw(st.one_of(st.just(BookStatus.FRESH), st.just(BookStatus.FRESH), bad))
    return book_of(bids, status=status), draw(st.sampled_from([LOT, LOT, LOT // 3, 7]))


def walk(trigger: Trigger, path: list[tuple[Book, int]]) -> tuple[int | None, list[int]]:
    """Where it fires, if it does, and the peaks it stores. As the worker does it."""
    peaks: list[int] = []
    for number, (book, lot) in enumerate(path):
        verdict = judge(trigger, lot, book, NOW_MS)
        if verdict is Judgement.ARM:
            trigger = structs.replace(trigger, status=TriggerStatus.ARMED)
            verdict = judge(trigger, lot, book, NOW_MS)
        if verdict is Judgement.SUSPEND:
            trigger = structs.replace(trigger, status=TriggerStatus.SUSPENDED)
        elif verdict is Judgement.RATCHET:
            sale = sale_of(trigger, lot, book)
            assert sale is not None
            peak = new_peak(trigger, sale)
            assert peak is not None
            peaks.append(peak)
            # Only what is stored is left after a kill: everything else comes from the row.
            trigger = structs.replace(trigger, peak_micros=peak)
        elif verdict is Judgement.FIRE:
            return number, peaks
    return None, peaks


def fetched(book: Book, lot: int) -> tuple[Fraction, Fraction] | None:
    """Price per share for a lot, share by share: of those that find a bid, and of all of it with
    the others for nothing; None when the book may not be traded on."""
    if book.status is not BookStatus.FRESH or not book.bids:
        return None
    taken, money = 0, 0
    for price, size in book.bids:
        part = min(size, lot - taken)
        taken, money = taken + part, money + part * price
    return Fraction(money, taken), Fraction(money, lot)


def reference(
    activation: int, callback: Fraction, *, share: bool, path: list[tuple[Book, int]]
) -> tuple[int | None, list[int]]:
    """A trailing stop told plainly: tested against the old peak, then ratcheted."""
    peaks: list[int] = []
    for number, (book, lot) in enumerate(path):
        found = fetched(book, lot)
        if found is None:
            continue
        price, whole = found
        if peaks:
            stop = peaks[-1] * (1 - callback) if share else peaks[-1] - callback
            # Prices are compared with whole micros, rounded up.
            if price <= -(-stop // 1):
                return number, peaks
        if whole >= activation and (not peaks or whole // 1 > peaks[-1]):
            peaks.append(int(whole // 1))
    return None, peaks


trails = st.tuples(st.integers(10_000, 900_000), st.integers(1, 600_000), st.booleans())


@given(trails, st.lists(steps(), max_size=25))
def test_a_trailing_stop_against_a_plain_reference(
    terms: tuple[int, int, bool], path: list[tuple[Book, int]]
) -> None:
    activation, callback, share = terms
    trigger = structs.replace(
        trigger_of(TriggerType.TRAILING_STOP, activation),
        callback_ppm=callback if share else None,
        callback_micros=None if share else callback,
    )
    exact = Fraction(callback, MICROS) if share else Fraction(callback)
    fired, peaks = walk(trigger, path)
    assert (fired, peaks) == reference(activation, exact, share=share, path=path)
    assert peaks == sorted(set(peaks)), "a trailing stop never loosens"


def test_trailing_stop_sleeps_then_follows_the_peak() -> None:
    trigger = structs.replace(trigger_of(TriggerType.TRAILING_STOP, 600_000), callback_ppm=100_000)
    path = [(book_of(((p, LOT),)), LOT) for p in (550_000, 400_000, 600_000, 700_000, 640_000)]
    assert walk(trigger, path) == (None, [600_000, 700_000])
    gap = [*path, (book_of(((630_000, LOT),)), LOT)]
    assert walk(trigger, gap) == (5, [600_000, 700_000]), "exactly ten percent below fires"


def test_one_book_never_both_ratchets_and_fires() -> None:
    trigger = structs.replace(
        trigger_of(TriggerType.TRAILING_STOP, 500_000), callback_micros=1, peak_micros=600_000
    )
    assert judge(trigger, LOT, book_of(((599_999, LOT),)), NOW_MS) is Judgement.FIRE
    assert judge(trigger, LOT, book_of(((600_000, LOT),)), NOW_MS) is Judgement.NOTHING
    assert judge(trigger, LOT, book_of(((600_001, LOT),)), NOW_MS) is Judgement.RATCHET


@pytest.mark.parametrize(("early", "verdict"), [(1, Judgement.NOTHING), (0, Judgement.FIRE)])
def test_a_time_stop_fires_from_its_instant_on_at_any_price(early: int, verdict: Judgement) -> None:
    trigger = structs.replace(
        trigger_of(TriggerType.TIME_STOP), price_micros=None, fire_at_ms=NOW_MS + early
    )
    for price in (10_000, 990_000):
        assert judge(trigger, LOT, book_of(((price, LOT),)), NOW_MS) is verdict
    assert judge(trigger, LOT, book_of(()), NOW_MS) is Judgement.SUSPEND
    assert judge(trigger, 0, book_of(((10_000, LOT),)), NOW_MS) is Judgement.NOTHING


def test_the_history_is_in_words() -> None:
    trail = structs.replace(
        trigger_of(TriggerType.TRAILING_STOP, 500_000), callback_ppm=100_000, peak_micros=600_000
    )
    book = book_of(((530_000, 5_000_000), (520_000, 50_000_000)))
    assert history_text.fired(trail, LOT, book) == (
        "20 shares would fetch 0.5225, fires at 0.54, peak 0.6; bids 5 at 0.53, 50 at 0.52"
    )
    assert (
        history_text.sold(trail, LOT, 10_450_000) == "sold 20 shares at 0.5225, -0.0175 from 0.54"
    )
    timed = structs.replace(trigger_of(TriggerType.TIME_STOP), price_micros=None, fire_at_ms=NOW_MS)
    assert history_text.sold(timed, LOT, 10_450_000) == "sold 20 shares at 0.5225"
    assert history_text.sold(timed, 0, 0) == "sold 0 shares"
