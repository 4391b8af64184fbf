"""Requests of people and the product's backend while the engine works.

Before it: control, which writes what is written here. After it: router, confirm and guard, which
carry it out, and the judge, who must find the books right whatever was done.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from tests.fault.rig import Rig
from tests.money_path.world import Scene, micros

Act = Callable[[Rig, Scene, str, random.Random], Awaitable[None]]
"""With a rig, a scene of it, a subscription there, and where chance comes from."""
_BUDGET_USDC = 1_000_000
_UNHEARD_SECONDS = 0.3
_STALE = 0.3
_CERTAIN_SECONDS = 10
"""After so long nothing that was sent is still on its way."""


async def change_settings(rig: Rig, scene: Scene, subscription: str, _: random.Random) -> None:
    """A subscription gets another version: what was sized under the old one is decided again."""
    seq = scene.change(subscription)
    # What its leader does before the router hears of it is sized under the old one.
    await asyncio.sleep(_UNHEARD_SECONDS)
    await rig.world.announce(seq)


async def fund(rig: Rig, scene: Scene, subscription: str, _: random.Random) -> None:
    """A wallet gets a budget that is larger than what it can spend."""
    await rig.world.announce(scene.fund(subscription, _BUDGET_USDC))


async def replay_dead_letter(rig: Rig, _: Scene, __: str, rng: random.Random) -> None:
    """An operator has a message tried again that was set aside; it is set aside again."""
    rows = rig.world.sql("select id from dead_letter where replay_requested_at is null order by id")
    if rows:
        rig.world.sql(
            "update dead_letter set replay_requested_at = clock_timestamp(), replayed_at = null"
            " where id = %s",
            rng.choice(rows)["id"],
        )


async def end_dead_order(rig: Rig, scene: Scene, _: str, rng: random.Random) -> None:
    """An operator has looked at insiders-api and ends an order that nobody else can end."""
    rows = rig.world.sql(
        "select o.order_key, o.epoch from orders o where o.state = 'DEAD'"
        " and o.not_after_ms + %s < extract(epoch from clock_timestamp()) * 1000"
        " and not exists (select 1 from order_resolution r where r.order_key = o.order_key)"
        " order by o.order_key",
        _CERTAIN_SECONDS * 1000,
    )
    if not rows:
        return
    dead = rng.choice(rows)
    state = await rig.world.control("GET", "/state")
    there = [order for order in state["orders"] if order["idempotencyKey"] == dead["order_key"]]
    reported = _reported(there[0]) if there else ("FAILED", None, None, None)
    if reported is not None:
        seq = scene.note_change("order", dead["order_key"])
        rig.world.sql(
            "insert into order_resolution (order_key, from_state, epoch, to_state,"
            " filled_size_micros, filled_notional_micros, fee_micros, evidence, operator,"
            " control_seq) values (%s, 'DEAD', %s, %s, %s, %s, %s, %s, 'ann', %s)",
            dead["order_key"], dead["epoch"], *reported, json.dumps(there), seq,
        )  # fmt: skip


def _reported(order: Any) -> tuple[str, int | None, int | None, int | None] | None:
    """Return how an operator ends what insiders-api has like this; None: it is not over there."""
    if not order["closed"] or any(t["status"] not in _OVER for t in order["trades"]):
        return None
    filled = micros(order["filledSize"])
    if not filled:
        return "FAILED", None, None, None
    return "CONFIRMED", filled, micros(order["filledNotional"]), micros(order["fee"])


_OVER = ("CONFIRMED", "FAILED")


async def resync(rig: Rig, scene: Scene, subscription: str, rng: random.Random) -> None:
    """Bring a subscription to what its leader holds of an asset that nobody trades: asked for,
    and executed by whoever sees its preview."""
    sql = rig.world.sql
    shown = sql(
        "update resync set state = 'EXECUTING', version = version + 1 where id in"
        " (select id from resync where state = 'PREVIEWED' order by id limit 1)"
        " returning subscription_id"
    )
    if shown and rng.random() < _STALE:
        # What was shown was judged under other settings.
        await change_settings(rig, scene, shown[0]["subscription_id"], rng)
    if shown:
        await rig.world.announce(0)
        return
    held = rig.world.scene()
    await held.set_book({"0.50": "1000"}, {"0.49": "1000"})
    sql(
        "insert into leader_account (leader, equity_micros, asked_at)"
        " values (%s, null, clock_timestamp()) on conflict (leader)"
        " do update set asked_at = excluded.asked_at",
        scene.leader,
    )
    # What was held before is held no more: a lot of it is sold.
    sql("delete from leader_holding where leader = %s", scene.leader)
    sql(
        "insert into leader_holding values (%s, %s, %s, 1000000000)",
        scene.leader, held.asset, held.condition,
    )  # fmt: skip
    sql(
        "insert into resync (id, subscription_id, follower_proxy, kind, state)"
        " select %s, id, follower_proxy, %s, 'REQUESTED' from subscription where id = %s",
        f"rsy_{rng.randbytes(16).hex()}", rng.choice(("ASKED", "ASKED", "START")), subscription,
    )  # fmt: skip
    await rig.world.announce(0)


ACTS: tuple[Act, ...] = (change_settings, fund, replay_dead_letter, end_dead_order, resync)
"""All of them; each leaves the number of decisions as it is."""
