"""A loss stop and a profit scale act once, and never on a doubtful or a single bad mark."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.money_path.world import Scene, World, eventually
from tradingtools.domain.money import to_text
from tradingtools.domain.performance import LossAction
from tradingtools.v1 import bookfeed_service_pb2 as books_pb

pytestmark = pytest.mark.asyncio(loop_scope="module")
USDC = 1_000_000
HELD = 19_130_000
"""What 10 USDC buy at 0.50, with the fee set aside."""


@pytest_asyncio.fixture(loop_scope="module")
async def path(running: World) -> Scene:
    """A leader and an asset of this test alone, with a good book."""
    scene = running.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    return scene


def stop(action: LossAction = LossAction.PAUSE, **limits: Any) -> Jsonb:
    return Jsonb({"loss_stop": {"action": action, **limits}})


def amount(usdc: float) -> dict[str, int]:
    return {"amount_micros": int(usdc * USDC)}


SCALE = Jsonb(
    {
        "profit_scale": {
            "step_micros": USDC, "factor_micros": 2 * USDC, "min_micros": USDC // 2,
            "max_micros": 2 * USDC, "cooldown_seconds": 0,
        }
    }
)  # fmt: skip


async def holding(path: Scene, *, followed: bool = True, **columns: Any) -> str:
    """A subscription that has bought 19.13 shares at 0.50, and that perfmon follows."""
    name = await path.subscribe(1, **columns)
    path.put(path.trade(size="20", price="0.5"))
    await path.settled(1)
    assert path.lot()["shares_micros"] == HELD
    if followed:
        await eventually(lambda: stands(path, name, "WATCHING"))
    return name


async def stands(path: Scene, name: str, *states: str) -> bool:
    rows = path.world.sql("select state from performance where subscription_id = %s", name)
    return bool(rows) and rows[0]["state"] in states


def actions(path: Scene, name: str) -> list[dict[str, Any]]:
    return path.world.sql(
        "select * from performance_action where subscription_id = %s order by ordinal", name
    )


def subscription(path: Scene, name: str) -> dict[str, Any]:
    (row,) = path.world.sql("select * from subscription where id = %s", name)
    return row


async def looked(path: Scene) -> None:
    """Wait until perfmon has judged what was put before: another one is stopped after it."""
    other = path.world.scene()
    await other.set_book({"0.50": "1000"}, {"0.49": "1000"})
    name = await holding(other, performance=stop(total=amount(3)))
    await other.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(other, name, "STOPPED"))


async def test_a_loss_stops_once_and_says_why(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3), session=amount(9)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    row = subscription(path, name)
    assert (row["state"], row["paused_by"]) == ("PAUSED", "PERFORMANCE")
    assert row["pause_reason"].startswith("TOTAL: lost ")
    (done,) = actions(path, name)
    assert (done["kind"], done["loss_action"]) == ("STOP", "PAUSE")
    points = done["evidence"]["points"]
    assert int(points[-1]["at_ms"]) - int(points[0]["at_ms"]) >= 400
    assert int(done["evidence"]["from_micros"]) - int(points[-1]["high_micros"]) >= 3 * USDC
    assert path.lot()["shares_micros"] == HELD, "paused, not sold"


async def test_a_loss_within_the_limit_stops_nobody(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(5)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await looked(path)
    assert actions(path, name) == []


async def test_one_bad_mark_stops_nobody(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    await path.set_book({"0.02": "1000"}, {"0.01": "1000"})
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await looked(path)
    assert actions(path, name) == []
    assert subscription(path, name)["state"] == "ACTIVE"


async def test_a_doubtful_book_is_no_loss_and_is_told_of(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    # Far below the limit, and nobody believes it.
    await path.set_book({"0.02": "1000"}, {"0.01": "1000"}, announce=False)
    doubtful = books_pb.Mark()
    doubtful.CopyFrom(path.world.upstream.marks[path.asset])
    doubtful.status = books_pb.BOOK_STATUS_STALE
    path.world.upstream.put_mark(doubtful)
    await eventually(lambda: stands(path, name, "WARNED"))
    assert actions(path, name) == []
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await eventually(lambda: stands(path, name, "WATCHING"))
    assert actions(path, name) == []


async def test_a_total_loss_stops(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(8)))
    # Nobody bids, and whoever wants some pays two cents.
    await path.set_book({"0.02": "1000"}, {})
    await eventually(lambda: stands(path, name, "STOPPED"))
    (done,) = actions(path, name)
    last = done["evidence"]["points"][-1]
    assert int(last["high_micros"]) - int(last["low_micros"]) == HELD * 2 // 100


async def test_a_book_that_is_empty_for_a_moment_stops_nobody(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    await path.set_book({"0.02": "1000"}, {})
    await path.set_book({}, {})
    await looked(path)
    assert actions(path, name) == []
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await looked(path)
    assert actions(path, name) == []


async def test_a_book_that_stays_away_hides_no_loss_of_another(path: Scene) -> None:
    name = await holding(path, performance=Jsonb({}), followed=False)
    other = path.another_asset()
    await other.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await other.put_when_copied(other.trade(size="20", price="0.5"))
    await other.settled(1)
    doubtful = books_pb.Mark()
    doubtful.CopyFrom(path.world.upstream.marks[path.asset])
    doubtful.status = books_pb.BOOK_STATUS_STALE
    path.world.upstream.put_mark(doubtful)
    # Rules from now on, and with them windows.
    await path.world.announce(path.change(name, performance=stop(day=amount(3), total=amount(3))))
    await eventually(lambda: stands(path, name, "WARNED"))
    await other.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))


async def test_shares_that_are_adopted_are_no_profit_and_no_loss(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    other = path.another_asset()
    await other.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await adopted(other, name, shares=20 * USDC, cost=19 * USDC)
    await looked(path)
    assert actions(path, name) == [], "they have cost more than they fetch, long ago"
    await other.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    (done,) = actions(path, name)
    points = done["evidence"]["points"]
    # 20 x 0.19; it was one tick below its cost before.
    lost = int(done["evidence"]["from_micros"]) - int(points[-1]["high_micros"])
    assert 38 * USDC // 10 <= lost < 5 * USDC


async def adopted(path: Scene, name: str, *, shares: int, cost: int) -> None:
    """Have a wallet's shares adopted, and wait until they are."""
    proxy = path.wallet(1)
    by_hand = {
        "side": "BUY", "assetId": path.asset, "conditionId": path.condition,
        "size": to_text(shares), "price": "0.5",
    }  # fmt: skip
    await path.world.control("POST", f"/wallets/{proxy}/trades", by_hand)
    path.world.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id)"
        " values (%s, %s, %s, %s)", proxy, path.asset, name, path.condition,
    )  # fmt: skip
    path.world.sql(
        "insert into lot_request (request_id, follower_proxy, asset_id, origin, shares_micros,"
        " cost_micros, evidence, operator, control_seq)"
        " values (%s, %s, %s, %s, %s, %s, 'seen on the chain', 'ann', 1)",
        f"adopt {path.asset}", proxy, path.asset, name, shares, cost,
    )  # fmt: skip

    async def done() -> bool:
        return bool(path.lot()["shares_micros"] == shares)

    await eventually(done)


