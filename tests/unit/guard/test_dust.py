"""Lots too small to be sold are asked again ever more rarely, and at once when that may change."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.guard.core.dust import DustLots, too_small
from tests.unit.guard.samples import book_of
from tests.unit.guard.test_evaluation import DEEP, SHARE
from tests.unit.guard.test_meanwhile import _Scene
from tradingtools import clock
from tradingtools.v1 import common_pb2 as pb

SMALL = (3 * SHARE, 5 * SHARE)


def _looks(remnants: DustLots, since_ms: int, until_ms: int) -> list[int]:
    """When it is looked at, every quarter of a second, and found as small again."""
    found = []
    for now_ms in range(since_ms, until_ms, 250):
        if remnants.rested(now_ms):
            found.append(now_ms)
            remnants.put({"t": SMALL}, now_ms)
    return found


def test_pauses_grow_to_eight_seconds() -> None:
    remnants = DustLots()
    remnants.put({"t": SMALL}, 0)
    looks = _looks(remnants, 250, 60_000)
    between = [after - before for before, after in pairwise(looks)]
    assert between[:5] == [500, 1_500, 3_500, 7_500, 8_000]
    assert set(between[5:]) == {8_000}


def test_another_size_rests_for_no_pause_and_begins_anew() -> None:
    remnants = DustLots()
    remnants.put({"t": SMALL}, 0)
    last = _looks(remnants, 250, 20_000)[-1]
    assert remnants.rests("t", SMALL, last + 250)
    for other in ((4 * SHARE, 5 * SHARE), (3 * SHARE, 1 * SHARE)):
        assert not remnants.rests("t", other, last + 250)
    remnants.put({"t": (4 * SHARE, 5 * SHARE)}, last + 250)
    assert remnants.rested(last + 500) == ["t"]


def test_each_is_told_once() -> None:
    remnants = DustLots()
    remnants.put({"t": SMALL}, 0)
    assert [remnants.rested(250), remnants.rested(500)] == [["t"], []]


@pytest.mark.parametrize(("shares", "small"), [(4_999_999, True), (5_000_000, False)])
def test_a_lot_of_the_minimum_is_not_too_small(shares: int, small: bool) -> None:
    assert too_small((shares, 5_000_000)) is small


async def _requested(scene: _Scene) -> str:
    """A stop of 3 shares that is reached, and that a look has asked again in vain."""
    scene.lot(1, 3)
    stop = scene.trigger("a", 1, 40)
    await scene.recover()
    await scene.meet(DEEP)
    await scene.guard.recheck()
    assert scene.status(stop) == "ARMED"
    return stop


async def test_its_rows_are_not_locked_at_each_look_nor_by_each_book() -> None:
    scene = _Scene()
    await _requested(scene)
    scene.nth.requested.clear()
    for revision in range(9):
        await scene.meet(book_of(((290_000 - revision, 1_000 * SHARE),)))
        await scene.guard.recheck()
    assert not {"lock_triggers", "hold_foreseen"} & set(scene.nth.requested)


async def test_it_fires_at_once_when_its_lot_has_grown() -> None:
    scene = _Scene()
    stop = await _requested(scene)
    await scene.book(1, 60, side=pb.SIDE_BUY)
    await scene.streamed_fills()
    assert scene.sold() == [(stop, 60)]


async def test_it_fires_at_once_when_the_minimum_falls() -> None:
    scene = _Scene()
    stop = await _requested(scene)
    await scene.meet(book_of(((300_000, 1_000 * SHARE),), minimum=SHARE))
    assert scene.sold() == [(stop, 3)]


async def test_growth_that_nobody_tells_of_is_found_after_the_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = _Scene()
    stop = await _requested(scene)
    await scene.commit(lambda tx: scene._hold(tx, 1, 60))
    await scene.guard.recheck()
    assert scene.status(stop) == "ARMED"
    now_ms = clock.monotonic_ms()
    monkeypatch.setattr(clock, "monotonic_ms", lambda: now_ms + 500)
    await scene.guard.recheck()
    assert scene.sold() == [(stop, 60)]


async def test_it_ends_with_its_market() -> None:
    """Only that it fires has to wait."""
    scene = _Scene()
    stop = await _requested(scene)
    await scene.meet(book_of((), payout=1_000_000))
    assert scene.status(stop) == "RESOLVED"


async def test_who_waits_for_the_exit_of_another_is_asked_at_each_look() -> None:
    """The lot is large enough: what is free of it changes without a booking."""
    scene = _Scene()
    scene.lot(1, 60)
    first, second = scene.trigger("a", 1, 40), scene.trigger("b", 1, 40)
    await scene.recover()
    await scene.meet(DEEP)
    assert [scene.status(first), scene.status(second)] == ["TRIGGERED", "ARMED"]
    for _ in range(3):
        scene.nth.requested.clear()
        await scene.guard.recheck()
        assert "lock_triggers" in scene.nth.requested
