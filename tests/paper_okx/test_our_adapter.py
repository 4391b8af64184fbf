"""Test that our adapter, which shares no code with this exchange, trades on it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeVar

import pytest

from services.signer.core import verdicts
from tests.paper_okx.harness import PASSPHRASE, SECRET, WAIT_S, Live
from tradingtools import clock
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import run_in_background
from tradingtools.venues.okx import questions
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.signing import ApiKey, Credentials, login_prehash, prehash
from tradingtools.venues.okx.wallet import OkxVenue, OkxWallet, open_wallet
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    Connected,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    NewOrder,
    OrderReport,
    OrderStatus,
    Print,
    RestingTime,
    TradingBook,
)

SWAP = "BTC-USDT-SWAP"
BY = pytest.mark.parametrize("by_socket", [False, True], ids=["rest", "socket"])
Kind = TypeVar("Kind")


class Signer:
    """Signs as the signer's process does."""

    async def sign_request(self, *, timestamp: str, method: str, path: str, body: str) -> str:
        return _signed(prehash(timestamp=timestamp, method=method, path=path, body=body))

    async def sign_login(self, *, timestamp: int) -> str:
        return _signed(login_prehash(timestamp))


def _signed(text: str) -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)).decode()


class Told:
    """All that a stream of events has told."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._changed = asyncio.Event()

    async def listen(self, events: AsyncIterator[object]) -> None:
        async for event in events:
            self.events.append(event)
            self._changed.set()

    async def until(self, kind: type[Kind], holds: Callable[[Kind], bool] = lambda _: True) -> Kind:
        """Return the first event of a kind that holds, once it is there."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._changed.clear()
                for event in self.events:
                    if isinstance(event, kind) and holds(event):
                        return event
                await self._changed.wait()


@asynccontextmanager
async def opened(
    live: Live,
    name: str,
    *,
    by_socket: bool = False,
    margin: str = "cross",
    timeout_ms: int = 30_000,
) -> AsyncIterator[tuple[OkxWallet, Told, Instrument]]:
    """Open an account with our adapter, the market standing at 49,990 and 50,010."""
    live.account(name)
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    venue = OkxVenue(rest_url=live.rest, sockets=Endpoint(url=live.socket("")[:-1], tls=live.tls))
    credentials = Credentials(api_key=ApiKey(name, PASSPHRASE), signer=Signer())
    reported = Told()
    async with open_wallet(
        venue, credentials, Terms(tag="tt1", margin=margin), orders_by_socket=by_socket,
        timeout_ms=timeout_ms,
    ) as wallet:  # fmt: skip
        (swap,) = await wallet.instruments.find([SWAP])
        async with run_in_background(reported.listen(wallet.accounts.events())):
            await reported.until(Connected)
            yield wallet, reported, swap


def order(swap: Instrument, name: str, price: str, size: str = "1", side: str = "BUY") -> NewOrder:
    return NewOrder(
        order_id=name, instrument=swap, side="BUY" if side == "BUY" else "SELL",
        price=swap.price_of(price), size=swap.size_of(size), not_after_ms=clock.now_ms() + 30_000,
    )  # fmt: skip


def cancel(swap: Instrument, name: str) -> CancelOrder:
    return CancelOrder(order_id=name, instrument=swap, not_after_ms=clock.now_ms() + 30_000)


@BY
async def test_place_amend_cancel_and_find(live: Live, by_socket: bool) -> None:
    async with opened(live, f"our-maker-{by_socket}", by_socket=by_socket) as (
        wallet,
        reported,
        swap,
    ):
        placed = await wallet.orders.place(order(swap, "m1", "49000"))
        assert placed.meaning is Meaning.ACCEPTED, placed
        await reported.until(OrderReport, lambda one: one.status is OrderStatus.OPEN)
        change = AmendOrder(
            order_id="m1", request_id="r1", instrument=swap, price=swap.price_of("49100"),
            not_after_ms=clock.now_ms() + 30_000,
        )  # fmt: skip
        assert (await wallet.orders.amend(change)).meaning is Meaning.ACCEPTED
        amended = await reported.until(OrderReport, lambda one: one.request_id == "r1")
        assert (swap.price_text(amended.price), amended.code) == ("49100", "")
        (resting,) = await wallet.accounts.open_orders()
        assert (resting.order_id, resting.price) == ("m1", amended.price)

        assert (await wallet.orders.cancel(cancel(swap, "m1"))).meaning is Meaning.ACCEPTED
        ended = await reported.until(OrderReport, lambda one: one.status is OrderStatus.CANCELLED)
        assert ended.venue_order_id == placed.venue_order_id
        found = await wallet.accounts.find(cancel(swap, "m1"))
        assert found is not None
        assert found.status is OrderStatus.CANCELLED
        assert (await wallet.orders.cancel(cancel(swap, "m1"))).meaning is Meaning.REJECTED
        assert await wallet.accounts.find(cancel(swap, "never")) is None


