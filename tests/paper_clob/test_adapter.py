"""The engine's adapter at an exchange that behaves, and at one that does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.paper_clob.harness import CONDITION, KEYS, NO, YES, Live, exchange
from tests.paper_clob.trader import trading
from tradingtools.venues.polymarket.heartbeats import keep_beating
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    Connected,
    Disconnected,
    Fill,
    OrderReport,
    OrderStatus,
    ReadError,
    RestingTime,
)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with exchange(tmp_path) as running:
        yield running


async def orders_at(live: Live) -> int:
    state = await live.state()
    found: int = state["orders"]
    return found


async def test_an_order_lives_and_ends_and_each_step_is_told(live: Live) -> None:
    async with trading(live) as trader:
        await trader.reported(lambda event: isinstance(event, Connected))
        order = trader.order()
        receipt = await trader.gateway.place(order)
        assert (receipt.meaning, receipt.code) == (Meaning.ACCEPTED, "LIVE")
        assert receipt.venue_order_id == trader.gateway.prepare(order).venue_order_id
        opened = await trader.reported(lambda event: isinstance(event, OrderReport))
        assert isinstance(opened, OrderReport)
        assert (opened.order_id, opened.status) == (order.order_id, OrderStatus.OPEN)
        found = await trader.accounts.find(trader.cancel(order))
        (resting,) = await trader.accounts.open_orders()
        assert found is not None
        assert found == resting == replace(opened, venue_ms=found.venue_ms)
        assert (found.price, found.size, found.side) == (400_000, 10_000_000, "BUY")
        state = await trader.accounts.state()
        (usdc,) = state.balances
        assert (usdc.total, usdc.available) == (Decimal(1000), Decimal(996))
        held = {position.instrument_id: position.size for position in state.positions}
        assert held == {trader.yes.id: 100_000_000, trader.no.id: 100_000_000}
        assert (await trader.gateway.cancel(trader.cancel(order))).meaning is Meaning.ACCEPTED
        await trader.reported(
            lambda e: isinstance(e, OrderReport) and e.status is OrderStatus.CANCELLED
        )
        again = await trader.gateway.cancel(trader.cancel(order))
        assert (again.meaning, again.code) == (Meaning.REJECTED, "ENDED")
        assert not await trader.accounts.open_orders()


async def test_fills_are_told_by_the_socket_as_by_rest_on_both_sides(live: Live) -> None:
    """A buyer of Yes and a buyer of No meet: the maker's side is its own, not the inverse."""
    async with trading(live) as maker, trading(live, KEYS[1]) as taker:
        for trader in (maker, taker):
            await trader.reported(lambda event: isinstance(event, Connected))
        resting = maker.order(size=30_000_000)
        assert (await maker.gateway.place(resting)).meaning is Meaning.ACCEPTED
        taking = taker.taker(instrument=taker.no, price=600_000, size=20_000_000)
        receipt = await taker.gateway.place(taking)
        assert (receipt.meaning, receipt.code) == (Meaning.ACCEPTED, "MATCHED")
        made = await maker.reported(lambda event: isinstance(event, Fill))
        took = await taker.reported(lambda event: isinstance(event, Fill))
        assert isinstance(made, Fill)
        assert isinstance(took, Fill)
        assert (made.order_id, made.instrument_id) == (resting.order_id, maker.yes.id)
        assert (made.side, made.price, made.size) == ("BUY", 400_000, 20_000_000)
        assert (made.maker, made.fee) == (True, 0)
        assert (took.order_id, took.instrument_id) == (taking.order_id, taker.no.id)
        assert (took.side, took.price, took.size) == ("BUY", 600_000, 20_000_000)
        assert (took.maker, took.fee) == (False, 240_000)  # 5 % x 20 x 0.6 x 0.4
        assert took.trade_id == made.trade_id
        await live.until(lambda state: state["trades"][0]["status"] == "CONFIRMED")
        assert list(await maker.accounts.fills(0)) == [replace(made, venue_ms=made.venue_ms)]
        assert list(await taker.accounts.fills(0)) == [took]
        held = {p.instrument_id: p.size for p in (await maker.accounts.state()).positions}
        assert held[maker.yes.id] == 120_000_000
        part = await maker.accounts.find(maker.cancel(resting))
        assert part is not None
        assert (part.status, part.filled_size) == (OrderStatus.PARTIALLY_FILLED, 20_000_000)


async def test_a_fill_is_undone_when_its_trade_fails(live: Live) -> None:
    await live.level("SELL", "0.5", "50")
    await live.notify("/switches", fail_trades=1)
    async with trading(live) as trader:
        await trader.reported(lambda event: isinstance(event, Connected))
        order = trader.taker(price=500_000, size=10_000_000)
        assert (await trader.gateway.place(order)).code == "MATCHED"
        undone = await trader.reported(lambda event: isinstance(event, Fill) and event.undone)
        stood = await trader.reported(lambda event: isinstance(event, Fill) and not event.undone)
        assert isinstance(stood, Fill)
        assert undone == replace(stood, undone=True)
        assert [fill.undone for fill in await trader.accounts.fills(0)] == [True]
        (usdc,) = (await trader.accounts.state()).balances
        assert usdc.total == Decimal(1000)


@pytest.mark.parametrize(("kind", "there"), [("lose", 1), ("twice", 1), ("status", 0), ("drop", 0)])
async def test_an_answer_that_proves_nothing_is_unknown_and_reading_resolves_it(
    live: Live, kind: str, there: int
) -> None:
    async with trading(live) as trader:
        order = trader.order()
        await live.notify("/faults", kind=kind, path="/order")
        receipt = await trader.gateway.place(order)
        assert receipt.meaning is Meaning.UNKNOWN
        assert await orders_at(live) == there
        found = await trader.accounts.find(trader.cancel(order))
        assert (found is not None) == bool(there)
        posts = [entry for entry in await live.journal() if entry["method"] == "POST"]
        assert len([entry for entry in posts if entry["path"] == "/order"]) == 1


