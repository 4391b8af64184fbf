"""A subscription's default triggers follow their position, on the real money path."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.money_path.world import Scene, World, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEFAULTS = Jsonb({"take_profit_ppm": 200_000, "stop_loss_ppm": 100_000})


@pytest_asyncio.fixture(loop_scope="module")
async def path(running: World) -> Scene:
    """A leader and an asset of this test alone, with a good book."""
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


async def test_a_new_position_of_the_same_lot_has_an_entry_price_of_its_own(path: Scene) -> None:
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    await path.set_book({"0.42": "1000"}, {"0.41": "1000"})
    await until(path, ("STOP_LOSS", "DONE"), ("TAKE_PROFIT", "CANCELLED"))
    await path.set_book({"0.40": "1000"}, {"0.39": "1000"})
    path.put(path.trade(size="100", price="0.4"))
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


async def test_a_sale_that_is_undone_finds_the_lots_other_triggers_armed(path: Scene) -> None:
    path.world.kill("insiders")
    await path.world.start_insiders(TT_INSIDERS_SETTLE_DELAY_MS="1500")

    async def answers() -> bool:
        try:
            await path.world.control("GET", "/health")
        except aiohttp.ClientError:
            return False
        return True

    await eventually(answers)
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await path.subscribe(1, triggers=DEFAULTS)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
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
