"""A market resolves: lots are paid, redeemed once at insiders-api, and triggers end.

Real processes and a real paper insiders-api; what it paid is compared with what was booked.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest
import pytest_asyncio

from launcher.core.invariants import breaches
from tests.fault.judge import evidence
from tests.money_path.world import Scene, World, eventually, micros

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASH = "1000000"


@pytest_asyncio.fixture(loop_scope="module")
async def held(running: World) -> Scene:
    """Two followers who hold shares of an asset of this test alone; the first has a trigger."""
    scene = running.scene()
    for number in (1, 2):
        await running.control(
            "PUT", f"/wallets/{scene.wallet(number)}", {"cash": CASH, "mode": "open"}
        )
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    first = await scene.subscribe(1)
    await scene.subscribe(2, sizing_mode="RATIO", sizing_micros=100_000)
    await scene.add_trigger(1, first, "TAKE_PROFIT", "0.9")
    scene.put(scene.trade(size="200.5", price="0.5"))
    await scene.settled(2)
    return scene


def _redemptions(scene: Scene) -> list[dict[str, Any]]:
    return scene.world.sql("select * from redemption where condition_id = %s", scene.condition)


async def _done(scene: Scene, count: int = 2) -> list[dict[str, Any]]:
    async def confirmed() -> bool:
        rows = _redemptions(scene)
        return len(rows) == count and all(row["state"] == "CONFIRMED" for row in rows)

    await eventually(confirmed)
    return _redemptions(scene)


async def _balanced(scene: Scene) -> None:
    """Every wallet, lot and redemption agrees with the far side's journal, to the micro."""
    found = await evidence(scene.world, ())
    mine = [b for b in breaches(found) if b.invariant.startswith("I9")]
    assert mine == []
    assert found.gateway is not None
    keys = [done.redeem_key for done in found.gateway.redemptions]
    assert {row["redeem_key"] for row in _redemptions(scene)} <= set(keys)
    assert len(keys) == len(set(keys))


async def test_a_fractional_payout_is_booked_and_redeemed_to_the_micro(held: Scene) -> None:
    (trigger,) = held.world.sql("select id from trigger where asset_id = %s", held.asset)
    await held.set_book({}, {}, payout="0.333333")
    done = await _done(held)
    lots = held.world.sql("select * from lot where asset_id = %s", held.asset)
    for lot in lots:
        assert (lot["shares_micros"], lot["cost_micros"]) == (0, 0)
        paid = lot["bought_size_micros"] * 333_333 // 1_000_000
        assert lot["payout_micros"] == paid
        assert lot["realised_micros"] == paid - lot["bought_notional_micros"]
    assert sorted(row["paid_micros"] for row in done) == sorted(
        row["payout_micros"] for row in lots
    )

    async def ended() -> bool:
        return held.trigger_status(trigger["id"]) == "RESOLVED"

    await eventually(ended)
    await _balanced(held)


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "after_accept", "kind": "reset", "times": 2},
        {"where": "before_accept", "kind": "status", "status": 503, "times": 2},
        {"where": "after_accept", "kind": "malformed", "times": 2},
    ],
    ids=lambda fault: f"{fault['where']}-{fault['kind']}",
)
async def test_an_answer_that_is_lost_redeems_nothing_twice(
    held: Scene, fault: dict[str, Any]
) -> None:
    await held.world.control("POST", "/faults", {"path": "redeem", "seed": 1, **fault})
    await held.set_book({}, {}, payout="1")
    for row in await _done(held):
        assert row["attempts"] == 2
        assert row["paid_micros"] == row["expected_micros"]
    await _balanced(held)


async def test_a_kill_at_any_point_loses_and_doubles_nothing(held: Scene) -> None:
    world = held.world
    # The first is done at the far side and its answer hangs; then confirm is killed.
    await world.control(
        "POST", "/faults",
        {"path": "redeem", "seed": 1, "where": "after_accept", "kind": "hang", "times": 1},
    )  # fmt: skip
    await held.set_book({}, {}, payout="0")

    async def requested() -> bool:
        journal = (await world.control("GET", "/journal?after=0&limit=10000"))["entries"]
        keys = {row["redeem_key"] for row in _redemptions(held)}
        return any(entry["key"] in keys for entry in journal)

    await eventually(requested)
    world.kill("confirm", signal.SIGKILL)
    world.start("confirm")
    done = await _done(held)
    assert {row["expected_micros"] for row in done} == {0}
    await _balanced(held)


async def test_without_keys_a_second_request_finds_nothing_left(held: Scene) -> None:
    world = held.world
    await world.control("PUT", "/capabilities", {"idempotency": False})
    try:
        await world.control(
            "POST", "/faults",
            {"path": "redeem", "seed": 1, "where": "after_accept", "kind": "reset", "times": 1},
        )  # fmt: skip
        await held.set_book({}, {}, payout="1")
        done = await _done(held)
    finally:
        await world.control("PUT", "/capabilities", {"idempotency": True})
    (lost,) = [row for row in done if row["paid_micros"] is None]
    assert lost["detail"] == "400 NOTHING_TO_REDEEM"
    assert lost["expected_micros"] > 0
    await _balanced(held)


async def test_a_redemption_waits_for_the_far_side_to_know_the_payout(held: Scene) -> None:
    marks = held.world.upstream
    mark = marks.marks[held.asset]
    mark.market.payout_micros = micros("1")
    marks.put_mark(mark)

    async def refused() -> bool:
        rows = _redemptions(held)
        return len(rows) == 2 and all(row["detail"] == "400 MARKET_NOT_RESOLVED" for row in rows)

    await eventually(refused)
    assert {row["state"] for row in _redemptions(held)} == {"REQUESTED"}
    await held.set_book({}, {}, payout="1")
    await _done(held)
    await _balanced(held)
