"""The index finds what a plain scan of all triggers finds, and little else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.guard.core.index import NewPeak, TriggerIndex
from services.guard.core.trigger import Judgement, Trigger, judge, new_peak, sale_of
from tests.unit.guard.samples import NOW_MS, book_of, trigger_of
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.trigger_states import FINAL, TriggerStatus
from tradingtools.domain.trigger_types import Rung, TriggerType

PRICED = [kind for kind in TriggerType if kind is not TriggerType.TIME_STOP]
RUNGS = (Rung(300_000, 250_000), Rung(600_000, 250_000), Rung(700_000, 0))
PRICED_ABOVE = (TriggerType.TAKE_PROFIT, 700_000)
cents = st.integers(1, 99).map(lambda cent: cent * 10_000)
sizes = st.one_of(st.integers(0, 40), st.integers(0, 40_000_000))


@st.composite
def books(draw: st.DrawFn) -> Book:
    prices = sorted(draw(st.sets(cents, max_size=4)), reverse=True)
    bids = tuple((price, draw(st.integers(1, 30_000_000))) for price in prices)
    status = draw(st.sampled_from([BookStatus.FRESH] * 3 + list(BookStatus)))
    return book_of(bids, status=status, payout=draw(st.sampled_from([None] * 9 + [0])))


@st.composite
def triggers(draw: st.DrawFn) -> tuple[Trigger, int]:
    """A trigger and what its lot holds; few ids, so that later ones replace earlier ones."""
    live = [status for status in TriggerStatus if status not in FINAL]
    kind = draw(st.sampled_from(PRICED))
    trailing = kind is TriggerType.TRAILING_STOP
    made = trigger_of(
        kind,
        draw(cents),
        draw(st.none() | sizes.filter(bool)),
        draw(st.sampled_from([TriggerStatus.ARMED] * 5 + live)),
    )
    share = draw(st.booleans())
    callback = draw(st.integers(1, 900_000))
    laddered = kind is TriggerType.LADDER
    return structs.replace(
        made,
        price_micros=None if laddered else made.price_micros,
        rungs=RUNGS if laddered else (),
        rungs_done=draw(st.integers(0, 2)) if laddered else 0,
        basis_micros=draw(st.none() | st.integers(1, 40_000_000)) if laddered else None,
        two_ticks=draw(st.booleans()),
        tick=draw(st.sampled_from([None, None, (0, 0), (0, 1)])),
        id=str(draw(st.integers(0, 30))),
        callback_ppm=callback if trailing and share else None,
        callback_micros=callback if trailing and not share else None,
        peak_micros=draw(st.none() | st.integers(1, 999_999)) if trailing else None,
    ), draw(sizes)


@given(st.lists(triggers(), max_size=40), st.sets(st.integers(0, 30)), st.lists(books()))
def test_the_index_against_a_plain_scan(
    known: list[tuple[Trigger, int]], gone: set[int], marks: list[Book]
) -> None:
    index, held = TriggerIndex(), {}
    for number, (trigger, lot) in enumerate(known):
        index.put(trigger, lot)
        held[trigger.id] = (trigger, lot)
        if number % 8 == 0:
            # What a lookup keeps for the next one must not outlive a change.
            _agrees(index, held, marks[:1])
    _agrees(index, held, marks)
    for number in gone:
        index.remove(str(number))
        held.pop(str(number), None)
    _agrees(index, held, marks)


def _agrees(index: TriggerIndex, held: dict[str, tuple[Trigger, int]], marks: list[Book]) -> None:
    for book in marks:
        found = index.candidates(book)
        judged = {trigger.id: judge(trigger, lot, book, NOW_MS) for trigger, lot in held.values()}
        moved = {i for i, verdict in judged.items() if verdict is not Judgement.NOTHING}
        risen = {i for i, verdict in judged.items() if verdict is Judgement.RATCHET}
        shown = list(index.risen(book))
        assert moved - risen <= found <= held.keys()
        assert {trigger_id for trigger_id, _, _ in shown} == risen
        assert all(map(index.rises, shown))
        assert all(peak == _peak(*held[i], book) for i, peak, _ in shown)
        fires = {
            trigger.id
            for trigger, lot in held.values()
            if judge(trigger, lot, book, NOW_MS) is Judgement.FIRE and trigger.tick is None
        }
        assert fires <= index.firing(book) | _timed(held) <= found | _timed(held)


FEW = [
    (structs.replace(trigger_of(TriggerType.TRAILING_STOP, 100_000, size), id=name), lot)
    for name in "abc"
    for size, lot in ((None, 4), (None, 5), (None, 7), (2, 5), (1, 8))
]
"""Trailing stops of small sizes, most of them of one class; later ones take the place of earlier
ones."""
shallow = st.lists(st.tuples(cents, st.integers(1, 6)), max_size=3).map(
    lambda levels: book_of(tuple(sorted(dict(levels).items(), reverse=True)))
)


@given(st.lists(st.sampled_from(FEW), min_size=1), st.lists(shallow, min_size=1), st.data())
def test_what_is_newly_risen_is_all_that_books_have_shown(
    changes: list[tuple[Trigger, int]], marks: list[Book], data: st.DataObject
) -> None:
    """Of each trigger since it changed the highest, and nothing that a book does not show."""
    index, reported, shown = TriggerIndex(), dict[str, NewPeak](), dict[str, NewPeak]()
    for trigger, lot in changes:
        index.put(trigger, lot)
        reported.pop(trigger.id, None)
        shown.pop(trigger.id, None)
        for book in data.draw(st.lists(st.sampled_from(marks), max_size=3)):
            rose, newly = list(index.risen(book)), index.new_peaks(book)
            assert set(newly) <= set(rose)
            for found, kept in ((rose, shown), (newly, reported)):
                kept.update((risen[0], max(risen, kept.get(risen[0], risen))) for risen in found)
            assert reported == shown
            assert index.new_peaks(book) == []


def _peak(trigger: Trigger, lot: int, book: Book) -> int | None:
    sale = sale_of(trigger, lot, book)
    return None if sale is None else new_peak(trigger, sale)


def _timed(held: dict[str, tuple[Trigger, int]]) -> set[str]:
    """Time stops are looked up by their instants."""
    return {i for i, (trigger, _) in held.items() if trigger.type is TriggerType.TIME_STOP}


def test_a_tick_that_reaches_no_price_costs_no_candidate() -> None:
    index = TriggerIndex()
    for number in range(2_000):
        kind, price = (TriggerType.STOP_LOSS, 300_000) if number % 2 else PRICED_ABOVE
        index.put(structs.replace(trigger_of(kind, price), id=str(number)), 5_000_000 + number)
    assert index.candidates(book_of(((500_000, 10**9),))) == set()
    assert len(index.candidates(book_of(((300_000, 10**9),)))) == 1_000
    assert len(index.candidates(book_of(((700_000, 10**9),)))) == 1_000
    # The best bid alone would miss it: the depth decides.
    assert len(index.candidates(book_of(((500_000, 1), (100_000, 10**9))))) == 1_000


def test_another_asset_is_none_of_its_business() -> None:
    index = TriggerIndex()
    index.put(structs.replace(trigger_of(), asset_id="2"), 5_000_000)
    assert index.candidates(book_of(((100_000, 10**9),))) == set()


def test_a_size_between_the_ends_of_its_class_is_found_both_ways() -> None:
    # 4194304 to 8388607 are one class: its smallest size gets 0.5, its largest less than 0.4.
    steep = book_of(((500_000, 4_194_304), (100_000, 10**9)))
    for kind, price, size in (
        (TriggerType.STOP_LOSS, 400_000, 6_000_000),
        (TriggerType.TAKE_PROFIT, 490_000, 4_200_000),
    ):
        trigger = trigger_of(kind, price)
        assert judge(trigger, size, steep, NOW_MS) is Judgement.FIRE
        index = TriggerIndex()
        index.put(trigger, size)
        assert index.candidates(steep) == {trigger.id}


def test_thin_top_hides_no_stop_of_a_large_lot() -> None:
    index = TriggerIndex()
    index.put(structs.replace(trigger_of(price=100_000, size=5_000_000), id="small"), 60_000_000)
    index.put(structs.replace(trigger_of(price=400_000), id="large"), 60_000_000)
    thin = book_of(((500_000, 20_000_000), (300_000, 1_000_000_000)))
    assert index.candidates(thin) == {"large"}
    assert index.candidates(book_of(((500_000, 1_000_000_000),))) == set()
