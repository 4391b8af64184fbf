"""Answers that are booked together: as if each had come alone, and none at another's expense."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest

from services.confirm import store
from services.confirm.booking_batcher import BookingBatcher
from services.confirm.bookings import load_bookings
from services.confirm.store import BookingResult, ReportedOrder
from tests.confirm.conftest import SIZE, Orders, reported, trade
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus, VenueOrder
from tradingtools.rpc.streams import Load, Tail
from tradingtools.v1 import confirm_service_pb2 as pb


def _load(orders: Orders) -> Load[pb.FillEvent]:
    return lambda after, limit: load_bookings(orders.pool, after, limit)


def _booker(orders: Orders) -> BookingBatcher:
    return BookingBatcher(orders.pool, orders.lease, Tail(0, _load(orders)))


def _filled(key: str, size: int = SIZE, *, side: str = "BUY", again: bool = False) -> ReportedOrder:
    status = TradeStatus.MATCHED if again else TradeStatus.CONFIRMED
    answer = reported(key, trade(f"t{key[:6]}", status, size), closed=not again, side=side)
    return ReportedOrder(order_key=key, answer=answer, again_ms=60_000 if again else None)


async def test_orders_of_one_lot_are_booked_together(orders: Orders) -> None:
    bought = [await orders.make("SUBMITTED") for _ in range(2)]
    sold = await orders.make("UNKNOWN", side="SELL")
    booker = _booker(orders)
    taken = await asyncio.gather(
        *(booker.take(_filled(key)) for key in bought),
        booker.take(_filled(sold, SIZE // 2, side="SELL")),
    )
    assert [(t.before, t.state) for t in taken] == [
        (S.SUBMITTED, S.CONFIRMED), (S.SUBMITTED, S.CONFIRMED), (S.UNKNOWN, S.CONFIRMED),
    ]  # fmt: skip
    (lot,) = await orders.sql("select * from lot where follower_proxy = %s", orders.wallet)
    assert (lot["shares_micros"], lot["cost_micros"]) == (15_000_000, 6_000_000)
    assert (lot["bought_size_micros"], lot["sold_size_micros"]) == (2 * SIZE, SIZE // 2)
    rows = await orders.sql(
        "select b.* from booking b join orders using (order_key) where follower_proxy = %s"
        " order by fill_seq",
        orders.wallet,
    )
    assert [row["kind"] for row in rows] == ["MATCHED", "CONFIRMED", "CLOSED"] * 3
    held = [row["lot_shares_micros"] for row in rows if row["kind"] == "MATCHED"]
    assert held == [SIZE, 2 * SIZE, 15_000_000], "each as it was after its own trade"
    entries = await orders.sql(
        "select * from lot_entry where follower_proxy = %s order by entry_seq", orders.wallet
    )
    assert [row["size_micros"] for row in entries] == [SIZE // 2, SIZE], "first in, first out"


async def test_one_that_cannot_be_booked_holds_up_no_other(orders: Orders) -> None:
    good, bad = await orders.make("SUBMITTED"), "f" * 64
    booker = _booker(orders)
    done = await asyncio.gather(
        *(booker.take(_filled(key)) for key in (good, bad)), return_exceptions=True
    )
    assert isinstance(done[1], LookupError)
    assert (await orders.row(good))["state"] == "CONFIRMED"


async def test_booking_with_a_lost_commit_reply_is_published(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await orders.make("SUBMITTED")
    tail = Tail((await store.fetch(orders.pool, "last_booking"))[0]["seq"], _load(orders))
    booker = BookingBatcher(orders.pool, orders.lease, tail)
    take = store.take

    async def unheard(*arguments: Any) -> list[BookingResult]:
        await take(*arguments)
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(store, "take", unheard)
    with pytest.raises(psycopg.OperationalError):
        await booker.take(_filled(key))
    assert (await orders.row(key))["state"] == "CONFIRMED"
    before = tail.last
    await booker.publish()
    (last,) = await orders.sql("select max(fill_seq) as seq from booking where order_key = %s", key)
    assert before < tail.last == last["seq"]


async def test_whoever_books_for_all_may_be_stopped(orders: Orders) -> None:
    keys = [await orders.make("SUBMITTED") for _ in range(3)]
    booker = _booker(orders)
    first = asyncio.Event()
    holding = asyncio.create_task(booker.write(first.wait))
    waiting = [asyncio.create_task(booker.take(_filled(key))) for key in keys]
    await asyncio.sleep(0)
    first.set()
    await holding
    # The first of them has the turn and is about to book for all.
    await asyncio.sleep(0)
    waiting[0].cancel()
    done = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert isinstance(done[0], asyncio.CancelledError)
    states = [(await orders.row(key))["state"] for key in keys[1:]]
    assert states == ["CONFIRMED", "CONFIRMED"]


async def test_whoever_books_one_by_one_may_be_stopped(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a batch in which one could not be booked."""
    keys = [await orders.make("SUBMITTED") for _ in range(3)]
    booker, take = _booker(orders), store.take
    alone, never = asyncio.Event(), asyncio.Event()

    async def refuses(pool: Any, lease: Any, batch: Any, *arguments: Any) -> list[BookingResult]:
        if len(batch) == 3:
            raise ValueError("one of them cannot be booked")
        if batch[0].order_key == keys[0]:
            alone.set()
            await never.wait()
        return await take(pool, lease, batch, *arguments)

    monkeypatch.setattr(store, "take", refuses)
    waiting = [asyncio.create_task(booker.take(_filled(key))) for key in keys]
    await alone.wait()
    waiting[0].cancel()
    done = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert isinstance(done[0], asyncio.CancelledError)
    states = [(await orders.row(key))["state"] for key in keys]
    assert states == ["SUBMITTED", "CONFIRMED", "CONFIRMED"]