async def test_a_stop_that_exits_sells_once_what_is_held(path: Scene) -> None:
    name = await holding(path, performance=stop(LossAction.PAUSE_AND_EXIT, from_peak=amount(3)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    await path.settled(2)
    assert path.lot()["shares_micros"] == 0
    (done,) = actions(path, name)
    (trigger,) = path.world.sql("select * from trigger where origin = %s", name)
    assert done["exits"] == [trigger["id"]]
    sells = [order for order in path.orders() if order["side"] == "SELL"]
    assert sum(order["filled_size_micros"] for order in sells) == HELD
    assert len(await path.posted()) == 2, "one buy and one sell"


async def test_a_late_fill_of_a_stopped_subscription_is_sold(path: Scene) -> None:
    name = await holding(path, performance=stop(LossAction.PAUSE_AND_EXIT, total=amount(3)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await path.settled(2)
    await eventually(lambda: stands(path, name, "STOPPED"))
    path.world.sql("update subscription set state = 'ACTIVE' where id = %s", name)
    path.change(name)
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await path.put_when_copied(path.trade(size="20", price="0.5"))
    await path.settled(4)
    assert path.lot()["shares_micros"] == 0


async def test_the_scale_follows_the_result_within_its_bounds(path: Scene) -> None:
    name = await holding(path, performance=SCALE)
    before = subscription(path, name)
    await path.set_book({"0.66": "1000"}, {"0.65": "1000"})
    await eventually(lambda: stands(path, name, "SCALED"))
    (up,) = actions(path, name)
    assert (up["kind"], up["scale_micros"]) == ("SCALE", 2 * USDC)
    row = subscription(path, name)
    assert (row["version"], row["state"], row["scale_micros"]) == (
        before["version"], "ACTIVE", 2 * USDC,
    )  # fmt: skip
    await path.put_when_copied(path.trade(size="100", price="0.66"))
    await path.settled(2)
    bought = path.orders()[1]
    assert 19 * USDC < bought["size_micros"] * bought["limit_micros"] // USDC <= 20 * USDC
    await path.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await eventually(lambda: stands(path, name, "WATCHING", "SCALED"))

    async def stepped_down() -> bool:
        return len(actions(path, name)) >= 2

    await eventually(stepped_down)
    assert actions(path, name)[1]["scale_micros"] == USDC


async def test_money_put_in_or_taken_out_is_no_profit_and_no_loss(path: Scene) -> None:
    name = await path.subscribe(1, performance=Jsonb({}))
    await path.world.announce(path.fund(name, 100))
    rules = stop(total={"fraction_micros": 80_000})
    await path.world.announce(path.change(name, performance=rules))
    await path.put_when_copied(path.trade(size="20", price="0.5"))
    await path.settled(1)
    await eventually(lambda: stands(path, name, "WATCHING"))
    # Lost: 3.6 of 100, which is less than 8 %; and so it stays, whatever is put in or taken out.
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await looked(path)
    await path.world.announce(path.fund(name, 1000))
    await looked(path)
    await path.world.announce(path.fund(name, 50))
    await looked(path)
    assert actions(path, name) == []
    # Lost since then: 3.8 of 46.
    await path.set_book({"0.11": "1000"}, {"0.10": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    assert len(actions(path, name)) == 1


async def test_only_one_of_two_perfmons_acts(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    path.world.start("perfmon", alias="perfmon-2", TT_PERFMON_LISTEN="127.0.0.1:0")
    assert path.world.exit_code("perfmon") != 0, "the first one has lost its lease"
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    assert len(actions(path, name)) == 1
    path.world.start("perfmon")
    assert path.world.exit_code("perfmon-2") != 0


async def test_a_perfmon_that_was_frozen_asks_in_vain(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3)))
    path.world.freeze("perfmon")
    path.world.start("perfmon", alias="perfmon-2", TT_PERFMON_LISTEN="127.0.0.1:0")
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    path.world.thaw("perfmon")
    assert path.world.exit_code("perfmon") != 0
    assert len(actions(path, name)) == 1
    path.world.kill("perfmon-2")
    path.world.start("perfmon")


async def test_a_resumed_subscription_is_judged_from_a_new_baseline(path: Scene) -> None:
    name = await holding(path, performance=stop(total=amount(3), from_peak=amount(3)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    seq = path.change(
        name, state="ACTIVE", paused_by=None, baseline=2, session=2,
    )  # fmt: skip
    await path.world.announce(seq)
    await eventually(lambda: stands(path, name, "WATCHING"))
    await looked(path)
    assert len(actions(path, name)) == 1, "what was lost before counts no more"
    await path.set_book({"0.13": "1000"}, {"0.12": "1000"})
    await eventually(lambda: stands(path, name, "STOPPED"))
    assert [row["baseline"] for row in actions(path, name)] == [1, 2]


async def test_it_is_done_once_however_often_perfmon_is_killed(path: Scene) -> None:
    name = await holding(path, performance=stop(LossAction.PAUSE_AND_EXIT, total=amount(3)))
    await path.set_book({"0.31": "1000"}, {"0.30": "1000"})
    for _ in range(4):
        await asyncio.sleep(0.3)
        path.world.kill("perfmon")
        path.world.start("perfmon")
    await eventually(lambda: stands(path, name, "STOPPED"))
    await path.settled(2)
    assert len(actions(path, name)) == 1
    assert path.lot()["shares_micros"] == 0
    assert len(await path.posted()) == 2
