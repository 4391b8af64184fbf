"""The last gate halts by itself when something runs away, and only an operator lets go on."""

from __future__ import annotations

from pathlib import Path

from tests.money_path.world import eventually, world


async def test_exposure_beyond_its_bound_leaves_selling_only(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        # Two copies of ten USDC fit within a minute, a third one does not.
        made.configure(TT_EXECUTOR_WALLET_MINUTE_USDC_MAX="25")
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        await scene.subscribe(1)
        for orders in (1, 2, 3):
            scene.put(scene.trade(size="100", price="0.5"))
            await scene.settled(orders)
        assert [(o["state"], o["reason"]) for o in scene.orders()] == [
            ("CONFIRMED", ""), ("CONFIRMED", ""), ("FAILED", "RISK"),
        ]  # fmt: skip
        (halt,) = made.sql("select scope, subject, mode, reason from halt")
        assert (halt["scope"], halt["subject"], halt["mode"]) == (
            "WALLET", scene.wallet(1), "REDUCING",
        )  # fmt: skip
        assert "USDC within a minute" in halt["reason"]
        (audit,) = made.sql("select actor, action from control_change where subject_kind = 'halt'")
        assert audit == {"actor": "executor", "action": "halt"}
        # A minute later there would be room again: the halt holds nevertheless, but no exit.
        made.kill("executor")
        made.start("executor")
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(4)
        assert scene.orders()[-1]["reason"] in ("HALTED", "EXPIRED")
        scene.put(scene.trade("SELL", size="300", price="0.49", held="300"))

        async def sold() -> bool:
            return bool(scene.lot()["shares_micros"] == 0)

        await eventually(sold)


async def test_a_rate_beyond_its_bound_stops_no_stop_loss(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        made.configure(TT_EXECUTOR_ORDERS_PER_MINUTE_MAX="1")
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        subscription = await scene.subscribe(1)
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(1)
        trigger = await scene.add_trigger(1, subscription, "STOP_LOSS", "0.3")
        await eventually(lambda: scene.stands(trigger, "ARMED"))
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(2)
        assert scene.orders()[-1]["reason"] == "RISK"
        (halt,) = made.sql("select scope, mode from halt")
        assert halt == {"scope": "GLOBAL", "mode": "REDUCING"}
        await scene.set_book({"0.25": "100000"}, {"0.20": "100000"})
        await scene.settled(3)
        assert scene.lot()["shares_micros"] == 0


async def test_a_restart_makes_no_room_for_what_runs_away(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        made.configure(TT_EXECUTOR_MARKET_MINUTE_USDC_MAX="25")
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        await scene.subscribe(1)
        await scene.subscribe(2)
        # Two wallets, ten USDC each: the market has room for no third one.
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(2)
        made.kill("executor")
        made.start("executor")
        scene.put(scene.trade(size="100", price="0.5"))
        await scene.settled(4)
        ends = [(order["state"], order["reason"]) for order in scene.orders()]
        assert ends[:2] == [("CONFIRMED", ""), ("CONFIRMED", "")]
        assert {state for state, _ in ends[2:]} == {"FAILED"}
        assert "RISK" in {reason for _, reason in ends[2:]}
        (halt,) = made.sql("select scope, subject, mode from halt")
        assert halt == {"scope": "MARKET", "subject": scene.condition, "mode": "REDUCING"}
        scene.put(scene.trade("SELL", size="200", price="0.49", held="200"))

        async def sold() -> bool:
            lots = made.sql("select shares_micros from lot where asset_id = %s", scene.asset)
            return not any(lot["shares_micros"] for lot in lots)

        await eventually(sold)
