"""The log tells what happened, once, in order, and the same when it is made again."""

from __future__ import annotations

import json
from typing import Any

import grpc
import psycopg
import pytest

from services.events import store
from tests.money_path.world import Scene, World, eventually
from tradingtools.v1 import event_service_pb2 as pb
from tradingtools.v1 import event_service_pb2_grpc as rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")
_COLUMNS = "select * from event order by number"


async def listed(world: World, **requested: Any) -> list[pb.Event]:
    """All events that a reader asks for, page by page."""
    found: list[pb.Event] = []
    async with world.channel("events") as channel:
        stub: Any = rpc.EventServiceStub(channel)
        after: int | None = 0
        while after is not None:
            request = pb.ListEventsRequest(
                after=after, filter=pb.EventFilter(**requested), page_size=50
            )
            answer = await stub.ListEvents(request)
            found += answer.events
            after = answer.next_after if answer.HasField("next_after") else None
    return found


async def reported(world: World, kind: str, **requested: Any) -> list[pb.Event]:
    """Events of a reader's filter once one of a type is among them."""
    found: list[pb.Event] = []

    async def there() -> bool:
        found[:] = await listed(world, **requested)
        return any(event.type == kind for event in found)

    await eventually(there)
    # The world of the tests makes subscriptions by an action of its own.
    return [event for event in found if event.type != "operator.acted"]


async def copied(running: World) -> tuple[Scene, str]:
    """A leader's buy that one follower has copied, settled."""
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000", "0.48": "1000"})
    subscription = await scene.subscribe(1)
    await scene.put_when_copied(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    return scene, subscription


async def test_a_copy_is_told_from_its_leaders_trade_to_its_settlement(running: World) -> None:
    scene, subscription = await copied(running)
    events = await reported(running, "order.settled", subscription_id=subscription)
    assert [event.type for event in events] == [
        "order.placed", "order.filled", "position.opened", "order.settled",
    ]  # fmt: skip
    (order,) = scene.orders()
    filled = json.loads(events[1].data)
    assert filled["orderId"] == order["order_key"]
    assert filled["fill"]["size"] == filled["filledSize"] == filled["size"]
    assert {event.subject for event in events if event.type.startswith("order.")} == {
        f"orders/{order['order_key']}"
    }
    everything = await listed(running)
    numbers = [event.sequence for event in everything]
    assert numbers == list(range(1, len(numbers) + 1))
    (traded,) = [e for e in everything if e.subject == f"leaders/{scene.leader}"]
    assert traded.sequence < events[0].sequence
    assert json.loads(traded.data)["price"] == "0.5"


async def test_a_skip_is_told_with_its_reason(running: World) -> None:
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1, max_per_trade_micros=0)
    scene.put(scene.trade(size="100", price="0.5"))
    (skipped,) = await reported(running, "copy.skipped", subscription_id=subscription)

    async def written() -> bool:
        return len(scene.decisions()) == 1

    await eventually(written)
    (decision,) = scene.decisions()
    assert json.loads(skipped.data)["reason"] == decision["reason"]


async def test_a_leaders_exit_closes_the_position(running: World) -> None:
    scene, subscription = await copied(running)
    scene.put(scene.trade("SELL", size="100", price="0.49", held="100"))
    events = await reported(running, "position.closed", subscription_id=subscription)
    closed = json.loads(events[-1 if events[-1].type == "position.closed" else -2].data)
    assert closed["shares"] == "0"


async def test_a_reader_follows_and_resumes_without_gap(running: World) -> None:
    async with running.channel("events") as channel:
        stub: Any = rpc.EventServiceStub(channel)
        call = stub.StreamEvents(pb.StreamEventsRequest(cursor="0"))
        first = await call.read()
        call.cancel()
        numbers = [event.sequence for event in first.events]
        call = stub.StreamEvents(pb.StreamEventsRequest(cursor=first.cursor))
        scene, _ = await copied(running)
        (order,) = scene.orders()
        while True:
            answer = await call.read()
            numbers += [event.sequence for event in answer.events]
            if any(order["order_key"] in event.subject and event.type == "order.settled"
                   for event in answer.events):  # fmt: skip
                break
        call.cancel()
    assert numbers == list(range(1, len(numbers) + 1))


