"""The engine's books at a paper CLOB: whole, told at once, and never trusted in doubt."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest

from services.signer.accounts import order_of
from tests.paper_clob.harness import CONDITION, KEYS, NO, WALLETS, YES, Live, exchange
from tests.paper_clob.trader import derived_key
from tests.support.clob_signer import LocalSigner
from tests.unit.venues.polymarket.test_trading_gateway import INSTRUMENT, new_order
from tradingtools import clock
from tradingtools.domain.book import BookStatus
from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.domain.signing import ClobOrder, ClobRequest, Signable
from tradingtools.venues.polymarket import contracts, order_signing
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.clob_auth import ApiKey
from tradingtools.venues.polymarket.engine_watch import EngineWatch
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.market_channel import MessageError
from tradingtools.venues.polymarket.market_feed import PolymarketFeed
from tradingtools.venues.polymarket.market_session import MarketSession
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.order_transport import SigningError
from tradingtools.venues.polymarket.remote_signer import RemoteSigner
from tradingtools.venues.polymarket.trading_instruments import PolymarketInstruments
from tradingtools.venues.polymarket.trading_wallet import PolymarketVenue, open_wallet
from tradingtools.venues.trading import MarketEvent, PhaseChange, Print, TradingBook

ONE = 1_000_000


class Reader:
    """What a feed has told: every event, and the newest book of each outcome."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self.instruments = instruments
        self.events: list[MarketEvent] = []

    def book(self, symbol: str = YES) -> TradingBook | None:
        found = [event for event in self.events if isinstance(event, TradingBook)]
        return next((b for b in reversed(found) if b.instrument_id.endswith(symbol)), None)

    async def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, f"waited too long; last: {self.events[-3:]}"
            await asyncio.sleep(0.01)

    def fresh(self, best_bid: int | None, best_ask: int | None) -> bool:
        book = self.book()
        if book is None or book.status not in (BookStatus.FRESH, BookStatus.EMPTY):
            return False
        bid = book.bids[0][0] if book.bids else None
        return (bid, book.asks[0][0] if book.asks else None) == (best_bid, best_ask)


@asynccontextmanager
async def reading(live: Live) -> AsyncIterator[Reader]:
    async with httpx.AsyncClient(timeout=30.0) as client:
        clob = Http(client, live.url, name="clob")
        api = ClobApi(clob, Http(client, f"{live.url}/gamma", name="gamma"))
        found = await PolymarketInstruments(api).find([YES, NO])
        feed = PolymarketFeed(
            f"{live.ws}/ws/market",
            api,
            ping_seconds=0.2,
            silent_seconds=1.0,
            compare_seconds=0.05,
        )
        reader = Reader(list(found))
        task = asyncio.create_task(_read(feed, reader))
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _read(feed: PolymarketFeed, reader: Reader) -> None:
    async for event in feed.events(reader.instruments):
        reader.events.append(event)


async def test_books_prints_ticks_and_the_end_are_told(tmp_path: Path) -> None:
    async with exchange(tmp_path) as live:
        await live.level("BUY", "0.4", "10")
        async with reading(live) as reader:
            await reader.until(lambda: reader.fresh(400_000, None))
            await live.level("SELL", "0.6", "20")
            await live.level("SELL", "0.61", "5")
            await reader.until(lambda: reader.fresh(400_000, 600_000))
            other = reader.book(NO)
            assert other is not None
            assert other.bids[0] == (400_000, 20 * ONE)
            await live.notify("/tick", condition=CONDITION, tick="0.001")
            await live.notify("/resolve", condition=CONDITION, payouts=["1", "0"])

            def changes() -> list[PhaseChange]:
                return [event for event in reader.events if isinstance(event, PhaseChange)]

            await reader.until(lambda: len(changes()) == 4)
            assert [change.cause for change in changes()] == ["tick_change"] * 2 + [
                "resolution"
            ] * 2
            assert {change.instrument.tick_size for change in changes()} == {1_000}
            assert changes()[-1].phase is TradingPhase.ENDED


async def test_a_book_in_doubt_is_stale_until_a_whole_one_comes(tmp_path: Path) -> None:
    """Cut, silent, or frozen with its pings answered: each is noticed, none is trusted."""
    async with exchange(tmp_path) as live:
        await live.level("BUY", "0.4", "10")
        async with reading(live) as reader:
            await reader.until(lambda: reader.fresh(400_000, None))

            def stale() -> bool:
                book = reader.book()
                return book is not None and book.status is BookStatus.STALE

            await live.notify("/drop")
            await reader.until(stale)
            await reader.until(lambda: reader.fresh(400_000, None))
            await live.notify("/switches", frozen=True)
            await live.level("BUY", "0.45", "10")
            await reader.until(stale)
            await live.notify("/switches", frozen=False)
            await reader.until(lambda: reader.fresh(450_000, None))


