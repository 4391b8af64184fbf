"""Resyncs on the money path: real processes claim, send and book exactly what was shown.

And what is caught up after a downtime without one: exits, never entries.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from tests.money_path.world import Scene, World, eventually, micros

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _reported(scene: Scene, shares: str | None, *, ago: str = "0") -> None:
    """Return what ingest writes after a survey of the leader."""
    sql = scene.world.sql
    sql(
        "insert into leader_account (leader, equity_micros, asked_at)"
        " values (%s, null, clock_timestamp() - %s::interval) on conflict (leader)"
        " do update set asked_at = excluded.asked_at",
        scene.leader, f"{ago} seconds",
    )  # fmt: skip
    sql("delete from leader_holding where leader = %s", scene.leader)
    if shares is not None:
        sql(
            "insert into leader_holding values (%s, %s, %s, %s)",
            scene.leader, scene.asset, scene.condition, micros(shares),
        )  # fmt: skip


async def _ask(scene: Scene, subscription: str, kind: str = "ASKED") -> str:
    """Ask for a resync as control does."""
    identifier = "rsy_" + secrets.token_hex(16)
    scene.world.sql(
        "insert into resync (id, subscription_id, follower_proxy, kind, state)"
        " values (%s, %s, %s, %s, 'REQUESTED')",
        identifier, subscription, scene.wallet(1), kind,
    )  # fmt: skip
    await scene.world.announce(0)
    return identifier


async def _reached(scene: Scene, identifier: str, *states: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.update(scene.world.sql("select * from resync where id = %s", identifier)[0])
        return found["state"] in states

    await eventually(there)
    return found


async def _execute(scene: Scene, identifier: str) -> dict[str, Any]:
    scene.world.sql(
        "update resync set state = 'EXECUTING', version = version + 1"
        " where id = %s and state = 'PREVIEWED'",
        identifier,
    )
    await scene.world.announce(0)
    return await _reached(scene, identifier, "EXECUTED", "STALE")


def _held(scene: Scene, subscription: str) -> int:
    rows = scene.world.sql("select shares_micros from lot where origin = %s", subscription)
    return int(rows[0]["shares_micros"]) if rows else 0


async def test_a_lot_is_brought_to_what_the_leader_holds_and_out_again(running: World) -> None:
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1, sizing_mode="RATIO", sizing_micros=100_000)
    unknown = await _reached(scene, await _ask(scene, subscription), "PREVIEWED")
    assert unknown["lines"] == []
    _reported(scene, "1000")
    first, second = [await _ask(scene, subscription) for _ in range(2)]
    (line,) = (await _reached(scene, first, "PREVIEWED"))["lines"]
    await _reached(scene, second, "PREVIEWED")
    assert (line["side"], line["leader_micros"], line["held_micros"]) == ("BUY", 10**9, 0)
    # A tenth of 1000 shares at 0.50, bought for up to 0.51 and the highest fee.
    assert line["money_micros"] <= 50_000_000 < line["money_micros"] + 1_000_000
    assert scene.orders() == []

    assert (await _execute(scene, first))["state"] == "EXECUTED"
    await scene.settled(1)
    (order,) = scene.orders()
    assert (order["state"], order["order_key"]) == ("CONFIRMED", line["order_key"])
    assert (order["size_micros"], order["limit_micros"]) == (
        line["size_micros"],
        line["limit_micros"],
    )
    assert _held(scene, subscription) == order["filled_size_micros"] == line["size_micros"]
    # What was shown before the first was executed is not what it would do now.
    stale = await _execute(scene, second)
    assert (stale["state"], "shares are held, were 0" in stale["detail"]) == ("STALE", True)

    _reported(scene, None)
    leaving = await _ask(scene, subscription)
    (line,) = (await _reached(scene, leaving, "PREVIEWED"))["lines"]
    assert (line["side"], line["size_micros"]) == ("SELL", order["filled_size_micros"])
    assert (await _execute(scene, leaving))["state"] == "EXECUTED"
    await scene.settled(2)
    assert _held(scene, subscription) == 0
    assert len(await scene.posted()) == 2


async def test_an_execution_survives_its_router_and_is_done_once(running: World) -> None:
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    _reported(scene, "1000")
    identifier = await _ask(scene, subscription)
    await _reached(scene, identifier, "PREVIEWED")
    running.kill("router")
    scene.world.sql("update resync set state = 'EXECUTING' where id = %s", identifier)
    running.start("router")
    await _reached(scene, identifier, "EXECUTED")
    await scene.settled(1)
    other = await _ask(scene, subscription)
    (line,) = (await _reached(scene, other, "PREVIEWED"))["lines"]
    # What the limit's room for slippage and fees leaves is too little for an order.
    assert (line.get("side"), line["reason"]) == (None, "BELOW_MINIMUM")
    assert len(scene.orders()) == 1


async def test_a_start_mirrors_once_what_is_told_after_it(running: World) -> None:
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    _reported(scene, "77", ago="60")
    subscription = await scene.subscribe(1, settings=json.dumps({"start": "MIRROR"}))
    identifier = await _ask(scene, subscription, "START")
    other = await _ask(scene, subscription)
    await _reached(scene, other, "PREVIEWED")
    assert (await _reached(scene, identifier, "REQUESTED"))["lines"] == []
    _reported(scene, "1000")
    done = await _reached(scene, identifier, "EXECUTED")
    assert [line["leader_micros"] for line in done["lines"]] == [10**9]
    await scene.settled(1)
    assert _held(scene, subscription) > 0


async def test_exits_are_caught_up_after_downtime_and_entries_are_not(running: World) -> None:
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    scene.put(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    held = _held(scene, subscription)
    running.kill("router")
    # It follows for longer than the leader's sell is old.
    running.sql(
        "update subscription set created_at = created_at - interval '1 day' where id = %s",
        subscription,
    )
    hour = 3_600_000
    scene.put(
        scene.trade(size="100", price="0.5", age_ms=hour),
        scene.trade("SELL", size="50", price="0.49", held="100", age_ms=hour),
    )
    running.start("router")
    await scene.settled(2)

    async def decided() -> bool:
        return len(scene.decisions()) == 3

    await eventually(decided)
    assert [order["side"] for order in scene.orders()] == ["BUY", "SELL"]
    # Half of it, to the step of two decimals.
    assert abs(held - 2 * _held(scene, subscription)) <= 20_000
    late = [d for d in scene.decisions() if d["reason"] == "TOO_OLD"]
    assert [(d["side"], d["copied"]) for d in late] == [("BUY", False)]
