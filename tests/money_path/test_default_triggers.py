"""A subscription's default triggers follow their position, on the real money path."""

from __future__ import annotations

import secrets
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.money_path.world import Scene, World, eventually
from tradingtools import clock
from tradingtools.domain.order import Follower, TimeInForce
from tradingtools.venues.insiders.order_body import order_body

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEFAULTS = Jsonb({"take_profit_ppm": 200_000, "stop_loss_ppm": 100_000})


@pytest_asyncio.fixture(loop_scope="module")
async def path(running: World) -> Scene:
    """A leader and an asset of this test alone, with a good book, and no fault left by another."""
    await running.control("DELETE", "/faults")
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    return scene


def triggers(path: Scene) -> list[dict[str, Any]]:
    return path.world.sql(
        "select t.*, (select count(*) from trigger_event e where e.trigger_id = t.id) as told"
        " from trigger t where asset_id = %s order by created_at, trigger_type",
        path.asset,
    )


async def until(path: Scene, *expected: tuple[str, str]) -> None:
    """Wait until the triggers are of these types and states."""

    async def holds() -> bool:
        return [(t["trigger_type"], t["status"]) for t in triggers(path)] == list(expected)

    await eventually(holds)


async def settling_after(world: World, milliseconds: int) -> None:
    """Have insiders-api start afresh and settle trades so long after their match."""
    world.kill("insiders")
    await world.start_insiders(TT_INSIDERS_SETTLE_DELAY_MS=str(milliseconds))

    async def answers() -> bool:
        try:
            await world.control("GET", "/health")
        except aiohttp.ClientError:
            return False
        return True

    await eventually(answers)


async def test_a_position_is_guarded_from_its_first_fill_to_its_end(path: Scene) -> None:
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    stop, profit = triggers(path)
    assert (stop["trigger_type"], stop["price_micros"]) == ("STOP_LOSS", 450_000)
    assert (profit["trigger_type"], profit["price_micros"]) == ("TAKE_PROFIT", 600_000)
    (booked,) = path.world.sql(
        "select xmin = (select xmin from trigger where id = %s) as together from trigger_event"
        " where trigger_id = %s",
        stop["id"], stop["id"],
    )  # fmt: skip
    assert booked["together"]
    await path.set_book({"0.63": "1000"}, {"0.62": "1000"})
    await until(path, ("STOP_LOSS", "CANCELLED"), ("TAKE_PROFIT", "DONE"))
    assert path.lot()["shares_micros"] == 0
    assert path.orders()[1]["trigger_id"] == profit["id"]


async def test_new_position_of_a_lot_has_its_own_entry_price(path: Scene) -> None:
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    await path.set_book({"0.42": "1000"}, {"0.41": "1000"})
    await until(path, ("STOP_LOSS", "DONE"), ("TAKE_PROFIT", "CANCELLED"))
    await path.set_book({"0.40": "1000"}, {"0.39": "1000"})
    await path.put_when_copied(path.trade(size="100", price="0.4"))
    await path.settled(3)
    await until(
        path,
        ("STOP_LOSS", "DONE"), ("TAKE_PROFIT", "CANCELLED"),
        ("STOP_LOSS", "ARMED"), ("TAKE_PROFIT", "ARMED"),
    )  # fmt: skip
    assert triggers(path)[2]["price_micros"] == 360_000
    # The guard knows them without having been told by control.
    await path.set_book({"0.36": "1000"}, {"0.35": "1000"})
    await path.settled(4)
    assert path.lot()["shares_micros"] == 0


