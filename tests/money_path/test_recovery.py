"""Test what an adversary's reading of the money path found, each as the scenario that showed it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import psycopg
import pytest_asyncio

from services.guard import store as guard_store
from services.router import store as router_store
from tests.money_path.world import DEADLINE_SECONDS, Scene, eventually, world
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import ingest_service_pb2 as ingest_pb


@pytest_asyncio.fixture
async def path(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Processes of this test alone, a leader and a good book."""
    async with world(database_url, redis_url, tmp_path) as made:
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        yield scene


async def test_router_restart_sells_nothing_the_leader_holds(path: Scene) -> None:
    await path.subscribe(1, sizing_micros=52_250_000)
    path.put(path.trade(size="1000", price="0.5"))
    await path.settled(1)
    path.put(path.trade("SELL", size="500", price="0.49", held="1000"))
    await path.settled(2)
    path.world.kill("router")
    path.world.start("router")
    # The next copy shows that it is up and has judged what was open.
    path.put(path.trade(size="1000", price="0.5"))
    await path.settled(3)
    await asyncio.sleep(1.0)
    assert [o["side"] for o in path.orders()] == ["BUY", "SELL", "BUY"]
    assert path.lot()["shares_micros"] == 50_000_000 + 100_000_000


async def test_slices_ended_during_a_restart_go_on_and_sell_no_more(
    path: Scene,
) -> None:
    await path.subscribe(1, sizing_micros=52_250_000)
    path.put(path.trade(size="1000", price="0.5"))
    await path.settled(1)
    await path.set_book({"0.50": "100000"}, {"0.49": "30"})
    path.put(path.trade("SELL", size="500", price="0.49", held="1000"))
    await eventually(lambda: _holds(lambda: len(path.orders()) == 2))
    path.world.freeze("router")
    await path.settled(2)
    path.world.kill("router")
    path.world.start("router")
    await path.set_book({"0.50": "100000"}, {"0.49": "100000"})

    def sold() -> int:
        return sum(o["filled_size_micros"] for o in path.orders() if o["side"] == "SELL")

    await eventually(lambda: _holds(lambda: sold() >= 50_000_000))
    await asyncio.sleep(2.5)
    assert sold() == 50_000_000


async def test_a_pause_is_obeyed_while_the_first_book_is_awaited(path: Scene) -> None:
    subscription = await path.subscribe(1)
    other = path.world.scene()
    other.leader = path.leader
    path.world.upstream.answers_books.clear()
    await other.set_book({"0.50": "1000"}, {"0.49": "1000"}, announce=False)
    other.put(other.trade(size="100", price="0.5"))
    await asyncio.wait_for(path.world.upstream.book_requested.wait(), DEADLINE_SECONDS)
    path.pause(subscription)
    await path.world.announce(path.note_change("subscription", subscription))

    async def received() -> bool:
        return (await path.previewed()).get(subscription) == "PAUSED"

    await eventually(received)
    path.world.upstream.answers_books.set()
    await eventually(lambda: _holds(lambda: bool(other.decisions())))
    assert [d["reason"] for d in other.decisions()] == ["PAUSED"]
    assert other.orders() == []


