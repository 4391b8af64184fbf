"""Test which booking is handled first, and that each is handled, in the order of its lot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import psycopg
import pytest

from services.guard import bookings as waiting
from services.guard.bookings import OTHERS, Bookings
from tests.unit.guard.test_evaluation import DEEP, SHARE, _key
from tests.unit.guard.test_meanwhile import _Scene
from tests.unit.guard.test_turns import CROWD, _crowd
from tradingtools.runtime.consumer import Consumer
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.tasks import run_in_background
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb


class _Stream:
    """Bookings in the test's hands, and what is handled of them."""

    def __init__(self, scene: _Scene) -> None:
        self.handled: list[int] = []
        self.acknowledged: list[str] = []
        self.passed_over: set[int] = set()
        """Of the numbers from 1 on, those that were acknowledged before they were handled."""
        self._guard = scene.guard
        self._pool = scene.guard._pool
        consumer = Consumer(self._pool, "fills", "guard-0", confirm_pb.FillEvent, self._on_fill)
        self.bookings = Bookings(consumer, self._prefetch, self._reported)
        self.then: dict[int, Callable[[], Awaitable[None]]] = {}
        """What happens while a booking is handled."""
        self._until, self._all = 0, asyncio.Event()

    async def _prefetch(self, fills: Sequence[confirm_pb.FillEvent]) -> None:
        await self._guard.prefetch(fills)

    async def _on_fill(self, fill: confirm_pb.FillEvent) -> None:
        await self._guard.on_fill(fill)
        if then := self.then.pop(fill.fill_seq, None):
            await then()
        self.handled.append(fill.fill_seq)
        if len(self.handled) == self._until:
            self._all.set()

    def _reported(self, cursor: str) -> None:
        self.passed_over |= set(range(1, int(cursor) + 1)) - set(self.handled)
        self._guard.booked(int(cursor))
        self.acknowledged.append(cursor)

    async def put(self, *fills: confirm_pb.FillEvent) -> None:
        """A response comes."""
        cursor = str(fills[-1].fill_seq)
        await self.bookings.put(confirm_pb.StreamFillsResponse(fills=fills, cursor=cursor))

    async def until_handled(self, number: int) -> None:
        """So many bookings, and that is told."""
        self._until = number
        async with asyncio.timeout(10):
            async with run_in_background(self.bookings.run()):
                await self._all.wait()


async def _bought(scene: _Scene, lot: int, shares: int = 60) -> confirm_pb.FillEvent:
    size = shares * SHARE
    await scene.book(lot, shares, side=pb.SIDE_BUY, size_micros=size, order_size_micros=size)
    return scene.lately.pop()


async def test_new_positions_guard_does_not_wait_for_sales() -> None:
    scene = _Scene()
    stops = await _crowd(scene, state="CONFIRMED", left=0)
    scene.books.newest = None
    stream = _Stream(scene)
    fills, scene.lately = scene.lately, []
    new = CROWD + 1
    stop = scene.trigger("b", new, 40, made_for="0x1")
    begins = await _bought(scene, new)
    await stream.put(*fills)
    # Not there yet: it comes while the first is handled.
    stream.then[fills[0].fill_seq] = lambda: stream.put(begins)
    await stream.until_handled(CROWD + 1)
    assert stream.handled.index(begins.fill_seq) == OTHERS
    assert sorted(stream.handled) == list(range(1, CROWD + 2))
    assert [scene.status(one) for one in stops] == ["DONE"] * CROWD
    # Not before what had come before it.
    assert stream.acknowledged == [str(begins.fill_seq)]
    assert scene.guard._cache.shares(("0x" + f"{new:040x}", "1", "manual")) == 60 * SHARE
    await scene.meet(DEEP)
    assert scene.status(stop) == "TRIGGERED"


async def test_overtaken_bookings_are_not_acknowledged() -> None:
    """Each is a response of its own."""
    scene = _Scene()
    await _crowd(scene, state="CONFIRMED", left=0)
    scene.books.newest = None
    stream = _Stream(scene)
    fills, scene.lately = scene.lately, []
    begins = await _bought(scene, CROWD + 1)
    for fill in fills:
        await stream.put(fill)
    stream.then[fills[0].fill_seq] = lambda: stream.put(begins)
    await stream.until_handled(CROWD + 1)
    assert stream.passed_over == set()
    assert stream.acknowledged[-1] == str(begins.fill_seq)


async def test_triggers_of_positions_begun_together_are_read_at_once() -> None:
    scene = _Scene()
    await scene.recover()
    stream, stops, fills = _Stream(scene), [], []
    for lot in range(1, CROWD + 1):
        stops.append(scene.trigger(f"a{lot}", lot, 40, made_for=f"0x{lot}"))
        fills.append(await _bought(scene, lot))
    scene.nth.requested.clear()
    await stream.put(*fills)
    await stream.until_handled(CROWD)
    assert scene.nth.requested.count("triggers_of_lots") == 1
    await scene.meet(DEEP)
    assert {scene.status(stop) for stop in stops} == {"TRIGGERED"}