async def test_shares_that_were_bought_by_hand_are_guarded_and_sold(path: Scene) -> None:
    world, wallet = path.world, path.wallet(1)
    body = order_body(
        follower=Follower(user_id="u", wallet_id="w", proxy=wallet),
        condition_id=path.condition,
        asset_id=path.asset,
        size_micros=20_000_000,
        limit_micros=500_000,
        time_in_force=TimeInForce.FAK,
        not_after_ms=clock.now_ms() + 10_000,
    )
    url = f"http://127.0.0.1:{world.insiders_port}/api/trade/buy"
    headers = {"Idempotency-Key": secrets.token_hex(32), "Content-Type": "application/json"}
    async with world.http.post(url, data=body, headers=headers) as response:
        assert response.status < 300, await response.text()
    # As control does in the transaction that makes the trigger.
    world.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " bought_size_micros, by_hand_micros) values (%s, %s, 'manual', %s, 20000000, 20000000,"
        " 20000000)",
        wallet, path.asset, path.condition,
    )  # fmt: skip
    world.sql(
        "insert into lot_entry (follower_proxy, asset_id, origin, trade_id, size_micros,"
        " cost_micros) values (%s, %s, 'manual', 'by hand', 20000000, 0)",
        wallet, path.asset,
    )  # fmt: skip
    stop = await path.add_trigger(
        1, "manual", "STOP_LOSS", "0.45", follower_user_id="u", follower_wallet_id="w"
    )
    await path.set_book({"0.42": "1000"}, {"0.41": "1000"})

    async def done() -> bool:
        return path.trigger_status(stop) == "DONE"

    await eventually(done)
    (sold,) = path.orders()
    assert (sold["subscription_id"], sold["filled_size_micros"]) == (None, 20_000_000)
    lot = path.lot()
    assert (lot["shares_micros"], lot["sold_size_micros"]) == (0, 20_000_000)
    assert lot["realised_micros"] == lot["sold_notional_micros"]


async def test_undone_sale_rearms_the_lots_other_triggers(path: Scene) -> None:
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    # Late enough for the book to move away again first, on a busy machine as well.
    await settling_after(path.world, 5000)
    await path.world.control(
        "POST",
        "/faults",
        {"where": "before_accept", "kind": "fail_trade", "path": "sell", "times": 1, "seed": 1},
    )
    await path.set_book({"0.63": "1000"}, {"0.62": "1000"})

    async def sold_for_now() -> bool:
        return bool(path.lot()["shares_micros"] == 0)

    await eventually(sold_for_now)
    await path.set_book({"0.51": "1000"}, {"0.50": "1000"})
    await until(path, ("STOP_LOSS", "ARMED"), ("TAKE_PROFIT", "ARMED"))
    stop, profit = triggers(path)
    assert (stop["told"], profit["generation"]) == (1, 1), "the stop was armed all the time"
    assert path.lot()["shares_micros"] > 0
    await path.set_book({"0.41": "1000"}, {"0.40": "1000"})
    await until(path, ("STOP_LOSS", "DONE"), ("TAKE_PROFIT", "CANCELLED"))


async def test_an_exit_before_the_purchase_is_settled_is_tried_again(path: Scene) -> None:
    # Never, so that it cannot come between purchase and exit on a slow machine.
    await settling_after(path.world, 600_000)
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await until(path, ("STOP_LOSS", "ARMED"), ("TAKE_PROFIT", "ARMED"))
    await path.world.control(
        "POST",
        "/faults",
        {"where": "before_accept", "kind": "balance_lag", "path": "sell", "times": 2, "seed": 1},
    )
    await path.set_book({"0.63": "1000"}, {"0.62": "1000"})

    async def sold() -> bool:
        return bool(path.lot()["shares_micros"] == 0)

    await eventually(sold)
    exits = path.orders()[1:]
    assert [o["ordinal"] for o in exits] == [0, 1, 2]
    assert [(o["failed_kind"], o["reason"]) for o in exits[:2]] == [
        ("REJECTED", "INSUFFICIENT_BALANCE")
    ] * 2
    assert exits[2]["filled_size_micros"] == exits[0]["size_micros"]
    # The venue has not tried them: nothing widens.
    assert len({o["limit_micros"] for o in exits}) == 1