def instrument(symbol: str) -> Instrument:
    return replace(INSTRUMENT, id=f"polymarket:{symbol}")


def reported(session: MarketSession, frame: object) -> list[MarketEvent]:
    return list(session.receive(json.dumps(frame).encode(), 1))


def book_frame(bids: dict[str, str], asks: dict[str, str]) -> dict[str, object]:
    return {
        "event_type": "book",
        "market": CONDITION,
        "asset_id": YES,
        "timestamp": "1790272267688",
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in asks.items()],
    }


def change_frame(price: str, size: str, side: str, bid: str, ask: str) -> dict[str, object]:
    change = {"asset_id": YES, "price": price, "size": size, "side": side}
    return {
        "event_type": "price_change",
        "market": CONDITION,
        "timestamp": "1790272269309",
        "price_changes": [change | {"best_bid": bid, "best_ask": ask}],
    }


def test_a_change_that_leads_elsewhere_puts_the_book_in_doubt() -> None:
    session = MarketSession([instrument(YES)])
    assert reported(session, change_frame("0.5", "1", "BUY", "0.5", "1")) == []  # not seen yet
    (fresh,) = reported(session, [book_frame({"0.4": "10"}, {"0.6": "5"})])
    assert isinstance(fresh, TradingBook)
    assert (fresh.status, fresh.bids, fresh.asks) == (
        BookStatus.FRESH,
        [(400_000, 10 * ONE)],
        [(600_000, 5 * ONE)],
    )
    (good,) = reported(session, change_frame("0.45", "3", "BUY", "0.45", "0.6"))
    assert isinstance(good, TradingBook)
    assert (good.status, good.bids[0]) == (BookStatus.FRESH, (450_000, 3 * ONE))
    (doubtful,) = reported(session, change_frame("0.44", "3", "BUY", "0.46", "0.6"))
    assert isinstance(doubtful, TradingBook)
    assert doubtful.status is BookStatus.STALE
    assert session.doubtful
    assert reported(session, change_frame("0.46", "3", "BUY", "0.46", "0.6")) == []
    (whole,) = reported(session, book_frame({}, {}))
    assert isinstance(whole, TradingBook)
    assert (whole.status, session.doubtful) == (BookStatus.EMPTY, False)
    (crossed,) = reported(session, book_frame({"0.6": "1"}, {"0.5": "1"}))
    assert isinstance(crossed, TradingBook)
    assert crossed.status is BookStatus.CROSSED
    assert [event.status for event in session.lost(2) if isinstance(event, TradingBook)] == [
        BookStatus.STALE
    ]


def test_a_trade_is_a_print_and_what_cannot_be_read_is_an_error() -> None:
    session = MarketSession([instrument(YES)])
    trade = {"event_type": "last_trade_price", "asset_id": YES, "price": "0.002", "size": "20"}
    trade |= {"side": "SELL", "timestamp": "1790272284579", "transaction_hash": "0xab"}
    (found,) = reported(session, trade)
    assert isinstance(found, Print)
    assert (found.side, found.price, found.size) == ("SELL", 2_000, 20 * ONE)
    assert reported(session, trade | {"asset_id": NO}) == []
    assert reported(session, {"event_type": "something_new"}) == []
    for bad in (trade | {"price": "?"}, {"event_type": "book", "asset_id": YES}):
        with pytest.raises(MessageError):
            reported(session, bad)


def test_random_changes_lead_to_the_book_that_the_exchange_has() -> None:
    rng, session = Random(3), MarketSession([instrument(YES)])  # noqa: S311 - the seed decides
    bids, asks = dict[int, int](), dict[int, int]()
    reported(session, book_frame({}, {}))
    for _ in range(300):
        side = rng.choice(["BUY", "SELL"])
        levels, others = (bids, asks) if side == "BUY" else (asks, bids)
        price = rng.randrange(1, 50) + (0 if side == "BUY" else 50)
        size = rng.choice([0, 1, 2, 30])
        levels[price] = size
        if not size:
            del levels[price]
        assert not set(levels) & set(others)
        best = (max(bids, default=0) / 100, min(asks, default=100) / 100)
        frame = change_frame(
            f"{price / 100:.2f}", str(size), side, f"{best[0]:.2f}", f"{best[1]:.2f}"
        )
        (event,) = reported(session, frame)
        assert isinstance(event, TradingBook)
        assert event.status is (BookStatus.FRESH if bids or asks else BookStatus.EMPTY)
        assert list(event.bids) == [(p * 10_000, s * ONE) for p, s in sorted(bids.items())[::-1]]
        assert list(event.asks) == [(p * 10_000, s * ONE) for p, s in sorted(asks.items())]