async def test_stop_loss_fires_after_a_lost_claim_commit(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.40")
    sql = path.world.sql
    sql(
        "create function die() returns trigger language plpgsql as $$ begin"
        " perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(0.1);"
        " return null; end $$"
    )
    sql(
        "create constraint trigger die after insert on trigger_event deferrable initially"
        " deferred for each row execute function die()"
    )
    await path.set_book({"0.50": "100000"}, {"0.30": "100000"})
    await asyncio.sleep(0.5)
    assert path.trigger_status(stop) == "ARMED"
    sql("drop trigger die on trigger_event")
    # The book is quiet from now on.
    await eventually(lambda: _holds(lambda: path.trigger_status(stop) == "DONE"))


async def test_an_exit_without_a_book_is_made_when_there_is_one(path: Scene) -> None:
    await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    mark = path.world.upstream.marks.pop(path.asset)
    path.world.kill("router")
    path.world.start("router")
    path.put(path.trade("SELL", size="100", price="0.49", held="100"))
    await eventually(
        lambda: _holds(lambda: "MARKET_UNKNOWN" in {d["reason"] for d in path.decisions()})
    )
    path.world.upstream.put_mark(mark)
    await eventually(lambda: _holds(lambda: path.lot()["shares_micros"] == 0))


async def test_a_nul_in_a_title_stops_nobody(path: Scene) -> None:
    await path.subscribe(1)
    event = path.trade(size="100", price="0.5")
    event.title = "Will it\x00rain?"
    path.put(event)
    await path.settled(1)
    assert path.decisions()[0]["title"] == "Will it rain?"


async def test_a_nul_in_what_the_venue_says_of_a_market_stops_nobody(path: Scene) -> None:
    """Test that why one follower does not copy stands in one record with the orders of the
    others."""
    book = path.world.upstream.marks[path.asset]
    book.market.category = "wea\x00ther"
    book.market.condition_id = "its\x00market"
    path.world.upstream.put_mark(book)
    await path.subscribe(1)
    await path.subscribe(2, settings=json.dumps({"categories_allowed": ["sports"]}))
    await path.subscribe(3, settings=json.dumps({"markets_allowed": [path.condition]}))
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    assert path.lot()["shares_micros"] > 0
    assert {row["detail"] for row in path.decisions() if not row["copied"]} == {
        "wea ther is not among the 1 allowed", "its market is not among the 1 allowed",
    }  # fmt: skip


async def test_an_empty_fact_is_set_aside_and_stops_nobody(path: Scene) -> None:
    """As ingest tells an entry of its log that cannot be read."""
    await path.subscribe(1)
    path.put(ingest_pb.LeaderTradeEvent(), path.trade(size="100", price="0.5"))
    await path.settled(1)
    await eventually(lambda: _holds(lambda: len(path.world.sql("select id from dead_letter")) == 1))


async def test_unbuildable_record_is_quarantined_and_sends_nothing(
    path: Scene,
) -> None:
    await path.subscribe(1)
    path.world.kill("executor")
    # As if a later version, or a defect, had written what this schema cannot take.
    path.world.sql(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('CLAIMED', 'router', 'broken', 0, 1, %s, 0)",
        b'{"orders":[],"decisions":[{"title":"\\u0000"}],"rows":[]}',
    )
    path.world.start("executor")
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)

    def set_aside() -> bool:
        (record,) = path.world.sql("select set_aside from journal where record_key = 'broken'")
        return bool(record["set_aside"])

    await eventually(lambda: _holds(set_aside))
    assert len(await path.posted()) == 1


async def test_acceptance_after_the_fence_is_kept_and_checked(path: Scene) -> None:
    await path.subscribe(1)
    fault = {
        "where": "after_accept", "kind": "delay", "ms": 2000, "seed": 1, "times": 1, "path": "buy",
    }  # fmt: skip
    # On a machine that stands still meanwhile the answer comes first; then another one is fenced.
    for count in range(1, 6):
        await path.world.control("POST", "/faults", fault)
        path.put(path.trade(size="100", price="0.5"))
        await eventually(partial(_left, path, count))
        key = path.orders()[-1]["order_key"]
        # The reconciler's fence, and its next look in an hour: only the answer itself can wake it.
        fence = {
            "order_key": key, "from_state": "SUBMITTING", "to_state": "UNKNOWN",
            "expected_epoch": 1, "epoch": 2, "reason": "UNANSWERED", "next_check_ms": 3_600_000,
        }  # fmt: skip
        if path.world.sql("select * from apply_transitions(%s)", json.dumps([fence])):
            break
    await path.settled(count)
    order = path.orders()[-1]
    assert (order["order_key"], order["state"]) == (key, "CONFIRMED")
    (late,) = path.world.sql("select * from late_acceptance")
    assert (late["order_key"], late["found_state"]) == (key, "UNKNOWN")
    assert late["venue_order_id"] == order["venue_order_id"]
    assert json.loads(late["detail"])
    assert len(await path.posted()) == count


