"""Test that what the socket tells while REST is asked is not lost; one bad message costs no
other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from aiohttp import web

from services.bookfeed.catalogue import Catalogue
from services.bookfeed.core.book_state import Status
from services.bookfeed.core.snapshot_audit import RestBook
from services.bookfeed.core.watchlist import Interest
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.frames import Frames
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.questions import RequestSlots
from tests.ingest.harness import until
from tradingtools.domain import errors
from tradingtools.tasks import cancel_all
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.http import Http, open_client

ASSET, OTHER = "7", "8"
CONDITION = "0x" + "ab" * 32
CLOSED = {
    "conditionId": CONDITION, "closed": True, "clobTokenIds": '["7","8"]',
    "outcomes": '["Yes","No"]',
}  # fmt: skip
AT_MS = 1_790_000_000_000


class World:
    """A venue over HTTP in the test's hands, and bookfeed's own parts without their sockets."""

    fetcher: Fetcher

    def __init__(self) -> None:
        self.bids = {"0.40": "10", "0.39": "20"}
        self.book_ms = AT_MS
        self.no_book = False
        self.least = "5"
        self.gamma: list[dict[str, Any]] | None = []
        """Gamma's answer to each question; None: it has none."""
        self.markets = asyncio.Event()
        """Cleared, questions about markets wait."""
        self.markets.set()
        self.requested = asyncio.Event()
        """Somebody has asked about a market."""
        self.questions = 0
        self.books = asyncio.Event()
        """What questions about books that come now wait for; each keeps the one it met."""
        self.books.set()
        self.books_requested = 0
        self.hung: set[str] = set()
        """Assets about which Gamma never answers."""
        self.bookless: set[str] = set()
        self.over = asyncio.Event()
        self.hub = Hub(stale_ms=15_000, rest_ms=5_000, depth=100)
        self.hub.last_message = lambda _: now_ms()

    async def book(self, request: web.Request) -> web.Response:
        asset = request.query["token_id"]
        if self.no_book or asset in self.bookless:
            raise web.HTTPNotFound
        answer = self.whole(asset)
        self.books_requested += 1
        await self.books.wait()
        return web.json_response(answer)

    async def condition(self, _: web.Request) -> web.Response:
        return web.json_response({"condition_id": CONDITION})

    async def market(self, _: web.Request) -> web.Response:
        answer = {"mts": "0.01", "mos": self.least, "t": [{"t": ASSET, "o": "Yes"}]}
        self.questions += 1
        self.requested.set()
        await self.markets.wait()
        return web.json_response(answer)

    async def about(self, request: web.Request) -> web.Response:
        if request.query["clob_token_ids"] in self.hung:
            await self.over.wait()
        if self.gamma is None:
            raise web.HTTPServiceUnavailable
        return web.json_response(self.gamma)

    def whole(self, asset: str) -> dict[str, Any]:
        bids = [{"price": price, "size": size} for price, size in self.bids.items()]
        return {
            "event_type": "book", "market": CONDITION, "asset_id": asset,
            "timestamp": str(self.book_ms), "bids": bids, "asks": [],
        }  # fmt: skip

    def take(self, *messages: dict[str, Any]) -> bool:
        frame = msgspec.json.encode(messages if len(messages) > 1 else messages[0])
        return Frames(self.hub, self.fetcher).take({ASSET, OTHER}, frame)

    def change(self, price: str, size: str, best: str, at_ms: int) -> None:
        reported = {
            "asset_id": ASSET, "price": price, "size": size, "side": "BUY", "best_bid": best,
            "best_ask": "1",
        }  # fmt: skip
        self.take(
            {"event_type": "price_change", "timestamp": str(at_ms), "price_changes": [reported]}
        )

    def bids_now(self) -> list[tuple[int, int]]:
        return self.hub.tracked[ASSET].book.bids(9)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with _serving(World()) as made:
        yield made


@asynccontextmanager
async def _serving(made: World) -> AsyncIterator[World]:
    app = web.Application()
    app.router.add_get("/book", made.book)
    app.router.add_get("/markets-by-token/{asset}", made.condition)
    app.router.add_get(f"/clob-markets/{CONDITION}", made.market)
    app.router.add_get("/markets", made.about)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with (
            open_client(timeout_ms=30_000, connections=4) as clob,
            open_client(timeout_ms=300_000, connections=12) as gamma,
        ):
            api = ClobApi(Http(clob, url, name="clob"), Http(gamma, url, name="gamma"))
            made.fetcher = Fetcher(
                RequestSlots(api, api), made.hub, Interest(10**6), Catalogue(0),
                market_ttl_ms=60_000, look_ms=30_000, quiet_ms=5_000, at_once=4,
            )  # fmt: skip
            await made.fetcher.ensure(ASSET)
            made.requested.clear()
            yield made
    finally:
        made.over.set()
        await runner.cleanup()


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.fetcher.run())
    try:
        yield
    finally:
        await cancel_all([task])