async def test_an_unknown_type_is_refused_by_name(running: World) -> None:
    async with running.channel("events") as channel:
        stub: Any = rpc.EventServiceStub(channel)
        request = pb.ListEventsRequest(filter=pb.EventFilter(types=["order.eaten"]))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListEvents(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "order.eaten" in str(refused.value.details())


async def test_a_row_below_a_running_writers_number_waits_for_him(running: World) -> None:
    with (
        psycopg.connect(running.database_url) as slow,
        psycopg.connect(running.database_url, autocommit=True) as fast,
    ):
        slow.execute(
            "insert into dead_letter (stream, consumer, cursor, reason, payload)"
            " values ('s', 'slow', '1', 'r', '')"
        )
        fast.execute(
            "insert into dead_letter (stream, consumer, cursor, reason, payload)"
            " values ('s', 'fast', '1', 'r', '')"
        )
        # A later look at the log is made while the first writer still runs.
        before = len(await listed(running))
        await copied_nothing(running)
        assert len(await listed(running)) == before
        await eventually(lambda: _is_behind(running, True))
        slow.commit()
    await eventually(lambda: _is_behind(running, False))
    events = await reported(running, "message.quarantined")

    async def both() -> bool:
        events[:] = [e for e in await listed(running) if e.type == "message.quarantined"]
        return len(events) == 2

    await eventually(both)
    assert [json.loads(event.data)["consumer"] for event in events] == ["slow", "fast"]


async def _is_behind(running: World, expected: bool) -> bool:
    """Whether the log says with its lease that something waits, or that nothing does."""
    (row,) = running.sql("select backlog_ms from partition_lease where role = 'events'")
    return bool(row["backlog_ms"]) is expected


async def copied_nothing(running: World) -> None:
    """Wait until the log's writer has looked again, several times."""
    looks = "select xact_commit as calls from pg_stat_database where datname = current_database()"
    (row,) = running.sql(looks)

    async def looked() -> bool:
        (now,) = running.sql(looks)
        return bool(now["calls"] > row["calls"] + 20)

    await eventually(looked)


async def test_a_bot_is_told_with_its_fills_in_the_order_of_its_life(running: World) -> None:
    bot = a_bot(running.database_url)
    events = [
        event
        for event in await reported(running, "bot.stopped")
        if event.subject.startswith(f"bots/{bot}")
    ]
    assert [event.type for event in events] == [
        "bot.created", "bot.commanded", "bot.started", "bot.order_filled", "bot.order_filled",
        "bot.order_fill_reversed", "bot.order_unknown", "bot.taken_over", "bot.stopped",
    ]  # fmt: skip
    filled = [json.loads(event.data) for event in events[3:6]]
    assert [one["filledSize"] for one in filled] == ["0.5", "1.25", "0.75"]
    assert filled[0]["fill"] == {
        "tradeId": "t1", "price": "65000.5", "size": "0.5", "fee": "-0.0001",
        "feeCurrency": "USDT", "maker": True,
    }  # fmt: skip
    unknown = json.loads(events[6].data)
    assert (unknown["previousState"], unknown["code"]) == ("OPEN", "NOT_FOUND")


def a_bot(database_url: str) -> str:
    """Write the life of a bot as control and an engine do, and return its id."""
    bot = "logged000001"
    units = {"price_digits": 1, "size_digits": 2, "money_digits": 8}
    detail = json.dumps({"order": {"instrument": units}})
    with psycopg.connect(database_url, autocommit=True) as owner:
        wallet = f"wal_{'0' * 32}"
        owner.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, 'default', 'w', 'okx', 'demo', '7',"
            " 'trade', 1)", [wallet],
        )  # fmt: skip
        owner.execute(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments) values"
            " (%s, 'default', 'n', %s, 'grid', '{}', '{okx:BTC-USDT-SWAP}')", [bot, wallet],
        )  # fmt: skip

        def notify(*words: str) -> None:
            for word in words:
                owner.execute(
                    "insert into bot_event (bot_id, what, actor) values (%s, %s, 'a')", [bot, word]
                )

        def fill(trade: str, size: int, undone: bool) -> None:
            owner.execute(
                "insert into bot_fill (venue, trade_id, order_id, undone, bot_id, instrument_id,"
                " side, price, size, fee, fee_currency, maker, traded_at) values ('okx', %s, %s,"
                " %s, %s, 'okx:BTC-USDT-SWAP', 'BUY', 650005, %s, -10000, 'USDT', true, now())",
                [trade, f"{bot}n1", undone, bot, size],
            )

        notify("created", "started", "STARTING", "RUNNING")
        owner.execute(
            "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price,"
            " size, state, detail) values (%s, %s, 1, 'bid', 'okx:BTC-USDT-SWAP', 'BUY', 650005,"
            " 125, 'OPEN', %s)", [f"{bot}n1", bot, detail],
        )  # fmt: skip
        fill("t1", 50, False)
        fill("t2", 75, False)
        fill("t1", 50, True)
        owner.execute(
            "insert into bot_order_event (order_id, bot_id, slot, instrument_id, side, from_state,"
            " to_state, code, price, size, filled) values (%s, %s, 'bid', 'okx:BTC-USDT-SWAP',"
            " 'BUY', 'OPEN', 'UNKNOWN', 'NOT_FOUND', '65000.5', '1.25', '0.75')",
            [f"{bot}n1", bot],
        )
        notify("STARTING", "RUNNING", "STOPPING", "STOPPED")
    return bot


async def test_the_log_made_again_is_the_same_byte_for_byte(running: World) -> None:
    await copied(running)
    _, subscription = await copied(running)
    await reported(running, "order.settled", subscription_id=subscription)
    running.kill("events")
    live = running.sql(_COLUMNS)
    with psycopg.connect(running.database_url) as owner:
        store.forget(owner)
    assert running.sql(_COLUMNS) == []
    running.start("events")

    async def made_again() -> bool:
        return len(running.sql("select 1 from event")) >= len(live)

    await eventually(made_again)
    again = running.sql(_COLUMNS)[: len(live)]
    assert _brief(again) == _brief(live)
    assert again == live


def _brief(rows: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(row["log_number"], row["part"], row["type"]) for row in rows]