async def test_two_answers_about_one_order_are_taken_in_turn(orders: Orders) -> None:
    key = await orders.make("SUBMITTED")
    booker = _booker(orders)
    taken = await asyncio.gather(
        booker.take(_filled(key, again=True)), booker.take(_filled(key)), booker.take(_filled(key))
    )
    assert [t.state for t in taken] == [S.SUBMITTED, S.CONFIRMED, S.CONFIRMED]
    fills = await orders.sql("select * from booking where order_key = %s", key)
    assert Counter(row["kind"] for row in fills) == {"MATCHED": 1, "CONFIRMED": 1, "CLOSED": 1}


async def test_one_that_stays_open_is_asked_for_when_it_was_told(orders: Orders) -> None:
    key = await orders.make("SUBMITTED")
    await _booker(orders).take(_filled(key, again=True))
    (row,) = await orders.sql(
        "select extract(epoch from next_check_at - clock_timestamp())::int as seconds"
        " from orders where order_key = %s",
        key,
    )
    assert isinstance(row["seconds"], int)
    assert 30 < row["seconds"] <= 60


async def test_order_without_a_delay_is_checked_when_due(
    orders: Orders,
) -> None:
    key = await orders.make("SUBMITTED")
    await orders.sql("update orders set next_check_at = '2030-01-01' where order_key = %s", key)
    due = (await orders.row(key))["next_check_at"]
    received = ReportedOrder(order_key=key, answer=_filled(key, again=True).answer)
    assert (await _booker(orders).take(received)).state is S.SUBMITTED
    row = await orders.row(key)
    assert (row["next_check_at"], row["filled_size_micros"]) == (due, SIZE)


async def test_an_order_has_one_new_version_whatever_is_booked_of_it(orders: Orders) -> None:
    await orders.sql("create table version (order_key text)")
    await orders.sql(
        "create function note_version() returns trigger language plpgsql as"
        " $$ begin insert into version values (new.order_key); return null; end $$"
    )
    await orders.sql(
        "create trigger noted after update on orders for each row execute function note_version()"
    )
    try:
        keys = [await orders.make("SUBMITTED") for _ in range(2)]
        await orders.sql("delete from version")
        booker = _booker(orders)
        await booker.take(_filled(keys[0]))
        await booker.take(_filled(keys[1], again=True))
        await booker.take(_filled(keys[1]))
        versions = Counter(row["order_key"] for row in await orders.sql("select * from version"))
        assert versions == {keys[0]: 1, keys[1]: 2}
        for key in keys:
            row = await orders.row(key)
            assert (row["state"], row["filled_size_micros"]) == ("CONFIRMED", SIZE)
            assert (row["filled_notional_micros"], row["fee_micros"]) == (SIZE * 4 // 10, 0)
    finally:
        await orders.sql("drop function note_version cascade")


@pytest.mark.parametrize("first", [True, False])
async def test_one_that_appears_after_its_end_stops_its_wallet_alone(
    orders: Orders, first: bool
) -> None:
    lost, other = await orders.make("LOST"), await orders.make("SUBMITTED", asset="2")
    answers: dict[str, VenueOrder] = {lost: reported(lost, trade("t", TradeStatus.CONFIRMED))}
    fine = VenueOrder(order_key=other, order_id="0x2", status="KILLED", closed=True, trades=())
    both = {**answers, other: fine} if first else {other: fine, **answers}
    taken = dict(zip(both, await orders.take_all(both), strict=True))
    assert (taken[lost].state, taken[other].state) == (S.RESURRECTED, S.FAILED)
    halts = await orders.sql("select * from halt where subject = %s", orders.wallet)
    assert [halt["mode"] for halt in halts] == ["REDUCING"]
    assert not (await orders.row(lost))["reserved"], "nothing more can fill"
    closed = await orders.sql(
        "select order_state from booking where order_key = %s and kind = 'CLOSED'", lost
    )
    assert [row["order_state"] for row in closed] == ["RESURRECTED"]