async def test_changes_that_come_while_a_book_is_asked_for_stay(world: World) -> None:
    world.take(world.whole(ASSET))
    world.change("0.38", "7", "0.405", AT_MS + 10)
    assert world.hub.status(ASSET) is Status.STALE
    world.bids |= {"0.38": "7", "0.405": "1"}
    world.book_ms = AT_MS + 20
    world.markets.clear()
    asking = asyncio.create_task(world.fetcher.ensure(ASSET))
    await world.requested.wait()
    world.change("0.39", "0", "0.405", AT_MS + 30)
    world.markets.set()
    await asking
    # The book has a doubt, and REST's answer has not what came since.
    assert world.hub.status(ASSET) is Status.STALE
    assert 390_000 not in dict(world.bids_now())


async def test_an_older_fetch_takes_no_newer_resync_back(world: World) -> None:
    tracked = world.hub.tracked[ASSET]
    world.markets.clear()
    asking = asyncio.create_task(world.fetcher.ensure(ASSET))
    await world.requested.wait()  # it has its book
    world.bids, world.book_ms = {"0.30": "1"}, AT_MS + 4_000
    tracked.missed(0)
    tracked.begin_resync(now_ms())
    await world.fetcher._looks._resync(ASSET)
    world.markets.set()
    await asking
    assert (world.bids_now(), tracked.book_ms) == ([(300_000, 1_000_000)], AT_MS + 4_000)
    assert world.hub.status(ASSET) is Status.FRESH


async def test_an_older_resync_takes_no_newer_fetch_back(world: World) -> None:
    tracked = world.hub.tracked[ASSET]
    gate, world.books = world.books, asyncio.Event()
    tracked.missed(0)
    tracked.begin_resync(now_ms())
    requested, held = world.books_requested, world.books
    resync = asyncio.create_task(world.fetcher._looks._resync(ASSET))

    async def waits() -> bool:
        return world.books_requested > requested

    await until(waits)
    world.books, world.bids, world.book_ms = gate, {"0.30": "1"}, AT_MS + 4_000
    await world.fetcher.ensure(ASSET)
    held.set()
    await resync
    assert (world.bids_now(), tracked.book_ms) == ([(300_000, 1_000_000)], AT_MS + 4_000)
    assert not tracked.resyncing
    assert world.hub.status(ASSET) is Status.FRESH


async def test_book_age_is_rests_even_if_the_market_is_late(world: World) -> None:
    tracked = world.hub.tracked[ASSET]
    tracked.disconnected()
    world.markets.clear()
    asking = asyncio.create_task(world.fetcher.ensure(ASSET))
    await world.requested.wait()
    reported_ms = now_ms()
    await asyncio.sleep(0.01)
    world.markets.set()
    await asking
    expected = {reported_ms: Status.FRESH, reported_ms + 5_000: Status.STALE}
    for at_ms, status in expected.items():
        assert tracked.status(at_ms, last_message_ms=None, stale_ms=15_000, rest_ms=5_000) is status


async def test_no_book_over_rest_empties_none_that_the_socket_keeps(world: World) -> None:
    world.take(world.whole(ASSET))
    before = world.bids_now()
    world.no_book = True
    await world.fetcher.ensure(ASSET)
    assert world.bids_now() == before


@pytest.mark.parametrize("gamma", [None, []], ids=["away", "knows nothing"])
async def test_a_market_is_closed_by_nobodys_guess(
    world: World, gamma: list[dict[str, Any]] | None
) -> None:
    world.gamma, world.no_book = gamma, True
    await world.fetcher.ensure(ASSET)
    known = world.hub.market(ASSET)
    assert known is not None
    assert not known.closed, "it was open, and nobody has said that it is not"
    world.hub.drop(ASSET)
    with pytest.raises(errors.Unavailable, match="neither a book nor Gamma"):
        await world.fetcher.ensure(ASSET)
    assert world.hub.market(ASSET) is None, "nobody trades on it either"
    world.no_book = False
    await world.fetcher.ensure(ASSET)
    found = world.hub.market(ASSET)
    assert found is not None
    assert not found.closed