@BY
async def test_a_taker_is_filled_and_holds_a_position(live: Live, by_socket: bool) -> None:
    async with opened(live, f"our-taker-{by_socket}", by_socket=by_socket) as (
        wallet,
        reported,
        swap,
    ):
        before = clock.now_ms() - 60_000
        assert (await wallet.orders.set_leverage(SWAP, Decimal(10))).meaning is Meaning.ACCEPTED
        taken = await wallet.orders.place(order(swap, "t1", "50010", "20"))
        assert taken.meaning is Meaning.ACCEPTED, taken
        fill = await reported.until(Fill)
        assert (fill.order_id, fill.maker) == ("t1", False)
        assert (swap.price_text(fill.price), swap.size_text(fill.size)) == ("50010", "20")
        assert (swap.money_text(fill.fee), fill.fee_currency) == ("5.001", "USDT")
        assert list(await wallet.accounts.fills(before)) == [fill]
        state = await wallet.accounts.state()
        (position,) = state.positions
        assert (position.size, position.entry_price) == (fill.size, Decimal(50010))
        assert position.leverage == 10
        assert {one.currency for one in state.balances} == {"USDT", "BTC"}
        assert live.conserved()


@BY
async def test_what_the_exchange_refuses_is_told_by_its_code(live: Live, by_socket: bool) -> None:
    async with opened(live, f"our-poor-{by_socket}", by_socket=by_socket) as (wallet, _, swap):
        poor = await wallet.orders.place(order(swap, "p1", "49000", "900000"))
        assert (poor.meaning, poor.code) == (Meaning.REJECTED, "51008"), poor
        receipts = await wallet.orders.place_batch(
            [order(swap, "b1", "49000"), order(swap, "b2", "49000", "900000")]
        )
        assert [one.meaning for one in receipts] == [Meaning.ACCEPTED, Meaning.REJECTED]
        twice = await wallet.orders.place(order(swap, "b1", "49000"))
        assert (twice.meaning, twice.code) == (Meaning.UNKNOWN, "51016"), twice


async def test_orders_that_must_not_rest_or_must_not_take(live: Live) -> None:
    async with opened(live, "our-picky") as (wallet, reported, swap):
        killed = NewOrder(
            order_id="k1", instrument=swap, side="BUY", price=swap.price_of("49000"),
            size=swap.size_of("1"), time_in_force=RestingTime.FOK,
            not_after_ms=clock.now_ms() + 30_000,
        )  # fmt: skip
        assert (await wallet.orders.place(killed)).meaning is Meaning.ACCEPTED
        await reported.until(
            OrderReport, lambda one: one.order_id == "k1" and one.status is OrderStatus.CANCELLED
        )
        crossing = NewOrder(
            order_id="k2", instrument=swap, side="BUY", price=swap.price_of("50010"),
            size=swap.size_of("1"), post_only=True, not_after_ms=clock.now_ms() + 30_000,
        )  # fmt: skip
        await wallet.orders.place(crossing)
        found = await wallet.accounts.find(cancel(swap, "k2"))
        assert found is None or found.status is OrderStatus.CANCELLED
        assert not [one for one in reported.events if isinstance(one, Fill)]


async def test_a_forced_end_of_a_position_is_told(live: Live) -> None:
    async with opened(live, "our-gambler", margin="isolated") as (wallet, reported, swap):
        await wallet.orders.set_leverage(SWAP, Decimal(50))
        await wallet.orders.place(order(swap, "g1", "50010", "10"))
        await reported.until(Fill)
        live.book(SWAP, "48000", "48010", "1000")
        live.notify("/marks", instId=SWAP, px="48005")
        forced = await reported.until(Liquidation, lambda one: one.cause == "liquidation")
        assert forced.instrument_id == swap.id
        received = [one for one in reported.events if isinstance(one, Fill) and one.forced]
        assert {one.forced for one in received} == {"liquidation"}
        assert {one.side for one in received} == {"SELL"}
        read = await wallet.accounts.fills(clock.now_ms() - 60_000)
        assert [one.forced for one in read].count("liquidation") == len(received)
        assert sum(one.size if one.side == "BUY" else -one.size for one in read) == sum(
            one.size for one in (await wallet.accounts.state()).positions
        )


async def test_funding_is_read_as_it_was_paid(live: Live) -> None:
    async with opened(live, "our-holder") as (wallet, reported, swap):
        before = clock.now_ms() - 60_000
        await wallet.orders.place(order(swap, "h1", "50010", "10"))
        await reported.until(Fill)
        live.notify("/funding", instId=SWAP, rate="0.001", due=True)
        (paid,) = await wallet.accounts.funding(before)
        # Ten contracts of 0.01 BTC at a mark of 50,000: a thousandth of 5,000.
        assert (paid.instrument_id, swap.money_text(paid.amount)) == (swap.id, "-5")
        assert await wallet.accounts.funding(paid.venue_ms + 1) == []