async def _left(path: Scene, count: int) -> bool:
    """Return whether so many orders are there, and the last one was committed to be sent."""
    orders = path.orders()
    return len(orders) == count and orders[-1]["state"] != "CLAIMED"


async def test_an_answer_that_contradicts_the_order_stops_nobody(path: Scene) -> None:
    await path.subscribe(1)
    path.world.freeze("confirm")
    path.put(path.trade(size="100", price="0.5"))
    await eventually(lambda: _holds(lambda: "SUBMITTED" in {o["state"] for o in path.orders()}))
    # Stands for an answer that tells of more than was ordered.
    path.world.sql("update orders set size_micros = 1000000 where asset_id = %s", path.asset)
    path.world.thaw("confirm")
    other = path.world.scene()
    other.leader = path.leader
    await other.set_book({"0.50": "1000"}, {"0.49": "1000"})
    other.put(other.trade(size="100", price="0.5"))
    await other.settled(1)
    assert other.orders()[0]["state"] == "CONFIRMED"
    # Nobody can say which half is true: nothing is booked, money stays reserved.
    await eventually(lambda: _holds(lambda: path.orders()[0]["state"] == "DEAD"))
    assert path.orders()[0]["filled_size_micros"] == 0
    assert path.open_reservations() != []


async def test_who_waits_for_a_lot_sees_what_was_reserved_meanwhile(database_url: str) -> None:
    wallet, lot, trigger = "0x" + "1" * 40, ("7", "sub_x"), "trg_" + "1" * 32
    async with (
        open_pool(database_url, name="test", size=2) as pool,
        await psycopg.AsyncConnection.connect(database_url) as first,
    ):
        await first.execute(
            "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros)"
            " values (%s, %s, %s, 'c', 100000000)",
            (wallet, *lot),
        )
        await first.execute(
            "insert into trigger (id, follower_proxy, asset_id, origin, condition_id, trigger_type,"
            " price_micros, status) values (%s, %s, %s, %s, 'c', 'STOP_LOSS', 1, 'ARMED')",
            (trigger, wallet, *lot),
        )
        await first.commit()
        await first.execute("select 1 from lot for update")

        async def second() -> int:
            async with router_store.exiting(pool) as connection:
                lots = await router_store.locked_lots(connection, lot[0], [lot[1]])
            return lots[lot[1]].free_micros

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await first.execute(
            "insert into orders (order_key, copy_key, ordinal, purpose, subscription_id,"
            " subscription_version, follower_user_id, follower_wallet_id, follower_proxy,"
            " partition, condition_id, asset_id, side, size_micros, limit_micros, time_in_force,"
            " not_after_ms, body, body_hash, journal_seq, control_seq, state, chain_head)"
            " values (repeat('a', 64), 'c', 0, 'GUARD_EXIT', %s, 1, 'u', 'w', %s, 0, 'c', %s,"
            " 'SELL', 100000000, 500000, 'FAK', 0, '', '', 0, 0, 'CLAIMED', '')",
            (lot[1], wallet, lot[0]),
        )
        await first.execute(
            "insert into reservation values (repeat('a', 64), %s, %s, 'c', %s, 0, 100000000)",
            (wallet, lot[1], lot[0]),
        )
        await first.commit()
        assert await asyncio.wait_for(waiting, DEADLINE_SECONDS) == 0
        rows = await guard_store.fetch(pool, "locked_lots", ids=[trigger])
        assert rows[0]["free_micros"] == 0


async def _holds(condition: object) -> bool:
    assert callable(condition)
    return bool(condition())
