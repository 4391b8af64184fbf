"""One leader trade through the money path, judged by the far side's journal."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.money_path.world import Scene, World, eventually, tx
from tradingtools import clock
from tradingtools.domain.ids import guard_exit_key
from tradingtools.v1 import common_pb2 as common

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def path(running: World) -> Scene:
    """A leader and an asset of this test alone, with a good book."""
    scene = running.scene()
    await scene.set_book({"0.50": "1000", "0.51": "1000"}, {"0.49": "1000", "0.48": "1000"})
    return scene


async def test_a_buy_is_copied_once_confirmed_and_reserved_nothing(path: Scene) -> None:
    await path.subscribe(1)
    leader_tx = tx()
    path.put(path.trade(leader_tx=leader_tx, size="100", price="0.5"))
    await path.settled(1)
    (order,) = path.orders()
    assert order["state"] == "CONFIRMED"
    assert order["limit_micros"] == 510_000
    # 10 USDC at 0.51 and the highest fee (0.05 x 0.5 x 0.5 a share), floored to two decimals.
    assert order["size_micros"] == 19_130_000
    assert order["filled_size_micros"] == 19_130_000
    assert order["filled_notional_micros"] == 9_565_000
    (posted,) = await path.posted()
    assert posted["ledger"] is True
    assert path.open_reservations() == []
    lot = path.lot()
    assert (lot["shares_micros"], lot["cost_micros"]) == (19_130_000, 9_565_000)
    (decision,) = path.decisions()
    assert decision["copied"]
    assert decision["order_keys"] == [order["order_key"]]
    assert order["received_ns"] < order["claimed_ns"] < order["first_byte_ns"]


async def test_rows_of_one_transaction_sum_to_the_whole(path: Scene) -> None:
    await path.subscribe(1, sizing_mode="RATIO", sizing_micros=100_000)
    leader_tx = tx()
    first = path.trade(leader_tx=leader_tx, size="200", price="0.5")
    second = path.trade(leader_tx=leader_tx, size="300", price="0.49")
    path.put(first)
    await path.settled(1)
    path.put(first, second)
    path.put(second, first)
    await path.settled(2)
    orders = path.orders()
    assert [o["ordinal"] for o in orders] == [0, 1]
    assert len({o["copy_key"] for o in orders}) == 1
    assert len(await path.posted()) == 2
    allowed = (200 * 500_000 + 300 * 490_000) // 10
    # With the highest fee, 0.05 x 0.5 x 0.5 a share.
    spent = sum(o["size_micros"] * (o["limit_micros"] + 12_500) // 1_000_000 for o in orders)
    assert spent <= allowed
    # What is missing is less than one step of size at the limit of each part.
    assert allowed - spent < 2 * 10_000
    (decision,) = path.decisions()
    assert decision["leader_size_micros"] == 500_000_000
    assert decision["order_keys"] == [o["order_key"] for o in orders]


async def test_a_sell_follows_in_proportion_and_leaves_the_rest(path: Scene) -> None:
    await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    path.put(path.trade("SELL", size="40", price="0.49", held="100"))
    await path.settled(2)
    sold = path.orders()[1]
    assert sold["purpose"] == "COPY_EXIT"
    assert sold["size_micros"] == 7_650_000, "two fifths of 19.13, down to the step"
    lot = path.lot()
    assert lot["shares_micros"] == 19_130_000 - 7_650_000
    # 7.65 of 19.13 shares that cost 9.565: 3.825; sold at 0.49.
    assert lot["realised_micros"] == 765 * 4_900 - 3_825_000


async def test_sell_right_after_a_buy_waits_for_it_and_sells_all(path: Scene) -> None:
    await path.subscribe(1)
    path.world.freeze("confirm")
    path.put(path.trade(size="100", price="0.5"))

    async def sent() -> bool:
        return [order["state"] for order in path.orders()] == ["SUBMITTED"]

    # An entry that has not left yet would leave with its leader, and nothing would be sold.
    await eventually(sent)
    path.put(path.trade("SELL", size="100", price="0.49", held="100"))

    async def waiting() -> bool:
        return "WAITING_FOR_ENTRY" in {d["reason"] for d in path.decisions()}

    await eventually(waiting)
    path.world.thaw("confirm")
    await path.settled(2)
    lot = path.lot()
    assert lot["shares_micros"] == 0
    assert [d["copied"] for d in path.decisions()] == [True, True]


async def test_every_skip_is_stored_with_its_reason_and_numbers(path: Scene) -> None:
    paused = await path.subscribe(1, state="PAUSED")
    poor = await path.subscribe(2, max_per_trade_micros=1_000_000)
    small = await path.subscribe(3, sizing_micros=1_000_000)
    capped = await path.subscribe(4, max_per_market_micros=0)
    path.put(path.trade(size="100", price="0.5"))

    async def decided() -> bool:
        return len(path.decisions()) == 4

    await eventually(decided)
    reasons = {d["subscription_id"]: d["reason"] for d in path.decisions()}
    assert reasons == {
        paused: "PAUSED",
        poor: "CAP_PER_TRADE",
        small: "BELOW_MINIMUM",
        capped: "CAP_PER_MARKET",
    }
    details = {d["subscription_id"]: d["detail"] for d in path.decisions()}
    assert details[poor] == "1 USDC at 0.51 is 1.91 shares < minimum 5"
    assert path.orders() == []


async def test_a_price_that_ran_away_is_skipped_with_the_numbers(path: Scene) -> None:
    await path.subscribe(1)
    path.put(path.trade(size="100", price="0.4"))

    async def decided() -> bool:
        return len(path.decisions()) == 1

    await eventually(decided)
    (decision,) = path.decisions()
    assert (decision["reason"], decision["detail"]) == ("SLIPPAGE", "ask 0.5 > limit 0.41")


async def test_two_subscriptions_of_a_wallet_copy_a_transaction_once(path: Scene) -> None:
    first = await path.subscribe(1)
    second = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    by_subscription = {d["subscription_id"]: d for d in path.decisions()}
    assert by_subscription[first]["copied"]
    assert by_subscription[second]["reason"] == "KEY_TAKEN"
    assert first in by_subscription[second]["detail"]


async def test_a_take_profit_sells_the_lot_at_what_it_fetches(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    trigger = await path.add_trigger(1, subscription, "TAKE_PROFIT", "0.6")
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.3")
    await path.set_book({"0.62": "1000"}, {"0.61": "10", "0.60": "1000"})
    await path.settled(2)

    async def done() -> bool:
        return path.trigger_status(trigger) == "DONE"

    await eventually(done)
    sold = path.orders()[1]
    assert (sold["purpose"], sold["trigger_id"]) == ("GUARD_EXIT", trigger)
    assert sold["filled_size_micros"] == 19_130_000
    assert sold["filled_notional_micros"] == 10 * 610_000 + 9_130_000 * 6 // 10

    async def cancelled() -> bool:
        return path.trigger_status(stop) == "CANCELLED"

    await eventually(cancelled)
    lot = path.lot()
    assert lot["shares_micros"] == 0


async def test_a_stop_loss_wins_over_a_take_profit_and_fires_once(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    # Without a bid both are suspended; the first bid then reaches both.
    await path.set_book({"0.50": "1000"}, {})
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.45")
    # The book before would fire the take-profit: the guard has to have seen this one first.
    await eventually(lambda: path.stands(stop, "SUSPENDED"))
    profit = await path.add_trigger(1, subscription, "TAKE_PROFIT", "0.2")
    await eventually(lambda: path.stands(profit, "SUSPENDED"))
    for bid in ("0.40", "0.41", "0.40", "0.39"):
        await path.set_book({"0.50": "1000"}, {bid: "1000"})
    await path.settled(2)

    async def over() -> bool:
        return {path.trigger_status(stop), path.trigger_status(profit)} <= {"DONE", "CANCELLED"}

    await eventually(over)
    assert path.trigger_status(stop) == "DONE"
    assert len([o for o in path.orders() if o["purpose"] == "GUARD_EXIT"]) == 1
    assert len(await path.posted()) == 2


async def test_an_exit_that_fills_in_part_goes_on_in_slices(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.45")
    await path.set_book({"0.50": "1000"}, {"0.40": "7"})
    await path.settled(2)
    await path.set_book({"0.50": "1000"}, {"0.40": "1000"})

    async def done() -> bool:
        return path.trigger_status(stop) == "DONE"

    await eventually(done)
    exits = [o for o in path.orders() if o["purpose"] == "GUARD_EXIT"]
    assert sum(o["filled_size_micros"] for o in exits) == 19_130_000
    assert [o["ordinal"] for o in exits] == list(range(len(exits)))
    assert len(exits) >= 2


async def test_trailing_stop_keeps_its_peak_over_a_kill_and_fires(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    trail = await path.add_trigger(
        1, subscription, "TRAILING_STOP", "0.55", callback_micros=50_000
    )  # 5 cents below the peak

    def reported() -> list[str]:
        rows = path.world.sql(
            "select detail from trigger_event where trigger_id = %s order by event_seq", trail
        )
        return [row["detail"] for row in rows]

    async def peaked() -> bool:
        return "peak 0.62, fires at 0.57" in reported()

    await path.set_book({"0.63": "1000"}, {"0.62": "1000"})
    await eventually(peaked)
    path.world.kill("guard")
    await path.set_book({"0.63": "1000"}, {"0.58": "1000"})
    path.world.start("guard")
    await path.set_book({"0.63": "1000"}, {"0.57": "1000"})
    await path.settled(2)

    async def done() -> bool:
        return path.trigger_status(trail) == "DONE"

    await eventually(done)
    (sold,) = [o for o in path.orders() if o["purpose"] == "GUARD_EXIT"]
    assert (sold["trigger_id"], sold["filled_size_micros"]) == (trail, 19_130_000)
    assert reported()[-1] == "sold 19.13 shares at 0.57, 0 from 0.57"
    assert any("would fetch 0.57, fires at 0.57, peak 0.62" in text for text in reported())


async def test_a_peak_that_no_row_has_yet_outlives_a_kill(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    trail = await path.add_trigger(1, subscription, "TRAILING_STOP", "0.55", callback_micros=50_000)

    async def recorded() -> bool:
        records = path.world.sql("select 1 from peak_record where %s = any(triggers)", trail)
        return bool(records)

    async def fires() -> bool:
        waiting = path.world.sql(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            " and application_name = 'tradingtools-guard-writing'"
        )
        return bool(waiting)

    with psycopg.connect(path.world.database_url) as holder:
        # Neither the guard nor what it has asked before it dies can change the row.
        row = holder.execute("select peak_micros from trigger where id = %s for update", [trail])
        assert row.fetchone() == (None,)
        await path.set_book({"0.63": "1000"}, {"0.62": "1000"})
        await eventually(recorded)
        path.world.kill("guard")
        await path.set_book({"0.63": "1000"}, {"0.57": "1000"})
        path.world.start("guard")
        await eventually(fires)
    await path.settled(2)
    (sold,) = [o for o in path.orders() if o["purpose"] == "GUARD_EXIT"]
    assert (sold["trigger_id"], sold["filled_size_micros"]) == (trail, 19_130_000)

    async def folded() -> bool:
        (row,) = path.world.sql("select peak_micros from trigger where id = %s", trail)
        return bool(row["peak_micros"] == 620_000 and not await recorded())

    await eventually(folded)


async def test_ladder_sells_rungs_over_a_kill_and_moves_its_stop(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    rungs = [(600_000, 250_000), (700_000, 250_000), (800_000, 100_000), (900_000, 0)]
    fields = [{"price_micros": price, "share_ppm": share} for price, share in rungs]
    ladder = await path.add_trigger(1, subscription, "LADDER", None, rungs=Jsonb(fields))
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.3", break_even=True)

    def exits() -> list[tuple[str, int]]:
        rows = [o for o in path.orders() if o["purpose"] == "GUARD_EXIT"]
        return [(row["copy_key"], row["filled_size_micros"]) for row in rows]

    async def armed_again(rungs_done: int) -> None:
        async def holds() -> bool:
            rows = path.world.sql("select status, rungs_done from trigger where id = %s", ladder)
            return rows == [{"status": "ARMED", "rungs_done": rungs_done}]

        await eventually(holds)

    await path.set_book({"0.62": "1000"}, {"0.61": "1000"})
    await armed_again(1)
    (moved,) = path.world.sql("select price_micros from trigger where id = %s", stop)
    lot = path.lot()
    assert moved["price_micros"] == -(-lot["cost_micros"] * 1_000_000 // lot["shares_micros"])
    path.world.kill("guard")
    path.world.start("guard")
    # Over two rungs at once.
    await path.set_book({"0.83": "1000"}, {"0.82": "1000"})
    await armed_again(3)
    part = lot["bought_size_micros"] * 35 // 100
    assert exits() == [
        # A quarter would be less than the market's smallest order.
        (guard_exit_key(ladder, 0, 0), 5_000_000),
        (guard_exit_key(ladder, 0, 2), part - part % 10_000),
    ]
    # Back through the entry: the stop takes what the last rung has not.
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await path.settled(4)
    assert path.orders()[3]["trigger_id"] == stop
    assert path.lot()["shares_micros"] == 0

    async def over() -> bool:
        return (path.trigger_status(stop), path.trigger_status(ladder)) == ("DONE", "CANCELLED")

    await eventually(over)


async def test_a_stop_that_wants_two_ticks_does_not_fire_on_one(path: Scene) -> None:
    subscription = await path.subscribe(1, sizing_micros=30_000_000)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    patient = await path.add_trigger(1, subscription, "STOP_LOSS", "0.45", two_ticks=True)
    # A slow guard sees the newest book only: plain ones show that it has seen each.
    plain = [
        await path.add_trigger(1, subscription, kind, price, size="5")
        for kind, price in (("STOP_LOSS", "0.42"), ("TAKE_PROFIT", "0.50"), ("STOP_LOSS", "0.35"))
    ]
    for number, bid in enumerate(("0.40", "0.50", "0.34"), start=1):
        await path.set_book({"0.60": "1000"}, {bid: "1000"})
        await path.settled(1 + number)
        assert [o["trigger_id"] for o in path.orders()[1:]] == plain[:number]
    await path.set_book({"0.60": "1000"}, {"0.44": "1000"})
    await path.settled(5)
    assert path.orders()[4]["trigger_id"] == patient


async def test_a_time_stop_fires_on_a_quiet_book_at_its_instant(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    at_ms = clock.now_ms() + 500
    timed = await path.add_trigger(1, subscription, "TIME_STOP", None, fire_at_ms=at_ms)
    await path.settled(2)
    sold = path.orders()[1]
    assert (sold["trigger_id"], sold["filled_size_micros"]) == (timed, 19_130_000)
    assert sold["claimed_ns"] >= at_ms * 1_000_000


async def test_halt_keeps_triggers_armed_and_judges_them_at_its_end(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    await path.halt("MARKET", path.condition)
    stop = await path.add_trigger(1, subscription, "STOP_LOSS", "0.45")
    for bid in ("0.40", "0.41", "0.40"):
        await path.set_book({"0.50": "1000"}, {bid: "1000"})
        await asyncio.sleep(0.2)
    assert path.trigger_status(stop) == "ARMED"
    assert len(path.orders()) == 1
    await path.end_halt("MARKET", path.condition)
    await path.settled(2)

    async def done() -> bool:
        return path.trigger_status(stop) == "DONE"

    await eventually(done)


async def test_unhandled_message_is_quarantined_and_the_stream_goes_on(
    path: Scene,
) -> None:
    await path.subscribe(1)
    broken = path.trade(size="100", price="0.5")
    broken.side = common.SIDE_UNSPECIFIED
    path.put(broken)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)

    async def quarantined() -> bool:
        return len(path.world.sql("select 1 from dead_letter")) == 1

    await eventually(quarantined)
    (row,) = path.world.sql("select * from dead_letter")
    assert (row["stream"], row["consumer"]) == ("leader_trades", "router-0")
    assert "KeyError" in row["reason"]