async def test_positions_unreadable_together_are_read_singly() -> None:
    scene = _Scene()
    await scene.recover()
    stream, stops, fills = _Stream(scene), [], []
    for lot in range(1, 4):
        stops.append(scene.trigger(f"a{lot}", lot, 40, made_for=f"0x{lot}"))
        fills.append(await _bought(scene, lot))

    def bad() -> None:
        raise psycopg.errors.RaiseException("refused")

    scene.nth.at["triggers_of_lots"] = bad
    await stream.put(*fills)
    await stream.until_handled(3)
    await scene.meet(DEEP)
    assert {scene.status(stop) for stop in stops} == {"TRIGGERED"}


async def test_the_bookings_of_a_lot_keep_their_order() -> None:
    """Sold, the exit over, and bought anew: the old stop ends, and the new one sells."""
    scene = _Scene()
    scene.lot(1, 60)
    old = scene.trigger("a", 1, 40, made_for="0x1")
    await scene.recover()
    await scene.meet(DEEP)
    scene.books.newest = None
    stream = _Stream(scene)
    await scene.end_exit(old, 1, 60, "FAILED")
    ended = scene.lately.pop()
    await scene.book(1, 0)
    sold = scene.lately.pop()
    new = scene.trigger("b", 1, 90, made_for="0x2", trigger_type="TAKE_PROFIT")
    bought = await _bought(scene, 1, 50)
    await stream.put(ended, sold, bought)
    await stream.until_handled(3)
    assert stream.handled == [1, 2, 3]
    assert [scene.status(old), scene.status(new)] == ["CANCELLED", "ARMED"]


async def test_trigger_armed_again_later_does_not_guard_a_new_position() -> None:
    scene = _Scene()
    scene.lot(1, 60)
    old = scene.trigger("a", 1, 40, made_for="0x1")
    await scene.recover()
    await scene.meet(DEEP)
    scene.books.newest = None
    new = scene.trigger("b", 1, 90, made_for="0x2", trigger_type="TAKE_PROFIT")
    bought = await _bought(scene, 1)
    await scene.guard.prefetch([bought])
    await scene.end_exit(old, 1, 60, "FAILED")
    await scene.guard.recheck()
    assert scene.status(old) == "ARMED"
    await scene.guard.on_fill(bought)
    assert [scene.status(old), scene.status(new)] == ["CANCELLED", "ARMED"]


async def test_what_ends_a_position_does_not_end_what_guards_the_next() -> None:
    """They are not known before what came before them is handled."""
    scene = _Scene()
    scene.lot(1, 60)
    old = scene.trigger("a", 1, 40, made_for="0x1")
    await scene.recover()
    stream = _Stream(scene)
    await scene.book(1, 0, kind=confirm_pb.FILL_KIND_RESOLVED)
    paid = scene.lately.pop()
    new = scene.trigger("b", 1, 20, made_for="0x2")
    await stream.put(paid, await _bought(scene, 1))
    await stream.until_handled(2)
    assert [scene.status(old), scene.status(new)] == ["RESOLVED", "ARMED"]


@pytest.mark.parametrize("acknowledged", [0, 3])
async def test_a_booking_that_comes_late_does_not_shrink_its_lot(acknowledged: int) -> None:
    """Handled after others of its lot, as out of quarantine, and before those of other lots."""
    scene = _Scene()
    key = (_key(1)["follower_proxy"], "1", "s")
    scene.lot(1, 60, origin="s")
    await scene.recover()
    for seq, shares in ((1, 10), (3, 60), (2, 20)):
        if seq == 2:
            scene.guard.booked(acknowledged)
        await scene.guard.on_fill(
            confirm_pb.FillEvent(
                fill_seq=seq, follower_proxy=key[0], asset_id=key[1], subscription_id=key[2],
                kind=confirm_pb.FILL_KIND_MATCHED, side=pb.SIDE_SELL, size_micros=SHARE,
                lot_shares_micros=shares * SHARE,
            )
        )  # fmt: skip
    assert scene.guard._cache.shares(key) == 60 * SHARE
    scene.guard.booked(3)
    assert scene.guard._booked == {}


async def test_guard_without_its_partition_handles_no_booking() -> None:
    scene = _Scene()
    await scene.recover()
    stream = _Stream(scene)

    async def fenced() -> None:
        raise Fenced("lost")

    first, second = await _bought(scene, 1), await _bought(scene, 2)
    stream.then[first.fill_seq] = fenced
    await stream.put(first, second)
    with pytest.raises(Fenced):
        await stream.bookings.run()
    assert (stream.handled, stream.acknowledged) == ([], [])


async def test_only_so_many_bookings_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is read on once some of them are handled."""
    monkeypatch.setattr(waiting, "MAX", 2)
    scene = _Scene()
    await scene.recover()
    stream = _Stream(scene)
    fills = [await _bought(scene, lot) for lot in range(1, 4)]
    await stream.put(*fills[:2])
    third = asyncio.ensure_future(stream.put(fills[2]))
    await asyncio.sleep(0)
    assert not third.done()
    await stream.until_handled(3)
    assert third.done()


async def test_what_guards_adopted_shares_is_known_with_their_booking() -> None:
    scene = _Scene()
    scene.lot(1, 0)
    await scene.recover()
    stop = scene.trigger("b", 1, 40, made_for="adopted:1")
    await scene.book(
        1, 60, kind=confirm_pb.FILL_KIND_CORRECTED, reason="ADOPTED", size_micros=-60 * SHARE
    )
    await scene.streamed_fills()
    await scene.meet(DEEP)
    assert scene.status(stop) == "TRIGGERED"