async def test_a_wallet_is_put_together_and_signs_by_another_process(tmp_path: Path) -> None:
    """Its requests reach the signer as the values that it knows, and come back signed."""
    requested: list[Signable] = []

    async with exchange(tmp_path) as live:
        api_key = await _api_key(live)
        local = LocalSigner(KEYS[0], api_key)

        class Elsewhere:
            async def sign(self, ask: Signable) -> str:
                requested.append(ask)
                if isinstance(ask, ClobRequest):
                    return await local.sign_request(
                        timestamp_s=ask.timestamp,
                        method=ask.method,
                        path=ask.path,
                        body=ask.body.encode(),
                    )
                if ask.epoch != 7:
                    raise NotAllowed("another engine holds the wallet", reason="lease")
                assert isinstance(ask, ClobOrder)
                order, exchange = order_of(ask)
                return await local.sign_order(order, exchange)

        venue = PolymarketVenue(
            clob_url=live.url,
            gamma_url=f"{live.url}/gamma",
            data_url=f"{live.url}/data-api",
            sockets_url=f"{live.ws}/ws",
        )
        wallet = TradingWallet(
            address=WALLETS[0], signer=WALLETS[0], signature_type=SignatureType.EOA
        )
        signer = RemoteSigner(Elsewhere(), "wallet-1", 7)
        async with open_wallet(venue, wallet, api_key=api_key, signer=signer) as ports:
            (yes,) = await ports.instruments.find([YES])
            order = new_order(instrument=yes, price=400_000, size=10 * ONE)
            assert (await ports.orders.place(order)).code == "LIVE"
            (resting,) = await ports.accounts.open_orders()
            assert resting.order_id == order.order_id
            async for event in ports.markets.events([yes]):
                assert isinstance(event, TradingBook)
                assert list(event.bids) == [(400_000, 10 * ONE)]
                break
        assert {type(ask) for ask in requested} == {ClobOrder, ClobRequest}
        late = RemoteSigner(Elsewhere(), "wallet-1", 6)
        with pytest.raises(SigningError, match="another engine"):
            await late.sign_order(_order(), contracts.STANDARD)


def _order() -> order_signing.ClobOrder:
    return order_signing.ClobOrder(
        salt=1,
        maker=WALLETS[0],
        signer=WALLETS[0],
        asset_id=YES,
        maker_amount=4 * ONE,
        taker_amount=10 * ONE,
        side="BUY",
        signature_type=SignatureType.EOA,
        timestamp_ms=clock.now_ms(),
    )


async def _api_key(live: Live) -> ApiKey:
    async with httpx.AsyncClient() as client:
        return await derived_key(client, live, KEYS[0], WALLETS[0])


class Broken(EngineWatch):
    """A watch with a defect."""

    async def phases(self) -> AsyncIterator[TradingPhase]:
        raise ZeroDivisionError
        yield  # type: ignore[unreachable]


async def test_whoever_waits_for_the_next_event_hears_of_a_defect() -> None:
    """Else books would stay FRESH while nobody tells of them."""
    async with httpx.AsyncClient() as client:
        api = ClobApi(
            Http(client, "http://127.0.0.1:1", name="clob"),
            Http(client, "http://127.0.0.1:1", name="gamma"),
        )
        feed = PolymarketFeed("ws://127.0.0.1:1", api, engine=Broken())
        with pytest.raises(ZeroDivisionError):
            await anext(aiter(feed.events([INSTRUMENT])))


async def test_a_market_that_was_suspended_in_the_feed_before_is_told_that_it_is_open() -> None:
    """The matching engine came back while nobody followed: nothing of it differs any more."""
    async with httpx.AsyncClient() as client:
        api = ClobApi(
            Http(client, "http://127.0.0.1:1", name="clob"),
            Http(client, "http://127.0.0.1:1", name="gamma"),
        )
        feed = PolymarketFeed("ws://127.0.0.1:1", api)
        before = replace(INSTRUMENT, phase=TradingPhase.SUSPENDED)
        async with asyncio.timeout(60):
            event = await anext(aiter(feed.events([before])))
    assert isinstance(event, PhaseChange)
    assert (event.instrument.id, event.phase) == (INSTRUMENT.id, TradingPhase.OPEN)
