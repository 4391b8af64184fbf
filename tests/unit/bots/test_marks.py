"""A mark holds as long as its book is whole and trusted, however quiet the market is."""

from __future__ import annotations

import msgspec
import pytest

from services.bots.core.market import Market
from tests.unit.bots.samples import book, outcome
from tradingtools.domain.book import BookStatus
from tradingtools.venues.trading import MarkPrice

YES = outcome()
WHOLE = book(YES, [(490_000, 9)], [(510_000, 9)])
LATER_MS = 60_000


def market() -> Market:
    known = Market({YES.id: YES})
    known.take(WHOLE, 0)
    return known


def test_the_mark_of_a_quiet_book_is_as_of_now() -> None:
    mark = market().marks_at(LATER_MS)[YES.id]
    assert (mark.price, mark.at_ms) == (500_000, LATER_MS)


@pytest.mark.parametrize(
    "change",
    [{"asks": ()}, {"status": BookStatus.EMPTY, "bids": (), "asks": ()},
     {"status": BookStatus.STALE}],
    ids=["one side is empty", "both are", "it is in doubt"],
)  # fmt: skip
def test_the_mark_of_any_other_book_keeps_its_time(change: dict[str, object]) -> None:
    known = market()
    known.take(msgspec.structs.replace(WHOLE, **change), LATER_MS)
    assert known.marks_at(LATER_MS)[YES.id].at_ms == 0


def test_a_mark_without_a_book_keeps_its_time() -> None:
    known = Market({YES.id: YES})
    known.take(MarkPrice(instrument_id=YES.id, price=480_000, venue_ms=5), 5)
    assert known.marks_at(LATER_MS)[YES.id].at_ms == 5
