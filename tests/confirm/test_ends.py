"""Test what an answer under a key does to an order in each state, in one transaction of
PostgreSQL."""

from __future__ import annotations

import pytest

from services.confirm import store
from tests.confirm.conftest import SIZE, Orders, reported, trade
from tradingtools.domain.order_states import OrderState as S
from tradingtools.domain.venue_order import TradeStatus, VenueOrder, VenueTrade

DONE = TradeStatus.CONFIRMED
BIT = SIZE // 4


async def _halts(orders: Orders) -> list[tuple[object, object]]:
    rows = await orders.sql("select subject, mode from halt where subject = %s", orders.wallet)
    return [(row["subject"], row["mode"]) for row in rows]


@pytest.mark.parametrize("path", ["LOST", "UNSENT", "REJECTED", "KILLED"])
async def test_key_that_appears_after_its_end_is_a_booked_breach(orders: Orders, path: str) -> None:
    key = await orders.make(path)
    taken = await orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED)))
    assert taken.state is S.RESURRECTED
    row = await orders.row(key)
    assert (row["state"], row["reason"], row["failed_kind"]) == ("RESURRECTED", "APPEARED", None)
    assert row["reserved"], "a match may still fail and the rest may still fill"
    assert row["filled_size_micros"] == SIZE
    (lot,) = await orders.sql(
        "select shares_micros, cost_micros from lot where follower_proxy = %s", orders.wallet
    )
    assert (lot["shares_micros"], lot["cost_micros"]) == (SIZE, 4_000_000)
    assert await _halts(orders) == [(orders.wallet, "REDUCING")]
    (change,) = await orders.sql(
        "select actor, action from control_change where subject_id = %s", "WALLET:" + orders.wallet
    )
    assert list(change.values()) == ["confirm", "halt"]
    # The far side has finished with it: nothing more is set aside, and a person still ends it.
    await orders.take(key, reported(key, trade("t1", DONE)))
    row = await orders.row(key)
    assert (row["state"], row["reserved"]) == ("RESURRECTED", False)
    bookings = await orders.sql(
        "select kind from booking where order_key = %s order by fill_seq", key
    )
    assert [b["kind"] for b in bookings] == ["MATCHED", "CONFIRMED", "CLOSED"]
    halts = "select 1 from control_change where subject_id = %s"
    assert len(await orders.sql(halts, "WALLET:" + orders.wallet)) == 1


async def test_a_halt_that_stands_is_not_loosened(orders: Orders) -> None:
    await orders.sql(
        "insert into halt (scope, subject, mode, reason) values ('WALLET', %s, 'HALTED', 'x')",
        orders.wallet,
    )
    key = await orders.make("LOST")
    await orders.take(key, reported(key))
    assert await _halts(orders) == [(orders.wallet, "HALTED")]


async def test_what_ended_as_it_is_told_stays_ended(orders: Orders) -> None:
    key = await orders.make("SUBMITTED")
    answer = reported(key, trade("t1", DONE, BIT))
    assert (await orders.take(key, answer)).state is S.CONFIRMED
    assert (await orders.take(key, answer)).state is S.CONFIRMED
    late = reported(key, trade("t1", TradeStatus.MATCHED, BIT), closed=False)
    assert (await orders.take(key, late)).state is S.CONFIRMED, "a late answer says nothing"
    killed = await orders.make("KILLED")
    assert (await orders.take(killed, reported(killed))).state is S.FAILED
    assert await _halts(orders) == []


async def test_an_answer_older_than_the_end_books_nothing(orders: Orders) -> None:
    key = await orders.make("SUBMITTED")
    # Asked for when its match had failed already; the answer to its submission comes after that.
    assert (
        await orders.take(key, reported(key, trade("t1", TradeStatus.FAILED)))
    ).state is S.FAILED
    late = await orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED)))
    assert (late.before, late.state, late.problem) == (S.FAILED, S.FAILED, "")
    row = await orders.row(key)
    assert (row["failed_kind"], row["reserved"], row["filled_size_micros"]) == ("UNDONE", False, 0)
    bookings = await orders.sql("select kind from booking where order_key = %s", key)
    assert [b["kind"] for b in bookings] == ["CLOSED"]
    assert await _halts(orders) == []


async def test_fills_after_the_end_are_a_booked_breach(orders: Orders) -> None:
    key = await orders.make("SUBMITTED")
    await orders.take(key, reported(key, trade("t1", DONE, BIT)))
    taken = await orders.take(key, reported(key, trade("t1", DONE, BIT), trade("t2", DONE, BIT)))
    assert (taken.state, taken.problem) == (S.RESURRECTED, "")
    row = await orders.row(key)
    assert (row["filled_size_micros"], row["reserved"]) == (2 * BIT, False)
    assert await _halts(orders) == [(orders.wallet, "REDUCING")]


def contradictions(key: str) -> dict[str, VenueOrder]:
    whole = trade("t1", DONE)
    return {
        "another size": reported(key, size=SIZE + 1),
        "another side": reported(key, side="SELL"),
        "filled": reported(key, whole, trade("t2", DONE, 1)),
    }


