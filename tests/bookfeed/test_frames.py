"""A market's day as the wire writes it: decoded, applied, and the same told of both its assets.

The files have the shapes and lengths of the real channel: ids of 77 digits, hashes of 40, numbers
as strings, levels best last, each change told for YES and, mirrored, for NO.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from services.bookfeed.core.book_state import Status
from services.bookfeed.core.snapshot_audit import AuditVerdict, RestBook
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.frames import Frames
from services.bookfeed.hub import Hub, now_ms
from tradingtools.domain.money import MICROS
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.market_channel import (
    BookMessage,
    ChangeMessage,
    decode_message,
    decode_rest_book,
)
from tradingtools.venues.polymarket.unreadable import Answers

FRAMES = Path(__file__).parent / "frames"
DAY = [path.name for path in sorted(FRAMES.glob("[0-9]-*.json"))]


def frame(name: str) -> bytes:
    return (FRAMES / name).read_bytes()


def books() -> tuple[BookMessage, BookMessage]:
    yes, no = decode_message(frame("1-books.json"))
    assert isinstance(yes, BookMessage)
    assert isinstance(no, BookMessage)
    return yes, no


YES, NO = (book.asset_id for book in books())


@pytest.fixture
def hub() -> Hub:
    found = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
    found.last_message = lambda _: now_ms()
    for asset in (YES, NO):
        found.track(asset)
        market = pb.MarketInfo(asset_id=asset, condition_id=books()[0].condition_id)
        market.tick_micros = 10_000
        found.set_market(asset, market)
    return found


def take(hub: Hub, *names: str) -> list[bool]:
    frames = Frames(hub, cast(Fetcher, None))
    return [frames.take({YES, NO}, frame(name)) for name in names]


def mark(hub: Hub, asset: str) -> pb.Mark:
    found = hub.mark(asset)
    assert found is not None
    return found


def test_the_files_are_as_long_as_the_wire() -> None:
    for book in books():
        assert len(book.asset_id) == 77
        assert len(book.condition_id) == 66
        assert len(book.book_hash) == 40
    (change,) = decode_message(frame("2-inner-level.json"))
    assert isinstance(change, ChangeMessage)
    assert [one.asset_id for one in change.changes] == [YES, NO]
    assert all(len(one.book_hash) == 40 for one in change.changes)


@pytest.mark.parametrize("until", range(1, 5))
def test_both_assets_tell_the_same_after_each_message(hub: Hub, until: int) -> None:
    take(hub, *DAY[:until])
    yes, no = hub.tracked[YES].book, hub.tracked[NO].book
    assert [(MICROS - price, size) for price, size in no.asks(99)] == yes.bids(99)
    assert [(MICROS - price, size) for price, size in no.bids(99)] == yes.asks(99)
    assert hub.status(YES) is hub.status(NO) is Status.FRESH


def test_a_day_ends_as_rest_says_it_does(hub: Hub) -> None:
    reported = take(hub, *DAY)
    assert reported == [True, True, True, True, False, False, False, False]
    tracked = hub.tracked[YES]
    rest = decode_rest_book(frame("rest-book.json"))
    assert tracked.book_hash == rest.book_hash
    requested = RestBook(rest.bids, rest.asks, rest.book_ms, rest.book_hash)
    assert tracked.begin_audit().judge(requested, over=False) is AuditVerdict.SAME
    assert tracked.book.bids(2) == [(620_000, 77_400_000), (610_000, 3_256_610_000)]
    assert tracked.book.asks(1) == [(630_000, 5_000_000)]


@pytest.mark.parametrize("lost", DAY[1:3])
def test_whatever_message_is_lost_rest_tells(hub: Hub, lost: str) -> None:
    take(hub, *(name for name in DAY[:4] if name != lost))
    tracked = hub.tracked[YES]
    rest = decode_rest_book(frame("rest-book.json"))
    requested = RestBook(rest.bids, rest.asks, rest.book_ms, rest.book_hash)
    assert tracked.begin_audit().judge(requested, over=True) is AuditVerdict.MISSED


def test_a_tick_that_changes_is_in_the_next_mark_of_its_asset(hub: Hub) -> None:
    take(hub, "1-books.json")
    before = mark(hub, YES)
    assert before.market.tick_micros == 10_000
    take(hub, "7-tick.json")
    assert mark(hub, YES).market.tick_micros == 1_000
    assert mark(hub, YES).revision > before.revision
    assert mark(hub, NO).market.tick_micros == 10_000


def test_a_resolution_pays_the_winner(hub: Hub) -> None:
    take(hub, *DAY)
    assert [mark(hub, a).market.payout_micros for a in (YES, NO)] == [MICROS, 0]
    assert all(mark(hub, a).market.closed for a in (YES, NO))


def test_frames_that_cannot_be_read_are_known_to_health_checks(hub: Hub) -> None:
    answers = Answers()
    frames = Frames(hub, cast(Fetcher, None), answers)
    renamed = frame("1-books.json").replace(b'"bids"', b'"buys"')
    # Both books of it count.
    frames.take({YES, NO}, renamed)
    assert answers.readable()
    frames.take({YES, NO}, renamed)
    assert not answers.readable()
    frames.take({YES, NO}, frame("1-books.json"))
    assert answers.readable()
