"""Exits under a halt: they wait without an order, survive a kill -9, and leave when it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.money_path.world import Scene, World, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_AT_ONCE_SECONDS = 1.0
"""From the end of a halt to an exit's POST; more than what a busy machine takes."""


@pytest.fixture
def scene(running: World) -> Iterator[Scene]:
    made = running.scene()
    yield made
    # What fails holds up no other test.
    for halt in running.sql("delete from halt returning scope, subject"):
        made.note_change("halt", f"{halt['scope']}:{halt['subject']}")


async def _copied(scene: Scene) -> str:
    subscription = await scene.subscribe(1)
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await scene.put_when_copied(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    return subscription


def _subject(scene: Scene, scope: str) -> str:
    subjects = {
        "GLOBAL": "", "WALLET": scene.wallet(1), "LEADER": scene.leader, "MARKET": scene.condition,
    }  # fmt: skip
    return subjects[scope]


async def _sold_at_once(scene: Scene, orders: int) -> None:
    """From here on, until everything is sold, by so many orders in all."""
    ended = time.time_ns()
    await scene.settled(orders)
    rows = scene.orders()
    assert len(rows) == orders
    assert (rows[-1]["state"], scene.lot()["shares_micros"]) == ("CONFIRMED", 0)
    assert (rows[-1]["claimed_ns"] - ended) / 1e9 < _AT_ONCE_SECONDS


@pytest.mark.parametrize("scope", ["GLOBAL", "WALLET", "LEADER", "MARKET"])
async def test_leaders_exit_waits_for_a_halts_end_and_leaves_at_once(
    scene: Scene, scope: str
) -> None:
    await _copied(scene)
    await scene.halt(scope, _subject(scene, scope))
    await asyncio.sleep(0.2)
    scene.put(scene.trade("SELL", size="100", price="0.49", held="100"))
    # Long enough for what is tried again and again, ever later.
    await asyncio.sleep(4)
    assert len(scene.orders()) == 1
    decision = scene.decisions()[-1]
    assert (decision["copied"], decision["reason"]) == (False, "HALTED")
    await scene.end_halt(scope, _subject(scene, scope))
    await _sold_at_once(scene, 2)
    assert scene.decisions()[-1]["reason"] == ""


async def test_killed_router_and_guard_keep_exits_held_by_a_halt(scene: Scene) -> None:
    subscription = await _copied(scene)
    stop = await scene.add_trigger(1, subscription, "STOP_LOSS", "0.45", "5")
    await scene.halt("WALLET", scene.wallet(1))
    await asyncio.sleep(0.2)
    await scene.set_book({"0.50": "1000"}, {"0.40": "1000"})
    scene.put(scene.trade("SELL", size="50", price="0.40", held="100"))

    async def decided() -> bool:
        return len(scene.decisions()) == 2

    await eventually(decided)
    for name in ("router", "guard"):
        scene.world.kill(name)
        scene.world.start(name)
    await asyncio.sleep(4)
    assert len(scene.orders()) == 1
    assert scene.trigger_status(stop) == "ARMED"
    await scene.end_halt("WALLET", scene.wallet(1))
    await scene.settled(3)

    async def done() -> bool:
        return scene.trigger_status(stop) == "DONE"

    await eventually(done)
    sold = sorted((o["purpose"], o["filled_size_micros"]) for o in scene.orders()[1:])
    assert [purpose for purpose, _ in sold] == ["COPY_EXIT", "GUARD_EXIT"]


async def test_exit_met_by_a_halt_is_not_retried_under_it(
    scene: Scene,
) -> None:
    await _copied(scene)
    # Nobody tells the router before its order was refused.
    scene.world.sql(
        "insert into halt (scope, subject, mode, reason) values ('LEADER', %s, 'HALTED', 'test')",
        scene.leader,
    )
    scene.put(scene.trade("SELL", size="100", price="0.49", held="100"))
    await scene.settled(2)
    await scene.world.announce(scene.note_change("halt", f"LEADER:{scene.leader}"))
    await asyncio.sleep(4)
    assert [(o["state"], o["reason"]) for o in scene.orders()[1:]] == [("FAILED", "HALTED")]
    await scene.end_halt("LEADER", scene.leader)
    await _sold_at_once(scene, 3)