@pytest.mark.parametrize("problem", contradictions(""))
@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("UNKNOWN", S.DEAD), ("SUBMITTED", S.DEAD), ("DEAD", S.DEAD), ("LOST", S.RESURRECTED),
        ("REJECTED", S.RESURRECTED), ("KILLED", S.RESURRECTED),
    ],
)  # fmt: skip
async def test_a_contradiction_calls_a_person_and_books_nothing(
    orders: Orders, path: str, end: S, problem: str
) -> None:
    key = await orders.make(path)
    answer = contradictions(key)[problem]
    taken = await orders.take(key, answer)
    assert taken.state is end
    assert taken.problem.startswith(problem)
    again = await orders.take(key, answer)
    assert (again.before, again.state) == (end, end), "it does not go round"
    assert await orders.sql("select 1 from fill where order_key = %s", key) == []
    assert (await orders.row(key))["reserved"], "nobody knows, so it stays set aside"
    events = await orders.sql(
        "select detail from order_event where order_key = %s order by event_seq desc limit 1", key
    )
    if path != "DEAD":
        assert events[0]["detail"] == taken.problem.encode()


@pytest.mark.parametrize(
    ("then", "problem"),
    [
        (trade("t1", DONE, BIT + 1), "trade t1 has other amounts"),
        (trade("t1", TradeStatus.FAILED, BIT), "trade t1 was final"),
    ],
)
async def test_changed_final_fill_is_a_breach_and_not_booked(
    orders: Orders, then: VenueTrade, problem: str
) -> None:
    key = await orders.make("SUBMITTED")
    await orders.take(key, reported(key, trade("t1", DONE, BIT)))
    taken = await orders.take(key, reported(key, then))
    assert taken.state is S.RESURRECTED
    assert taken.problem.startswith(problem)
    assert (await orders.row(key))["filled_size_micros"] == BIT


async def test_a_dead_order_that_is_found_goes_on(orders: Orders) -> None:
    key = await orders.make("DEAD")
    taken = await orders.take(key, reported(key, trade("t1", TradeStatus.MATCHED), closed=False))
    assert (taken.before, taken.state) == (S.DEAD, S.SUBMITTED)
    assert (await orders.take(key, reported(key, trade("t1", DONE)))).state is S.CONFIRMED
    assert not (await orders.row(key))["reserved"]
    assert await _halts(orders) == []


async def test_postponing_is_compare_and_set(orders: Orders) -> None:
    key = await orders.make("UNKNOWN")
    at = (await orders.row(key))["next_check_at"]
    where = {"order_key": key, "state": S.UNKNOWN, "epoch": 0, "next_check_at": at}
    await store.postpone(orders.pool, store.later({**where, "state": S.SUBMITTED}, 5, 2))
    await store.postpone(orders.pool, store.later({**where, "epoch": 1}, 5, 2))
    assert (await orders.row(key))["not_found_count"] == 0
    await store.postpone(orders.pool, store.later(where, 5, 2))
    assert (await orders.row(key))["not_found_count"] == 2


async def test_silence_is_counted_from_when_an_order_became_unknown(orders: Orders) -> None:
    key = await orders.make("UNKNOWN")
    await orders.sql("update orders set created_at = created_at - interval '1 hour'")
    rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=0)
    (due,) = [row for row in rows if row["order_key"] == key]
    (event,) = await orders.sql(
        "select (extract(epoch from occurred_at) * 1000)::bigint as ms from order_event"
        " where order_key = %s and to_state = 'UNKNOWN'",
        key,
    )
    assert due["since_ms"] == event["ms"]


async def test_accepted_orders_are_checked_later_than_unknown_ones(
    orders: Orders,
) -> None:
    notified_of, late = await orders.make("SUBMITTED"), await orders.make("SUBMITTED")
    unknown = await orders.make("UNKNOWN")
    for key, seconds in ((notified_of, 1), (late, 7), (unknown, 1)):
        await orders.sql(
            "update orders set next_check_at = now() - make_interval(secs => %s)"
            " where order_key = %s",
            seconds, key,
        )  # fmt: skip

    async def due(late_ms: int) -> set[object]:
        rows = await store.fetch(orders.pool, "due", limit=1000, late_ms=late_ms)
        return {row["order_key"] for row in rows} & {notified_of, late, unknown}

    assert await due(0) == {notified_of, late, unknown}
    assert await due(5_000) == {late, unknown}


async def test_ends_are_watched_until_their_time_is_over(orders: Orders) -> None:
    before = {
        r["state"]: r["orders"]
        for r in await store.fetch(orders.pool, "unresolved", submitted_ms=60_000)
    }
    keys = {path: await orders.make(path) for path in ("LOST", "UNSENT", "DEAD", "SUBMITTED")}

    async def watched() -> set[object]:
        rows = await store.fetch(orders.pool, "watched", limit=1000, first_ms=0)
        return {row["order_key"] for row in rows} & set(keys.values())

    assert await watched() == {keys["LOST"], keys["UNSENT"], keys["DEAD"]}
    young = await store.fetch(orders.pool, "watched", limit=1000, first_ms=60_000)
    assert not {row["order_key"] for row in young} & set(keys.values())
    await store.execute(orders.pool, "stop_watching", order_key=keys["LOST"], state=S.LOST, epoch=0)
    assert (await orders.row(keys["LOST"]))["state"] == "LOST", "it can still be read"
    at = (await orders.row(keys["DEAD"]))["next_check_at"]
    dead = {"order_key": keys["DEAD"], "state": S.DEAD, "epoch": 0, "next_check_at": at}
    await store.postpone(orders.pool, store.later(dead, 60_000, 0))
    assert await watched() == {keys["UNSENT"]}
    after = {
        r["state"]: r["orders"]
        for r in await store.fetch(orders.pool, "unresolved", submitted_ms=60_000)
    }
    assert after["DEAD"] == before.get("DEAD", 0) + 1
    assert after.get("LOST", 0) == before.get("LOST", 0), "its watch is over"
