"""From what really happens in the engine, through its log, to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher.ports import free_port
from services.alerts import rules_file
from tests.alerts import world as alerts
from tests.money_path import world as engine
from tests.money_path.test_breaker import DOWN
from tests.money_path.world import Scene

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]
_NEVER = {"where": "before_accept", "kind": "reset", "path": "buy", "seed": 1}
_SOONER = ("breaker-open", "trigger-suspended", "process-not-serving")


def sooner() -> list[dict[str, Any]]:
    """The rules that ship, which do not wait for so long."""
    text = (Path(rules_file.__file__).parent / rules_file.SHIPPED).read_text()
    rules = {rule["name"]: rule for rule in yaml.safe_load(text)["rules"]}
    lost = {**rules["order-lost"], "ends_after_seconds": 2}
    return [lost, *({**rules[name], "for_seconds": 1} for name in _SOONER)]


async def test_engine_event_and_its_end_reach_a_person(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        alerts.world(database_url, tmp_path) as reported,
        engine.world(database_url, redis_url, tmp_path) as made,
    ):
        reported.write_rules(rules=sooner())
        for name in ("events", "alerts"):
            made.ports[name] = free_port()
            made.configure(**{f"TT_{name.upper()}_LISTEN": made.target(name)})
        desired = ("FILE", "LOOK_MS", "CONSOLE_URL", "TARGETS")
        made.configure(
            **{f"TT_ALERTS_{name}": reported.environment[f"TT_ALERTS_{name}"] for name in desired},
            TT_ALERTS_EVENTS_TARGET=made.target("events"),
            TT_ALERTS_PROCESSES=f"guard={made.target('guard')}",
            TT_EXECUTOR_BREAKER_FAILURES="2",
            TT_EXECUTOR_BREAKER_OPEN_MS="1000",
            TT_CONFIRM_ATTEMPTS="1",
        )
        await made.start_all()
        made.start("events")
        made.start("alerts")
        scene, subscription = await _follower(made)
        await engine.eventually(lambda: _there(reported, "select 1 from consumer_cursor"))
        await _lost_order(made, reported)
        await _blind_stop(scene, subscription, reported)
        await _open_breaker(made, reported)
        await _halt(reported, scene.wallet(1))
        made.kill("guard")
        await reported.reported("[CRITICAL] guard does not serve: it does not answer")
        made.start("guard")
        await reported.reported("Over: guard does not serve: it does not answer")


async def _there(reported: alerts.World, query: str) -> bool:
    return bool(reported.sql(query))


async def _follower(made: engine.World) -> tuple[Scene, str]:
    scene = made.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    await scene.put_when_copied(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    return scene, subscription


async def _lost_order(made: engine.World, reported: alerts.World) -> None:
    lost = made.scene()
    await lost.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await lost.subscribe(1)
    await made.control("POST", "/faults", _NEVER)
    await lost.put_when_copied(lost.trade(size="100", price="0.5"))
    await lost.settled(1)
    await made.control("DELETE", "/faults")
    words = "An order is lost: "
    await reported.reported(f"[CRITICAL] {words}", f"Over: {words}")
    (order,) = lost.orders()
    (text,) = (text for text in reported.slack.texts() if f"[CRITICAL] {words}" in text)
    assert f"/orders/{order['order_key']}" in text
    assert lost.wallet(1) in text
    await _follower(made)


async def _blind_stop(scene: Scene, subscription: str, reported: alerts.World) -> None:
    await scene.set_book({"0.50": "1000"}, {})
    await scene.add_trigger(1, subscription, "STOP_LOSS", "0.10")
    words = "A STOP_LOSS has been blind for 1 seconds"
    await reported.reported(words)
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await reported.reported(f"Over: {words}")


async def _open_breaker(made: engine.World, reported: alerts.World) -> None:
    await made.control("POST", "/faults", DOWN)
    words = "insiders-api has failed for 1 seconds: no order leaves"
    for _ in range(2):
        scene = made.scene()
        await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
        await scene.subscribe(1)
        await scene.put_when_copied(scene.trade(size="100", price="0.5"))
    await reported.reported(f"[CRITICAL] {words}")
    await made.control("DELETE", "/faults")
    # Whatever the breaker lets through next finds out that it is back.
    await _follower(made)
    await reported.reported(f"Over: {words}")


async def _halt(reported: alerts.World, wallet: str) -> None:
    reason = "last gate: more than 50000 USDC in a minute"
    reported.sql(f"select halt_by_engine('WALLET', '{wallet}', 'REDUCING', 'executor', '{reason}')")
    words = f"Trading is halted: WALLET:{wallet} is REDUCING ({reason})"
    await reported.reported(f"[CRITICAL] {words}")
    reported.sql("delete from halt")
    reported.sql("select append_control_change('ann', 'grpc', 'unhalt', 'halt',"
             f" 'WALLET:{wallet}', null, null)")  # fmt: skip
    await reported.reported(f"Over: {words}")
