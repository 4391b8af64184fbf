"""Messages of the market channel as the wire writes them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.venues.polymarket.market_channel import (
    BookMessage,
    ChangeMessage,
    MessageError,
    ResolvedMessage,
    TickMessage,
    UnknownKind,
    decode_message,
    decode_rest_book,
)

YES = "23301986753087447448745148897291724992684011347958433527791072390766877757155"
NO = "10441678277472444874451488972917249926840113479584335277910723907668777571553"
MARKET = "0x80C7a3f5a6c0529846fd87559429fb702416d4da1c9566cfd15317f9faaf62c4"
HASHES = ("f2a3e3081d55b8a1a3b9c90d4e5f60718293a4b5", "688f0c4b1f2e3d4c5b6a79880716253443526170")
ON_WIRE = {
    name.encode(): value.encode()
    for name, value in (
        ("market", MARKET),
        ("yes", YES),
        ("no", NO),
        ("h0", HASHES[0]),
        ("h1", HASHES[1]),
    )
}
BOOK = (
    b'{"event_type":"book","market":"%(market)s","asset_id":"%(yes)s","timestamp":"1790272267688",'
    b'"hash":"%(h0)s","bids":[{"price":".57","size":"158113.96"},{"price":"0.61","size":"3256.61"}],'
    b'"asks":[{"price":"0.66","size":"78464"},{"price":"0.62","size":"163745.06"}],'
    b'"tick_size":"0.01","last_trade_price":"0.390"}'
) % ON_WIRE
CHANGE = (
    b'{"event_type":"price_change","market":"%(market)s","timestamp":"1790272269309",'
    b'"price_changes":[{"asset_id":"%(yes)s","price":"0.59","size":"703988.22","side":"BUY",'
    b'"hash":"%(h0)s","best_bid":"0.61","best_ask":"0.62"},{"asset_id":"%(no)s","price":"0.41",'
    b'"size":"703988.22","side":"SELL","hash":"%(h1)s","best_bid":"0.38","best_ask":"0.39"}]}'
) % ON_WIRE


def test_a_book_is_read_exactly_alone_or_in_an_array() -> None:
    (book,) = decode_message(BOOK)
    assert decode_message(b"[" + BOOK + b"]") == [book]
    assert isinstance(book, BookMessage)
    assert book.bids == ((570_000, 158_113_960_000), (610_000, 3_256_610_000))
    assert book.asks == ((660_000, 78_464_000_000), (620_000, 163_745_060_000))
    assert (book.asset_id, book.condition_id) == (YES, MARKET.lower())
    assert book.book_hash == HASHES[0]
    assert (book.tick_micros, book.book_ms) == (10_000, 1_790_272_267_688)


def test_changes_keep_their_order_and_the_venues_best_prices() -> None:
    (message,) = decode_message(CHANGE)
    assert isinstance(message, ChangeMessage)
    first, second = message.changes
    assert (first.is_bid, first.price_micros, first.size_micros) == (True, 590_000, 703_988_220_000)
    assert (first.best_bid, first.best_ask) == (610_000, 620_000)
    assert (second.is_bid, second.price_micros) == (False, 10**6 - first.price_micros)
    assert second.size_micros == first.size_micros
    assert (second.best_bid, second.best_ask) == (10**6 - 620_000, 10**6 - 610_000)
    assert (first.asset_id, second.asset_id) == (YES, NO)
    assert (first.book_hash, second.book_hash) == HASHES


def test_a_level_that_goes_and_an_empty_side_are_read() -> None:
    frame = CHANGE.replace(b'"703988.22"', b'"0"').replace(b'"0.38"', b'"0"')
    (message,) = decode_message(frame.replace(b'"0.39"', b'"1"'))
    assert isinstance(message, ChangeMessage)
    second = message.changes[1]
    assert (second.size_micros, second.best_bid, second.best_ask) == (0, 0, 1_000_000)


@pytest.mark.parametrize("given", [b"", b',"hash":null', b',"hash":""'])
def test_a_hash_may_be_missing(given: bytes) -> None:
    written = b',"hash":"' + HASHES[0].encode() + b'"'
    (book,) = decode_message(BOOK.replace(written, given))
    (message,) = decode_message(CHANGE.replace(written, given))
    assert isinstance(book, BookMessage)
    assert isinstance(message, ChangeMessage)
    assert (book.book_hash, message.changes[0].book_hash) == ("", "")


def test_best_prices_may_be_missing() -> None:
    (message,) = decode_message(CHANGE.replace(b',"best_bid":"0.61","best_ask":"0.62"', b""))
    assert isinstance(message, ChangeMessage)
    assert (message.changes[0].best_bid, message.changes[0].best_ask) == (None, None)


def test_ticks_and_resolutions_are_read() -> None:
    tick = (
        b'{"event_type":"tick_size_change","market":"0x","asset_id":"7","old_tick_size":"0.01",'
        b'"new_tick_size":"0.001","timestamp":"1"}'
    )
    assert decode_message(tick) == [TickMessage(asset_id="7", tick_micros=1_000)]
    resolved = (
        b'{"event_type":"market_resolved","id":"1031769","market":"0xAB","assets_ids":["7","8"],'
        b'"winning_asset_id":"%s","winning_outcome":"Yes","timestamp":"1766790415550"}'
    )
    assert decode_message(resolved % b"8") == [
        ResolvedMessage(condition_id="0xab", asset_ids=("7", "8"), winner="8")
    ]
    (nobody,) = decode_message(resolved % b"")
    assert isinstance(nobody, ResolvedMessage)
    assert nobody.winner is None


@pytest.mark.parametrize("kind", ["last_trade_price", "best_bid_ask", "new_market"])
def test_messages_of_no_interest_are_nothing(kind: str) -> None:
    assert decode_message(b'{"event_type":"%s","asset_id":"7"}' % kind.encode()) == []


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b"7", b'"x"', b'{"event_type":"surprise"}', b"{}", b"[" * 50_000,
        BOOK.replace(b'"78464"', b'"-1"'), BOOK.replace(b'"78464"', b"78464"),
        BOOK.replace(b'"0.66"', b'"1.66"'), BOOK.replace(b'"78464"', b'"NaN"'),
        CHANGE.replace(b'"BUY"', b'"HOLD"'), CHANGE.replace(b'"703988.22"', b'"0.0000001"'),
        BOOK.replace(b'"0.01"', b'"0"'), BOOK.replace(b'"0.01"', b'"1"'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(frame: bytes) -> None:
    with pytest.raises(MessageError):
        decode_message(frame)


def test_a_message_of_a_new_kind_is_known_from_one_that_cannot_be_read() -> None:
    with pytest.raises(UnknownKind):
        decode_message(b'{"event_type":"surprise","asset_id":"7"}')
    for frame in (b'{"event_type":"book"}', b'[{"event_type":"surprise"}]', b'{"asset_id":"7"}'):
        with pytest.raises(MessageError) as refused:
            decode_message(frame)
        assert refused.type is MessageError


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_refused(frame: bytes) -> None:
    for decode in (decode_message, decode_rest_book):
        try:
            decode(frame)
        except MessageError:
            continue


def test_the_rest_book_brings_the_markets_limits() -> None:
    body = BOOK.replace(b'"event_type":"book",', b'"min_order_size":"5","neg_risk":true,')
    book = decode_rest_book(body)
    assert (book.min_size_micros, book.neg_risk, book.tick_micros) == (5_000_000, True, 10_000)


@pytest.mark.parametrize("tick", [b'"0"', b'"1"', b'"2"', b"2", b'"x"', b"null", b'""'])
def test_a_tick_that_no_price_can_keep_is_none_over_rest_and_costs_no_level(tick: bytes) -> None:
    whole = decode_rest_book(BOOK)
    assert decode_rest_book(BOOK.replace(b'"0.01"', tick)) == replace(whole, tick_micros=None)
