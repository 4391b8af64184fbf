"""Test whose exits a guard follows, and that one which it cannot follow holds up no other."""

from __future__ import annotations

import pytest

from tests.unit.guard.test_evaluation import DEEP, SHARE, Desk, _key
from tests.unit.guard.test_meanwhile import GOOD, _Scene
from tradingtools.domain import ids
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

LOT = next(n for n in range(1, 99) if ids.partition_of(_key(n)["follower_proxy"], 2))
"""Of the second partition's guard."""


class _First(_Scene):
    """The desk of the first of two partitions."""

    partitions = 2


async def _fired(scene: _Scene, other: Desk, *lots: int) -> list[str]:
    """Stops whose exits were not sent, as rows say: each is to be armed again."""
    stops = []
    for lot in lots:
        scene.lot(lot, 60)
        stops.append(scene.trigger(f"a{lot}", lot, 40))
    for desk in {scene, other}:
        await desk.guard.recover()
    await other.guard.on_books([DEEP])
    for stop, lot in zip(stops, lots, strict=True):
        assert scene.status(stop) == "TRIGGERED"
        await scene.end_exit(stop, lot, 60, "FAILED")
    return stops


async def test_another_partitions_exit_is_left_to_its_guard() -> None:
    """Test that whoever else arms it again leaves its guard with one that has fired, for ever."""
    scene = _First()
    other = Desk(beside=scene)
    (stop,) = await _fired(scene, other, LOT)
    for fill in scene.lately:
        await scene.guard.on_fill(fill)
    await scene.guard.recheck()
    assert scene.status(stop) == "TRIGGERED"
    await other.guard.recheck()
    assert scene.status(stop) == "ARMED"
    await other.guard.on_books([DEEP])
    assert scene.status(stop) == "TRIGGERED", "it fires once more"


async def test_another_partitions_lot_is_left_to_its_guard() -> None:
    scene = _First()
    scene.lot(LOT, 60)
    stops = [scene.trigger(f"a{n}", LOT, 40, made_for=f"0x{n}") for n in range(2)]
    await scene.guard.recover()
    await scene.guard.on_fill(
        confirm_pb.FillEvent(
            kind=confirm_pb.FILL_KIND_MATCHED, side=pb.SIDE_BUY, asset_id="1", fill_seq=1,
            follower_proxy=_key(LOT)["follower_proxy"], size_micros=60 * SHARE,
            lot_shares_micros=60 * SHARE,
        )
    )  # fmt: skip
    assert [scene.status(stop) for stop in stops] == ["ARMED", "ARMED"]


async def test_one_that_cannot_be_settled_holds_up_no_other() -> None:
    scene = _Scene()
    bad, good = await _fired(scene, scene, 1, 2)
    scene.refused = {bad}
    for _ in range(2):
        await scene.guard.recheck()
    assert [scene.status(bad), scene.status(good)] == ["TRIGGERED", "ARMED"]
    await scene.meet(DEEP)
    assert scene.status(good) == "TRIGGERED", "it fires once more"
    scene.refused = set()
    scene.books.newest = GOOD
    await scene.guard.recheck()
    assert scene.status(bad) == "ARMED"


async def test_one_that_cannot_be_armed_holds_up_no_other() -> None:
    scene = _Scene()
    scene.lot(1, 60)
    bad = scene.trigger("a", 1, 40, status="WAITING")
    good = scene.trigger("b", 1, 40)
    scene.refused = {bad}
    await scene.recover()
    scene.books.newest = DEEP
    await scene.guard.recheck()
    scene.notify(bad, good)
    await scene.guard.refresh()
    await scene.book(1, 60, kind=confirm_pb.FILL_KIND_UNDONE)
    await scene.streamed_fills()
    assert [scene.status(bad), scene.status(good)] == ["WAITING", "TRIGGERED"]
    scene.refused = set()
    await scene.guard.recheck()
    assert scene.status(bad) == "ARMED"


async def test_trigger_of_the_position_before_is_ended_later() -> None:
    """It would judge the new position by the old price."""
    scene = _Scene()
    scene.lot(1, 60)
    old = scene.trigger("a", 1, 40, made_for="0x1")
    scene.trigger("b", 1, 20, made_for="0x2")
    scene.refused = {old}
    await scene.recover()
    assert scene.status(old) == "ARMED"
    scene.refused = set()
    await scene.guard.recheck()
    assert scene.status(old) == "CANCELLED"


async def test_guard_of_a_position_on_a_remainder_is_known_at_once() -> None:
    """Not only to whoever starts: 3 shares cannot be sold, and 60 more came."""
    scene = _Scene()
    scene.lot(1, 3)
    old = scene.trigger("a", 1, 20, made_for="0x1")
    await scene.recover()
    new = scene.trigger("b", 1, 40, made_for="0x2")
    await scene.book(1, 63, side=pb.SIDE_BUY, size_micros=60 * SHARE, order_size_micros=60 * SHARE)
    await scene.streamed_fills()
    await scene.meet(DEEP)
    assert [scene.status(old), scene.status(new)] == ["CANCELLED", "TRIGGERED"]


@pytest.mark.parametrize(("exiting", "status"), [(True, "ARMED"), (False, "DONE")])
async def test_withdrawn_exit_of_a_loss_stop_sells_no_more(exiting: bool, status: str) -> None:
    """It had fired when its subscription was resumed, and nothing was sent."""
    scene = _Scene()
    # Lots of a desk are of this one.
    scene._put(
        "subscription", id="manual", follower_user_id="u", follower_wallet_id="w",
        follower_proxy="0x", leader="0x", state="PAUSED", version=1, sizing_mode="FIXED",
        sizing_micros=1, changed_seq=1, exiting=exiting,
    )  # fmt: skip
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 40, exit_of="prf_1")
    await scene.guard.recover()
    await scene.guard.on_books([DEEP])
    assert scene.status(stop) == "TRIGGERED"
    await scene.end_exit(stop, 1, 60, "FAILED")
    await scene.guard.recheck()
    assert scene.status(stop) == status