async def test_a_cancel_that_overtakes_its_place_works_when_it_is_repeated(live: Live) -> None:
    """The place arrives after it was given up, and after a cancel and a look have found nothing."""
    async with trading(live) as trader:
        order = trader.order()
        await live.notify("/faults", kind="hold", path="/order")
        assert (await trader.gateway.place(order)).meaning is Meaning.UNKNOWN
        early = await trader.gateway.cancel(trader.cancel(order))
        assert (early.meaning, early.code) == (Meaning.REJECTED, "ENDED")
        assert await trader.accounts.find(trader.cancel(order)) is None
        await live.notify("/release")
        await live.until(lambda state: state["orders"] == 1)
        again = await trader.gateway.cancel(trader.cancel(order))
        assert again.meaning is Meaning.ACCEPTED
        report = await trader.accounts.find(trader.cancel(order))
        assert report is not None
        assert (report.order_id, report.status) == (order.order_id, OrderStatus.CANCELLED)


async def test_a_restart_keeps_takers_back_without_a_request(live: Live) -> None:
    await live.notify("/restart", ms=2_000)
    async with trading(live) as trader:
        first = await trader.gateway.place(trader.order())
        assert (first.meaning, first.code) == (Meaning.NOT_ACCEPTED, "ENGINE_RESTART")
        assert first.retry_after_ms is not None
        await live.notify("/restart", ms=0)
        taker = await trader.gateway.place(trader.taker(price=500_000))
        assert (taker.meaning, taker.code) == (Meaning.NOT_ACCEPTED, "POST_ONLY_MODE")
        posts = [entry for entry in await live.journal() if entry["path"] == "/order"]
        assert len(posts) == 1
    async with trading(live) as fresh:
        reported = await fresh.gateway.place(fresh.taker(price=500_000))
        assert (reported.meaning, reported.code) == (Meaning.NOT_ACCEPTED, "POST_ONLY_MODE")
        assert (await fresh.gateway.place(fresh.order())).meaning is Meaning.ACCEPTED


async def test_a_burst_stays_below_the_signers_limit(live: Live) -> None:
    async with trading(live) as trader:
        orders = [trader.order(price=10_000, size=5_000_000) for _ in range(70)]
        receipts = await asyncio.gather(*map(trader.gateway.place, orders))
        assert {receipt.meaning for receipt in receipts} == {Meaning.ACCEPTED}
        many = await trader.gateway.cancel_market(CONDITION)
        assert (many.meaning, many.detail) == (Meaning.ACCEPTED, "70")
        assert all(entry["status"] != 429 for entry in await live.journal())


async def test_a_socket_that_is_cut_or_silent_is_told_and_comes_back(live: Live) -> None:
    async with trading(live) as trader:
        await trader.reported(lambda event: isinstance(event, Connected))
        await live.notify("/drop")
        await trader.reported(lambda event: isinstance(event, Disconnected))
        await live.until(lambda state: state["user_sockets"] == 1)
        trader.events.clear()
        await live.notify("/switches", silent=True)
        await trader.reported(lambda event: isinstance(event, Disconnected))
        await live.notify("/switches", silent=False)
        await trader.reported(lambda event: isinstance(event, Connected))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": 500_000}, "POST_ONLY_CROSSES"),
        ({"size": 5_000_000_000}, "BALANCE"),
        ({"time_in_force": RestingTime.FOK, "price": 500_000, "size": 60_000_000}, "FOK_KILLED"),
        ({"time_in_force": RestingTime.IOC, "price": 490_000}, "FAK_KILLED"),
    ],
)
async def test_refusals_have_a_word(live: Live, changes: dict[str, object], code: str) -> None:
    await live.level("SELL", "0.5", "50")
    async with trading(live) as trader:
        order = trader.order(**changes)
        if order.time_in_force is not RestingTime.GTD:
            order = replace(order, post_only=False, expires_ms=None)
        receipt = await trader.gateway.place(order)
        assert (receipt.meaning, receipt.code) == (Meaning.REJECTED, code)


async def test_reading_without_an_answer_is_an_error(live: Live) -> None:
    async with trading(live) as trader:
        for kind in ("lose", "status"):
            await live.notify("/faults", kind=kind, path="/data/orders", method="GET")
            with pytest.raises(ReadError):
                await trader.accounts.open_orders()
    assert {YES, NO} == {trader.yes.symbol, trader.no.symbol}


async def test_heartbeats_go_on_whatever_was_lost_and_their_silence_ends_all_orders(
    live: Live,
) -> None:
    async with trading(live) as trader:
        await trader.gateway.place(trader.order())
        for kind in ("lose", "drop", "status"):
            await live.notify("/faults", kind=kind, path="/v1/heartbeats")
        beating = asyncio.create_task(keep_beating(trader.clob, every_seconds=0.02))
        await live.until_journal(lambda entries: beats(entries, 200) > 3)
        # One whose answer was lost has been taken: the next one names another, and is put right.
        assert beats(await live.journal(), 400) == 1
        assert (await live.state())["resting"]
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await live.notify("/switches", ahead_ms=16_000)
        assert (await live.state())["resting"] == []


def beats(entries: list[dict[str, object]], status: int) -> int:
    return sum(e["path"] == "/v1/heartbeats" and e["status"] == status for e in entries)