async def test_unknown_asset_is_fetched_less_and_less_often(world: World) -> None:
    world.hub.drop(ASSET)
    world.hub.track(ASSET)
    world.gamma, world.no_book = None, True

    async def pause_s() -> int:
        before = now_ms()
        await world.fetcher._warm(ASSET, soon=False)
        return (world.fetcher._due_ms[ASSET] - before) // 1_000

    assert [await pause_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    world.no_book = False
    await world.fetcher._warm(ASSET, soon=False)
    assert world.hub.market(ASSET) is not None
    world.hub.drop(ASSET)
    world.hub.track(ASSET)
    world.no_book = True
    assert await pause_s() == 1, "what was found has waited enough"


async def test_a_venue_that_is_away_is_asked_again_soon(world: World) -> None:
    """Each held asset waits for it to be back, and no stop of it is judged before."""
    away = errors.Unavailable("away", dependency="clob", retry_after_ms="1000")
    assert {world.fetcher._pause_ms(ASSET, away) for _ in range(9)} == {1_000}


async def test_what_is_asked_for_in_vain_holds_up_nothing_new(world: World) -> None:
    old = {f"1{number}" for number in range(8)}
    world.bookless, world.gamma = old, None
    for asset in old:
        world.hub.track(asset)
        await world.fetcher._warm(asset, soon=False)
        world.fetcher._due_ms[asset] = 1
    world.hung = set(old)
    async with running(world):
        await until(lambda: requested_again(world, old))
        world.hub.track(OTHER)
        await until(lambda: known(world, OTHER))


async def requested_again(world: World, assets: set[str]) -> bool:
    return world.fetcher.busy & assets != set()


async def known(world: World, asset: str) -> bool:
    return world.hub.market(asset) is not None


async def test_what_the_clob_says_of_a_market_waits_for_no_gamma(world: World) -> None:
    world.gamma = [{**CLOSED, "closed": False, "question": "Why?", "feeSchedule": {"rate": 0.01}}]
    await world.fetcher.ensure(ASSET)
    world.least, world.hung = "6", {ASSET}
    world.fetcher.refresh_soon(ASSET)
    async with running(world):

        async def learnt() -> pb.MarketInfo | None:
            market = world.hub.market(ASSET)
            return market if market is not None and market.min_size_micros == 6_000_000 else None

        market = await until(learnt)
    assert market is not None
    assert (market.title, market.fee_rate_micros) == ("Why?", 10_000), "Gamma's words stay"


async def test_requested_refresh_does_not_wait_for_another_ones_gamma(world: World) -> None:
    others = {f"1{number}" for number in range(8)}
    for asset in others:
        await world.fetcher.ensure(asset)
        world.fetcher._due_ms[asset] = 1
    world.gamma, world.hung = [CLOSED], others
    async with running(world):

        async def hang() -> bool:
            return world.fetcher._gammas.locked()

        await until(hang)
        world.fetcher.refresh_soon(ASSET)

        async def closed() -> bool:
            market = world.hub.market(ASSET)
            return market is not None and market.closed

        await until(closed)


async def test_markets_fetched_together_are_refreshed_apart(
    world: World,
) -> None:
    assets = [f"1{number}" for number in range(40)]
    for asset in assets:
        await world.fetcher.ensure(asset)
        world.fetcher.refresh_soon(asset)
    async with running(world):

        async def requested() -> bool:
            return all(world.fetcher._due_ms[asset] for asset in assets)

        await until(requested)
    assert len({world.fetcher._due_ms[asset] for asset in assets}) > 30


async def test_a_market_that_gamma_has_closed_stays_closed(world: World) -> None:
    world.gamma, world.no_book = [CLOSED], True
    world.hub.drop(ASSET)
    await world.fetcher.ensure(ASSET)
    for gamma in ([CLOSED], None, []):
        world.gamma = gamma
        await world.fetcher.ensure(ASSET)
        market = world.hub.market(ASSET)
        assert market is not None
        assert market.closed


async def test_a_tick_that_changes_while_the_market_is_asked_for_stays(world: World) -> None:
    world.least = "6"
    world.markets.clear()
    world.fetcher.refresh_soon(ASSET)
    running = asyncio.create_task(world.fetcher.run())
    await world.requested.wait()
    world.take({"event_type": "tick_size_change", "asset_id": ASSET, "new_tick_size": "0.001"})
    world.markets.set()

    async def refreshed() -> pb.MarketInfo | None:
        market = world.hub.market(ASSET)
        return market if market is not None and market.min_size_micros == 6_000_000 else None

    market = await until(refreshed)
    running.cancel()
    await asyncio.wait([running])
    assert market is not None
    assert market.tick_micros == 1_000


async def test_one_refresh_at_a_time_and_no_request_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    def counted() -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(world.hub, "notice_statuses", counted)
    world.markets.clear()
    world.fetcher.refresh_soon(ASSET)
    running = asyncio.create_task(world.fetcher.run())
    await world.requested.wait()
    before = turns

    async def later() -> bool:
        world.fetcher.refresh_soon(ASSET)
        return turns > before + 3

    await until(later)
    assert world.questions == 2, "the first fetch's and one more"
    world.markets.set()

    async def requested_again() -> bool:
        return world.questions > 2

    await until(requested_again)
    running.cancel()
    await asyncio.wait([running])


async def test_socket_update_during_a_rest_request_stays(world: World) -> None:
    world.markets.clear()
    asking = asyncio.create_task(world.fetcher.ensure(ASSET))
    await world.requested.wait()
    world.take(
        {"event_type": "tick_size_change", "asset_id": ASSET, "new_tick_size": "0.001"},
        {
            "event_type": "market_resolved", "market": CONDITION, "assets_ids": [ASSET, OTHER],
            "winning_asset_id": ASSET,
        },
    )  # fmt: skip
    world.markets.set()
    await asking
    market = world.hub.market(ASSET)
    assert market is not None
    assert (market.closed, market.tick_micros) == (True, 1_000)
    assert market.HasField("payout_micros")
    assert market.payout_micros == 1_000_000


async def test_one_message_that_cannot_be_read_costs_no_other(world: World) -> None:
    world.hub.tracked[ASSET].disconnected()
    world.book_ms = AT_MS + 50
    assert world.take({"event_type": "not_heard_of"}, world.whole(ASSET))
    tracked = world.hub.tracked[ASSET]
    assert tracked.on_socket
    assert world.hub.status(ASSET) is Status.FRESH
    # A kind that is new is no change of a book, or all books would be in doubt for it.
    world.take({"event_type": "not_heard_of", "asset_id": ASSET}, world.whole(OTHER))
    assert world.hub.status(ASSET) is Status.FRESH


@pytest.mark.parametrize(
    "message",
    [
        {"event_type": "price_change", "changes_now": [{"asset_id": ASSET}]},
        {"event_type": "book", "asset_id": ASSET, "bids": {}},
        {"asset_id": ASSET},
        ["price_change", ASSET],
    ],
)
async def test_unreadable_frame_that_names_an_asset_raises_doubt(
    world: World, message: Any
) -> None:
    world.take(world.whole(ASSET))
    world.take(message, world.whole(OTHER))
    assert world.hub.status(ASSET) is Status.STALE


async def test_winner_outside_the_market_pays_nothing(world: World) -> None:
    world.take({
        "event_type": "market_resolved", "market": CONDITION, "assets_ids": [ASSET, OTHER],
        "winning_asset_id": "9",
    })  # fmt: skip
    market = world.hub.market(ASSET)
    assert market is not None
    assert market.closed
    assert not market.HasField("payout_micros")


async def test_unwatched_book_is_fetched_before_it_is_stale(
    world: World,
) -> None:
    """Once each look, it was fresh for a sixth of the time, and a stop was judged as seldom."""
    tracked = world.hub.tracked[ASSET]
    assert not tracked.on_socket
    due_ms: list[int] = []
    for now in range(AT_MS, AT_MS + 60_000, 100):
        if world.fetcher._looks._refresh_is_due(ASSET, tracked, now):
            due_ms.append(now)
            assert not tracked.doubtful, "and it is fresh while it is asked for"
    assert len(due_ms) > 2
    assert AT_MS + 1_000 <= due_ms[0] < AT_MS + 1_500, "a spare connection is sooner"
    assert max(later - due for due, later in pairwise(due_ms)) < 5_000
    world.take(world.whole(ASSET))
    assert not world.fetcher._looks._refresh_is_due(ASSET, tracked, AT_MS + 60_000)
    # So is one that its connection does not keep whole.
    world.take({"event_type": "price_change", "changes_now": [{"asset_id": ASSET}]})
    for now in (AT_MS, AT_MS + 2_000):
        assert tracked.wants_resync(now)
        tracked.begin_resync(now)
        answer = RestBook([(1, 1)], [], AT_MS - 1)
        tracked.refused()
        tracked.end_resync(answer, now_ms=now, received_ns=AT_MS * 10**6)
    assert not tracked.wants_resync(AT_MS + 4_000)
    assert not world.fetcher._looks._refresh_is_due(ASSET, tracked, AT_MS + 2_100)
    assert world.fetcher._looks._refresh_is_due(ASSET, tracked, AT_MS + 3_100)
