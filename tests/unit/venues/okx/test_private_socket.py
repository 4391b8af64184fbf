"""The private socket over the real wire: read before it is trusted, and nothing sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.unit.venues.okx.far_side import CREDENTIALS, PATIENCE, FarSide, far_side
from tests.unit.venues.okx.samples import SWAP, TAG, instrument
from tradingtools import clock
from tradingtools.tasks import run_in_background
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.markets import OkxMarkets, open_markets
from tradingtools.venues.okx.private_session import Effect, PrivateSession
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.wallet import OkxVenue, OkxWallet, open_wallet
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AccountEvent,
    AccountState,
    CancelOrder,
    Connected,
    Disconnected,
    Fill,
    Liquidation,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
)

OF = instrument(SWAP)


def order(name: str = "a1") -> NewOrder:
    return NewOrder(
        order_id=name, instrument=OF, side="BUY", price=OF.price_of("100"), size=OF.size_of("2"),
        not_after_ms=clock.now_ms() + 20_000,
    )  # fmt: skip


class Told:
    """All that was told, in order."""

    def __init__(self) -> None:
        self.events: list[AccountEvent] = []
        self._changed = asyncio.Event()

    async def listen(self, events: AsyncIterator[AccountEvent]) -> None:
        async for event in events:
            self.events.append(event)
            self._changed.set()

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not there():
                self._changed.clear()
                await self._changed.wait()

    def of(self, kind: type) -> list[AccountEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    def statuses(self, name: str) -> list[OrderStatus]:
        return [
            event.status
            for event in self.events
            if isinstance(event, OrderReport) and event.order_id == name
        ]


@asynccontextmanager
async def opened(
    venue: OkxVenue, markets: OkxMarkets | None = None
) -> AsyncIterator[tuple[OkxWallet, Told]]:
    reported = Told()
    terms = Terms(tag=TAG)
    async with open_wallet(
        venue, CREDENTIALS, terms, orders_by_socket=True, timeout_ms=20_000, markets=markets
    ) as wallet:
        await wallet.instruments.find(["BTC-USDT-SWAP"])
        async with run_in_background(reported.listen(wallet.accounts.events())):
            yield wallet, reported


@pytest.fixture
async def side() -> AsyncIterator[FarSide]:
    async with far_side() as running:
        yield running


async def placed(wallet: OkxWallet, reported: Told, name: str = "a1") -> Receipt:
    await reported.until(lambda: bool(reported.of(AccountState)))
    return await wallet.orders.place(order(name))


async def test_it_is_connected_once_what_was_missed_is_read(side: FarSide) -> None:
    side.taken.append({})
    side.orders["a1"] = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "7001", "clOrdId": "a1",
        "tag": TAG, "side": "buy", "px": "100", "sz": "2", "state": "live", "accFillSz": "0",
        "uTime": "5", "category": "normal", "cTime": str(side.now_ms),
    }  # fmt: skip
    async with opened(side.venue) as (wallet, reported):
        await reported.until(lambda: bool(reported.of(Connected)))
        missed = {f"GET /api/v5/trade/{one}" for one in ("orders-history", "fills")}
        assert not missed & set(side.requested), "nothing was told before, so nothing was missed"
        side.fill("a1", "31")
        side.reading = asyncio.Event()
        await side.drop()
        await asyncio.wait_for(side.being_read.wait(), 20)
        # Pushed before everything is read: it is told behind it.
        await side.push_order("a1", state="filled")
        assert [type(event) for event in reported.events] == [Connected, AccountState, Disconnected]
        early = await wallet.orders.place(order("b2"))
        assert (early.meaning, early.code) == (Meaning.NOT_ACCEPTED, "NOT_SENT")
        side.reading.set()
        await reported.until(lambda: len(reported.statuses("a1")) == 2)

    kinds = [type(event) for event in reported.events[3:]]
    assert kinds == [Connected, Fill, OrderReport, AccountState, OrderReport]
    assert missed < set(side.requested)


async def test_a_wallet_takes_a_connection_that_was_open_before_and_logs_in_over_it(
    side: FarSide,
) -> None:
    async with open_markets(side.venue, timeout_ms=20_000) as markets:
        async with markets.spares.kept():
            assert (len(side.sockets), side.logins) == (1, 0)
            async with opened(side.venue, markets) as (_, reported):
                await reported.until(lambda: bool(reported.of(Connected)))
                assert (len(side.sockets), side.logins) == (1, 1)
                # The next one is its own.
                await side.drop()
                await reported.until(lambda: len(reported.of(Connected)) == 2)
                assert (len(side.sockets), side.logins) == (2, 2)
        async with markets.spares.kept():
            # It has ended before anybody needed it.
            await side.drop()
            async with opened(side.venue, markets) as (_, reported):
                await reported.until(lambda: bool(reported.of(Connected)))
        async with markets.spares.kept():
            open_ = [one for one in side.sockets if not one.closed]
            assert len(open_) == 1, "what nobody takes is closed"


async def test_orders_go_over_it_by_the_instrument_s_code(side: FarSide) -> None:
    async with opened(side.venue) as (wallet, reported):
        receipt = await placed(wallet, reported)
        assert (receipt.meaning, receipt.venue_order_id) == (Meaning.ACCEPTED, "7001")
        assert side.taken[0]["instIdCode"] == 10002
        assert "instId" not in side.taken[0]
        assert "POST /api/v5/trade/order" not in side.requested
        await side.push_order(
            "a1", state="filled", accFillSz="2", fillSz="2", fillPx="100", tradeId="31",
            fillTime="9", fillFee="-0.01", fillFeeCcy="USDT",
        )  # fmt: skip
        await reported.until(lambda: reported.statuses("a1") == [OrderStatus.FILLED])
        (fill,) = reported.of(Fill)
        assert isinstance(fill, Fill)
        assert fill.trade_id == "31"
        ended = CancelOrder(order_id="b2", instrument=OF, not_after_ms=clock.now_ms() + 9_000)
        assert (await wallet.orders.cancel(ended)).code == "51400"


async def test_an_order_under_way_when_the_connection_ends_is_unknown_and_not_sent_again(
    side: FarSide,
) -> None:
    async with opened(side.venue) as (wallet, reported):
        side.lose_answer = True
        receipt = await placed(wallet, reported)
        assert (receipt.meaning, receipt.code) == (Meaning.UNKNOWN, "NO_ANSWER")
        await reported.until(lambda: len(reported.of(Connected)) == 2)
        await reported.until(lambda: reported.statuses("a1") == [OrderStatus.OPEN])
        assert len(side.taken) == 1
        assert len(reported.of(Disconnected)) == 1


async def test_a_fill_within_a_disconnect_is_read_and_told(side: FarSide) -> None:
    async with opened(side.venue) as (wallet, reported):
        await placed(wallet, reported)
        # Its push was under way when the connection ended.
        side.fill("a1", "31", ago_ms=30_000)
        await side.drop()
        await reported.until(lambda: len(reported.of(Connected)) == 2)
        await reported.until(lambda: OrderStatus.FILLED in reported.statuses("a1"))
        (fill,) = reported.of(Fill)
        assert isinstance(fill, Fill)
        assert (fill.order_id, fill.trade_id) == ("a1", "31")


async def test_an_old_order_that_ends_within_a_disconnect_is_read_by_its_id(side: FarSide) -> None:
    async with opened(side.venue) as (wallet, reported):
        await placed(wallet, reported)
        await side.push_order("a1", cTime="1")
        await reported.until(lambda: reported.statuses("a1") == [OrderStatus.OPEN])
        side.orders["a1"].update(state="canceled", cancelSource="20", uTime=str(side.now_ms))
        await side.drop()
        await reported.until(lambda: reported.statuses("a1")[-1] is OrderStatus.CANCELLED)
        # It has ended: it is not asked for after the next connection.
        side.requested.clear()
        await side.drop()
        await reported.until(lambda: len(reported.of(Connected)) == 3)
        assert "GET /api/v5/trade/order" not in side.requested


async def test_nothing_is_sent_over_a_socket_that_is_not_trusted(side: FarSide) -> None:
    async with open_wallet(
        side.venue, CREDENTIALS, Terms(tag=TAG), orders_by_socket=True
    ) as wallet:
        await wallet.instruments.find([])
        receipt = await wallet.orders.place(order())

    assert (receipt.meaning, receipt.code) == (Meaning.NOT_ACCEPTED, "NOT_SENT")
    assert side.taken == []


async def test_a_login_refused_for_the_time_measures_the_clock_again(side: FarSide) -> None:
    async with opened(side.venue) as (_, reported):
        await reported.until(lambda: bool(reported.of(Connected)))
        side.clock_off_ms = 40_000
        await side.drop()
        await reported.until(lambda: len(reported.of(Connected)) == 2)

    assert side.logins >= 3


async def test_a_push_that_cannot_be_read_renews_the_connection(side: FarSide) -> None:
    async with opened(side.venue) as (_, reported):
        await reported.until(lambda: bool(reported.of(Connected)))
        await side.push("orders", {"instType": "SWAP", "odd": "row"}, instType="ANY")
        await reported.until(lambda: len(reported.of(Connected)) == 2)


async def test_a_push_about_what_is_listed_no_more_is_left_alone(side: FarSide) -> None:
    async with opened(side.venue) as (wallet, reported):
        await placed(wallet, reported)
        strange = {**side.orders["a1"], "instId": "X-USDT-250101", "instType": "FUTURES"}
        await side.push("orders", strange, instType="ANY")
        await side.push_order("a1", state="filled")
        await reported.until(lambda: OrderStatus.FILLED in reported.statuses("a1"))
        assert not reported.of(Disconnected)
        assert side.logins == 1


async def test_a_fill_without_its_fee_is_read_by_rest(side: FarSide) -> None:
    async with opened(side.venue) as (wallet, reported):
        await placed(wallet, reported)
        side.fill("a1", "32")
        await side.push_order(
            "a1", state="filled", accFillSz="2", fillSz="1", fillPx="100", tradeId="32",
            fillTime="9", fee="-0.02",
        )  # fmt: skip
        await reported.until(lambda: bool(reported.of(Fill)))


async def test_a_defect_of_the_socket_reaches_its_reader(
    side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Effect]:
        raise ZeroDivisionError

    monkeypatch.setattr(PrivateSession, "receive", broken)
    async with open_wallet(side.venue, CREDENTIALS, Terms(tag=TAG)) as wallet:
        with pytest.raises(ZeroDivisionError):
            async for _ in wallet.accounts.events():
                pass


async def test_warnings_and_forced_orders_are_told(side: FarSide) -> None:
    position = {
        "instType": "SWAP", "instId": "BTC-USDT-SWAP", "pos": "2", "posSide": "net",
        "mgnMode": "cross", "uTime": "7", "mgnRatio": "1.1",
    }  # fmt: skip
    async with opened(side.venue) as (_, reported):
        await reported.until(lambda: bool(reported.of(AccountState)))
        await side.push("positions", position, instType="ANY")
        await side.push("liquidation-warning", position, instType="ANY")
        await reported.until(lambda: bool(reported.of(Liquidation)))
        state = reported.of(AccountState)[-1]
        assert isinstance(state, AccountState)
        assert state.positions[0].size == OF.size_of("2")
        assert state.balances[0].currency == "USDT"


async def test_a_quiet_connection_is_asked_for_a_sign_of_life(side: FarSide) -> None:
    patience = replace(PATIENCE, silent=0.02, dead=20.0)
    venue = replace(side.venue, sockets=Endpoint(url=side.venue.sockets.url, patience=patience))
    async with opened(venue) as (_, reported):
        await reported.until(lambda: bool(reported.of(Connected)))
        async with asyncio.timeout(20):
            await side.pinged.wait()
        assert not reported.of(Disconnected)


async def test_a_silent_connection_is_given_up(side: FarSide) -> None:
    patience = replace(PATIENCE, silent=0.05, dead=0.05)
    venue = replace(side.venue, sockets=Endpoint(url=side.venue.sockets.url, patience=patience))
    side.mute = True
    async with opened(venue) as (_, reported):
        await reported.until(lambda: len(reported.of(Disconnected)) >= 1)
