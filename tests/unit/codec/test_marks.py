"""A book keeps its levels on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.codec.marks import book_from_pb, columns
from tradingtools.v1 import bookfeed_service_pb2 as pb

levels = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2**62)), max_size=5)


@given(levels, levels)
def test_levels_come_back_as_they_were(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    wire = pb.Mark(**columns(bids, asks)).SerializeToString()
    book = book_from_pb(pb.Mark.FromString(wire))
    assert (book.bids, book.asks) == (tuple(bids), tuple(asks))
    assert book_from_pb(pb.Mark.FromString(wire), asks=False).asks == ()


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_price_without_a_size_is_no_level(side: str) -> None:
    mark = pb.Mark(asset_id="7")
    getattr(mark, f"{side}_prices_micros").append(400_000)
    with pytest.raises(ValueError, match=f"mark of 7 has 1 {side} prices and 0 {side} sizes"):
        book_from_pb(mark)


anything = st.text(st.characters(codec="utf-8") | st.sampled_from("\x00\n\x7f"), max_size=9)


@given(anything, anything)
def test_what_the_venue_says_of_a_market_can_be_stored(category: str, condition: str) -> None:
    said = pb.MarketInfo(category=category, condition_id=condition)
    market = book_from_pb(pb.Mark(asset_id="7", market=said)).market
    assert market.category
    for text in (market.category, market.condition_id):
        assert not set(text) & set(map(chr, [*range(0x20), 0x7F]))


def test_each_mark_has_its_own_market() -> None:
    one, other = pb.MarketInfo(tick_micros=1_000), pb.MarketInfo(tick_micros=10_000)
    reported = [("1", one), ("2", one), ("1", other), ("1", one)]
    books = [
        book_from_pb(pb.Mark(asset_id=asset_id, market=market)) for asset_id, market in reported
    ]
    found = [(book.market.asset_id, book.market.tick_micros) for book in books]
    assert found == [("1", 1_000), ("2", 1_000), ("1", 10_000), ("1", 1_000)]