async def test_markets_are_told_as_the_exchange_makes_them(live: Live) -> None:
    async with opened(live, "our-watcher") as (wallet, _, swap):
        reported = Told()
        async with run_in_background(reported.listen(wallet.markets.events([swap]))):
            book = await reported.until(TradingBook)
            assert book.status is BookStatus.FRESH
            assert [swap.price_text(price) for price, _ in (book.bids[0], book.asks[0])] == [
                "49990",
                "50010",
            ]
            live.book(SWAP, "49980", "50000", "7")
            changed = await reported.until(
                TradingBook, lambda one: one.bids[0][0] == swap.price_of("49980")
            )
            assert changed.asks[0] == (swap.price_of("50000"), swap.size_of("7"))
            live.notify("/prints", instId=SWAP, side="sell", px="49980", sz="3")
            seen = await reported.until(Print)
            assert (seen.side, swap.size_text(seen.size)) == ("SELL", "3")
            live.notify("/marks", instId=SWAP, px="49990")
            await reported.until(MarkPrice, lambda one: one.price == swap.price_of("49990"))
            funding = await reported.until(Funding)
            assert funding.interval_ms > 0


async def test_an_account_is_fit_or_says_why_not(live: Live) -> None:
    async with opened(live, "our-fit") as (wallet, _, _swap):
        answer = await wallet.rest.ask(questions.account_config())
        # The signer, which adds wallets, takes such an account.
        body = b'{"code":"0","msg":"","data":' + bytes(answer.data) + b"}"
        assert verdicts.okx(200, body).account


@BY
@pytest.mark.parametrize("kind", ["lose", "disconnect", "late", "drop"])
async def test_an_order_whose_answer_is_not_heard_is_resolved_by_reading_alone(
    live: Live, by_socket: bool, kind: str
) -> None:
    name = f"our-{kind}-{by_socket}"
    async with opened(live, name, by_socket=by_socket, timeout_ms=2_000) as (
        wallet,
        reported,
        swap,
    ):
        live.notify("/faults", kind=kind, op="order", ms=300)

        receipt = await wallet.orders.place(order(swap, f"f{kind}", "49000"))

        assert receipt.meaning is Meaning.UNKNOWN, receipt
        done = kind != "drop"
        if done:
            await reported.until(OrderReport, lambda one: one.order_id == f"f{kind}")
        found = await wallet.accounts.find(cancel(swap, f"f{kind}"))
        assert (found is not None) == done
        places = ("POST /api/v5/trade/order", "order")
        requested = [
            one for one in live.journal() if one["kind"] == "asked" and one["what"] in places
        ]
        assert len([one for one in requested if one["account"] == name]) == 1


@BY
@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        ({"kind": "limit"}, Meaning.NOT_ACCEPTED),
        ({"kind": "sub_limit"}, Meaning.NOT_ACCEPTED),
        ({"kind": "reject", "code": "50026"}, Meaning.UNKNOWN),
        ({"kind": "reject", "code": "51022"}, Meaning.REJECTED),
    ],
)
async def test_a_refusal_is_judged_by_its_code(
    live: Live, by_socket: bool, fault: dict[str, str], meaning: Meaning
) -> None:
    name = f"our-{'-'.join(fault.values())}-{by_socket}"
    async with opened(live, name, by_socket=by_socket) as (wallet, _, swap):
        live.notify("/faults", op="order", **fault)

        assert (await wallet.orders.place(order(swap, "x1", "49000"))).meaning is meaning
        assert await wallet.accounts.find(cancel(swap, "x1")) is None


async def test_fills_that_are_pushed_twice_or_not_at_all_are_known_all_the_same(
    live: Live,
) -> None:
    async with opened(live, "our-deaf") as (wallet, reported, swap):
        live.notify("/pushes", account="our-deaf", repeat=1)
        await wallet.orders.place(order(swap, "d1", "50010"))
        first = await reported.until(Fill)
        live.notify("/pushes", account="our-deaf", lose=1_000)
        await wallet.orders.place(order(swap, "d2", "50010", "2"))
        assert [one.order_id for one in await wallet.accounts.fills(first.venue_ms - 60_000)] == [
            "d1",
            "d2",
        ]
        live.notify("/pushes", account="our-deaf")
        live.notify("/drop", account="our-deaf")
        await reported.until(Fill, lambda one: one.order_id == "d2")
        fills = {(f.venue_order_id, f.trade_id): f for f in reported.events if isinstance(f, Fill)}
        assert sum(one.size for one in fills.values()) == swap.size_of("3")


@pytest.mark.parametrize("sequence", ["gap", "reset", "quiet"])
async def test_a_book_is_whole_again_after_what_the_exchange_does_to_it(
    live: Live, sequence: str
) -> None:
    async with opened(live, f"our-{sequence}") as (wallet, _, swap):
        reported = Told()
        async with run_in_background(reported.listen(wallet.markets.events([swap]))):
            await reported.until(TradingBook)
            live.notify("/books", instId=SWAP, sequence=sequence)
            live.book(SWAP, "49970", "50005", "9")
            live.book(SWAP, "49960", "50006", "11")
            last = await reported.until(
                TradingBook,
                lambda one: (
                    one.status is BookStatus.FRESH
                    and one.bids[0] == (swap.price_of("49960"), swap.size_of("11"))
                ),
            )
            assert last.asks[0] == (swap.price_of("50006"), swap.size_of("11"))
            statuses = {one.status for one in reported.events if isinstance(one, TradingBook)}
            assert (BookStatus.STALE in statuses) == (sequence == "gap")
