"""Books from a real gRPC bookfeed and from the control port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from paper.insiders.bookfeed_source import FRESH_S, BookfeedSource
from paper.insiders.books import BookUnavailable, parse_book, show_book
from paper.insiders.core.model import Level
from paper.insiders.core.requests import parse_object
from tests.paper_insiders.harness import ASSET, CONDITION, Paper, book, served, until
from tradingtools.codec.marks import columns
from tradingtools.v1 import bookfeed_service_pb2 as pb


@dataclass
class Bookfeed:
    """A bookfeed that serves one mark and counts."""

    mark: pb.Mark = field(default_factory=pb.Mark)
    refuse: grpc.StatusCode | None = None
    requested: int = 0

    async def get_book(
        self, request: pb.GetBookRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetBookResponse:
        self.requested += 1
        await asyncio.sleep(0)
        if self.refuse is not None:
            await context.abort(self.refuse, "told to")
        if request.asset_id != ASSET:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such asset")
        return pb.GetBookResponse(mark=self.mark)


def mark(**market: Any) -> pb.Mark:
    return pb.Mark(
        asset_id=ASSET,
        **columns([(400_000, 7_000_000)], [(500_000, 8_000_000)]),
        status=pb.BOOK_STATUS_FRESH,
        market=pb.MarketInfo(
            asset_id=ASSET,
            condition_id=CONDITION,
            tick_micros=10_000,
            min_size_micros=5_000_000,
            fee_rate_micros=40_000,
            category="politics",
            **market,
        ),
    )


@asynccontextmanager
async def bookfeed(servicer: Bookfeed) -> AsyncIterator[str]:
    server = grpc.aio.server()
    get_book = grpc.unary_unary_rpc_method_handler(
        servicer.get_book,
        request_deserializer=pb.GetBookRequest.FromString,
        response_serializer=pb.GetBookResponse.SerializeToString,
    )
    handlers = {"GetBook": get_book}
    name = pb.DESCRIPTOR.services_by_name["BookfeedService"].full_name
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_a_mark_becomes_a_book() -> None:
    feed = Bookfeed(mark=mark(payout_micros=500_000, closed=True))
    async with bookfeed(feed) as target, grpc.aio.insecure_channel(target) as channel:
        found = await BookfeedSource(channel, timeout_s=5).book(ASSET)
    assert found is not None
    assert (found.condition_id, found.tick, found.min_size) == (CONDITION, 10_000, 5_000_000)
    assert (found.fee_rate, found.closed, found.payout) == (40_000, True, 500_000)
    assert found.bids == (Level(price=400_000, size=7_000_000),)
    assert found.asks == (Level(price=500_000, size=8_000_000),)


@pytest.mark.parametrize("status", [pb.BOOK_STATUS_STALE, pb.BOOK_STATUS_CROSSED])
async def test_nothing_is_filled_against_a_book_that_is_not_fresh(status: Any) -> None:
    feed = Bookfeed(mark=mark())
    feed.mark.status = status
    async with bookfeed(feed) as target, grpc.aio.insecure_channel(target) as channel:
        found = await BookfeedSource(channel, timeout_s=5).book(ASSET)
    assert found is not None
    assert (found.bids, found.asks, found.payout) == ((), (), None)


async def test_an_answer_is_used_again_for_fifty_milliseconds_and_no_longer() -> None:
    feed, now = Bookfeed(mark=mark()), [100.0]
    async with bookfeed(feed) as target, grpc.aio.insecure_channel(target) as channel:
        source = BookfeedSource(channel, timeout_s=5, clock=lambda: now[0])
        await asyncio.gather(*(source.book(ASSET) for _ in range(50)))
        now[0] += FRESH_S
        await source.book(ASSET)
        assert feed.requested == 1
        now[0] += 0.001
        await source.book(ASSET)
        assert feed.requested == 2


async def test_unknown_and_unavailable_are_two_things() -> None:
    feed = Bookfeed(mark=mark())
    async with bookfeed(feed) as target, grpc.aio.insecure_channel(target) as channel:
        source = BookfeedSource(channel, timeout_s=5)
        assert await source.book("999") is None
        feed.refuse = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(BookUnavailable, match="UNAVAILABLE"):
            await source.book(ASSET)


async def test_orders_are_filled_against_bookfeed_and_wait_for_it(tmp_path: Path) -> None:
    feed = Bookfeed(mark=mark())
    async with (
        bookfeed(feed) as target,
        served(tmp_path, bookfeed_target=target, own_delay_ms=100) as paper,
    ):
        assert (await paper.post("a")).json["status"] == "ACCEPTED"
        feed.refuse = grpc.StatusCode.UNAVAILABLE

        async def missed() -> bool:
            return feed.requested >= 3

        await until(missed)
        assert (await paper.get("a")).json["status"] == "ACCEPTED"
        refused = await paper.post("b")
        assert (refused.status, refused.code) == (502, "UPSTREAM")
        # A replay needs no book.
        assert (await paper.post("a")).headers["Idempotent-Replay"] == "true"
        feed.refuse = None

        async def matched() -> bool:
            return bool((await paper.get("a")).json["closed"])

        await until(matched)
        order = (await paper.get("a")).json
        assert (order["filledSize"], order["fee"]) == ("8", "0.08")
        # What the control port tells goes before what bookfeed says.
        await paper.put_book(book(asks={"0.5": "100"}, delayMs=0))
        assert (await paper.notify("GET", f"/books/{ASSET}"))["asks"][0]["size"] == "100"
        await paper.notify("DELETE", f"/books/{ASSET}")
        assert (await paper.ask("GET", f"/books/{ASSET}", control=True)).status == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (b'{"asks": [{"price": "0.505", "size": "1"}]}', "asks"),
        (b'{"bids": [{"price": "0.5", "size": "1"}, {"price": "0.50", "size": "2"}]}', "bids"),
        (b'{"bids": [{"price": "0.5"}]}', "bids"),
        (b'{"bids": {}}', "bids"),
        (b'{"payout": "1.5"}', "payout"),
        (b'{"closed": "no"}', "closed"),
        (b'{"tick": "0"}', "tick"),
        (b'{"book": 1}', "book"),
        (b"[]", "body"),
    ],
)
async def test_a_wrong_book_is_refused_by_field(paper: Paper, given: bytes, field: str) -> None:
    reply = await paper.ask("PUT", f"/books/{ASSET}", data=given, control=True)
    assert (reply.status, reply.json["error"]["field"]) == (400, field)


def test_a_book_is_shown_as_it_is_read() -> None:
    given = b"""{"conditionId": "%b", "tick": "0.001", "minSize": "1", "feeRate": "0.07",
        "category": "crypto", "closed": true, "payout": "0.5", "delayMs": 50,
        "bids": [{"price": "0.1", "size": "1"}, {"price": "0.2", "size": "2", "changedMs": 5}],
        "asks": [{"price": "0.9", "size": "1"}, {"price": "0.8", "size": "2"}]}"""
    read = parse_book("1", parse_object(given % CONDITION.encode()))
    assert [level.price for level in read.bids] == [200_000, 100_000]
    assert [level.price for level in read.asks] == [800_000, 900_000]
    assert parse_book("1", show_book(read)) == read
