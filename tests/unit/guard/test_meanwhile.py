"""Test whatever is committed while the guard reads or writes, and whatever answer is lost:
afterwards its memory is what is committed, and no stop waits for a book that does not come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from msgspec import structs

from services.guard import store
from services.guard.core.trigger import Judgement, judge, lot_of
from tests.unit.guard.samples import book_of, follow_peaks
from tests.unit.guard.test_evaluation import CONDITION, DEEP, SHARE, Desk, Moody, _key
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.trigger_states import EDITABLE, FINAL
from tradingtools.runtime import consumer
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.testing.memory_database.locks import Blocked
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

HIGH = book_of(((700_000, 1_000 * SHARE),))
GOOD = book_of(((500_000, 1_000 * SHARE),))
EMPTY = book_of((), status=BookStatus.EMPTY)


class _Nth(Moody):
    """Something happens at one step of many: before the statement takes effect, or behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.before = False
        self.then: Callable[[], Awaitable[None]] | None = None
        self.requested: list[str] = []

    async def request(self, what: str) -> None:
        self.requested.append(what)
        await super().request(what)
        if self.before:
            await self._step()

    async def reply(self, _what: str) -> None:
        if not self.before:
            await self._step()

    async def _step(self) -> None:
        if self.then is None:
            return
        self.left -= 1
        if self.left == 0:
            then, self.then = self.then, None
            await then()


class _Scene(Desk):
    """A desk at which fills, edits and outages come in the midst of something else."""

    def __init__(self) -> None:
        self.nth = _Nth()
        super().__init__(self.nth)
        self.tasks: list[asyncio.Future[None]] = []
        self.up = asyncio.Event()
        """It has recovered: only then its streams bring something."""
        self.bookings = 0
        self.lately: list[confirm_pb.FillEvent] = []
        """Bookings that the stream has not brought yet."""

    async def meet(self, book: Book) -> None:
        """A book comes, and is the newest."""
        self.books.newest = book
        await self.guard.on_books([book])
        await follow_peaks(self.guard)

    async def away(self) -> None:
        """The connection breaks."""
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    async def commit(self, work: Callable[[Transaction], None]) -> None:
        """Somebody changes rows, and waits for those who hold them."""
        transaction = self.database.begin()
        try:
            while True:
                transaction.now = self.database.now()
                try:
                    work(transaction)
                    break
                except Blocked as blocked:
                    transaction.rollback_to(0)
                    await self.database.wait(transaction, blocked)
            self.database.commit(transaction)
        finally:
            self.database.rollback(transaction)

    async def book(self, lot: int, shares: int, **terms: Any) -> None:
        """Confirm books: the lot holds so much from now on."""
        await self.commit(lambda tx: self._hold(tx, lot, shares))
        self.bookings += 1
        self.booked(self.bookings)
        given = {"kind": confirm_pb.FILL_KIND_MATCHED, "side": pb.SIDE_SELL, "size_micros": SHARE}
        fill = confirm_pb.FillEvent(
            follower_proxy=_key(lot)["follower_proxy"], asset_id="1", fill_seq=self.bookings,
            lot_shares_micros=shares * SHARE, **{**given, **terms},
        )  # fmt: skip
        self.lately.append(fill)

    @staticmethod
    def _hold(tx: Transaction, lot: int, shares: int) -> None:
        key = _key(lot)
        row = tx.get("lot", *key.values()) or tx.insert("lot", {**key, "condition_id": CONDITION})
        tx.update("lot", row, shares_micros=shares * SHARE)

    async def streamed_fills(self) -> None:
        """The bookings come, one after the other."""
        await self.up.wait()
        while self.lately:
            fill = self.lately.pop(0)
            await while_database_is_away(partial(self.guard.on_fill, fill))

    def notify(self, *triggers: str) -> None:
        """Control has changed triggers."""
        for trigger in triggers:
            self._put(
                "control_change", subject_kind="trigger", subject_id=trigger, actor="a",
                source="s", action="update", previous_hash=b"", hash=b"",
            )  # fmt: skip

    async def hold(self, lot: int, shares: int) -> None:
        """A caller tells how much of a lot he holds, with one of its triggers."""
        await self.commit(lambda tx: self._hold(tx, lot, shares))
        rows = self.database.table("trigger").values()
        proxy = _key(lot)["follower_proxy"]
        self.notify(*[row["id"] for row in rows if row["follower_proxy"] == proxy])

    async def edit(self, trigger: str, **terms: Any) -> None:
        """A caller changes the terms of one that has not fired."""

        def write(tx: Transaction) -> None:
            row = tx.get("trigger", trigger)
            assert row is not None
            tx.lock_row("trigger", row)
            if row["status"] in EDITABLE:
                tx.update("trigger", row, version=row["version"] + 1, **terms)

        await self.commit(write)
        self.notify(trigger)

    async def end_exit(self, trigger: str, lot: int, left: int, state: str = "CONFIRMED") -> None:
        """The exit of a trigger has ended; its lot holds what is left."""
        key = self.database.table("trigger")[(trigger,)]["order_key"]
        order = self.database.table("orders")[(key,)]
        sold = order["size_micros"] if state == "CONFIRMED" else 0

        def write(tx: Transaction) -> None:
            tx.update(
                "orders", order, state=state, filled_size_micros=sold,
                filled_notional_micros=sold // 2, failed_kind="UNSENT" if sold == 0 else None,
            )  # fmt: skip
            (reserved,) = tx.where("reservation", order_key=key)
            tx.update("reservation", reserved, released_at=tx.now)

        await self.commit(write)
        await self.book(
            lot, left, kind=confirm_pb.FILL_KIND_CLOSED, trigger_id=trigger, size_micros=sold
        )

    async def recover(self) -> None:
        """The guard starts."""
        await self.guard.recover()
        self.up.set()

    async def refresh(self) -> None:
        """It is woken up by control."""
        await self.up.wait()
        await self.guard.refresh()

    async def at_once(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin something beside what goes on, and let it come as far as it can."""
        self.tasks.append(asyncio.ensure_future(while_database_is_away(work)))
        await asyncio.sleep(0)

    async def come_to_rest(self) -> None:
        """All that is under way comes; no book does."""
        await asyncio.gather(*self.tasks)
        await self.streamed_fills()
        for _ in range(4):
            await while_database_is_away(self.guard.refresh)
            await while_database_is_away(self.guard.recheck)
            await while_database_is_away(lambda: follow_peaks(self.guard))
        await while_database_is_away(self.guard.fold_peaks)

    def check(self, where: object) -> None:
        """Memory is what is committed, and nothing is left to be done on the newest book."""
        known = self.guard._cache
        reserved = self.database.table("reservation").values()
        selling = {row["follower_proxy"] for row in reserved if row["released_at"] is None}
        for row in self.database.table("trigger").values():
            had = known.get(row["id"])
            if row["status"] in FINAL:
                assert had is None, where
                continue
            trigger = store.trigger(row)
            assert had is not None, where
            assert not self.database.table("peak_record"), where
            assert structs.replace(had, tick=None) == trigger, where
            lot = self.database.table("lot").get(lot_of(trigger))
            shares = 0 if lot is None else lot["shares_micros"]
            assert known.shares(lot_of(trigger)) == shares, where
            waits = trigger.status == "WAITING" and shares > 0
            assert not waits, where
            if self.books.newest is not None:
                requested = judge(trigger, shares, self.books.newest, clock.now_ms())
                taken = requested is Judgement.FIRE and trigger.follower_proxy in selling
                assert requested is Judgement.NOTHING or taken, (where, requested)


Setup = Callable[[_Scene], Awaitable[Callable[[], Awaitable[None]]]]
"""Prepares a scene and returns what the guard does in it."""


async def _recovers(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.lot(2, 0)
    scene.trigger("a", 1, 40)
    scene.trigger("b", 2, 40)
    scene.trigger("c", 2, 40, status="WAITING")
    scene.trigger("d", 1, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
    scene.trigger("e", 1, 10, status="WAITING")

    async def recovers() -> None:
        await scene.recover()
        await scene.meet(DEEP)

    return recovers


async def _is_told(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.lot(2, 0)
    await scene.recover()
    scene.books.newest = DEEP
    scene.notify(scene.trigger("a", 1, 20), scene.trigger("b", 2, 40, status="WAITING"),
               scene.trigger("c", 2, 40))  # fmt: skip
    return scene.guard.refresh


async def _suspends(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.lot(2, 60)
    scene.trigger("a", 1, 40)
    scene.trigger("b", 2, 40)
    await scene.recover()
    await scene.meet(GOOD)

    async def falls() -> None:
        await scene.meet(EMPTY)
        await scene.meet(DEEP)

    return falls


async def _arms(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.lot(2, 60)
    for name in "ac":
        scene.trigger(name, 1, 40, status="SUSPENDED")
    scene.trigger("b", 2, 40, status="SUSPENDED")
    await scene.recover()
    return lambda: scene.meet(DEEP)


async def _fires(scene: _Scene) -> Callable[[], Awaitable[None]]:
    for lot in (1, 2):
        scene.lot(lot, 60)
        scene.trigger(f"a{lot}", lot, 40)
    scene.trigger("b", 2, 45, trigger_type="TAKE_PROFIT")
    await scene.recover()
    return lambda: scene.meet(DEEP)


async def _fires_alone(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.trigger("a", 1, 40)
    await scene.recover()
    return lambda: scene.meet(DEEP)


async def _climbs(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.trigger("a", 1, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
    await scene.recover()

    async def higher() -> None:
        await scene.meet(book_of(((800_000, 1_000 * SHARE),)))
        # Below the price at which it becomes active: who does not know of a peak leaves it alone.
        await scene.meet(GOOD)

    return higher


async def _climbs_and_stays(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.trigger("a", 1, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
    await scene.recover()

    async def higher() -> None:
        await scene.meet(HIGH)
        await scene.guard.fold_peaks()

    return higher


async def _moves_a_stop(scene: _Scene) -> Callable[[], Awaitable[None]]:
    """A rung has sold at 0.50: the stop goes to what the shares have cost, 0.60."""
    scene.lot(1, 60)

    def cost(tx: Transaction) -> None:
        row = tx.get("lot", *_key(1).values())
        tx.update("lot", row or {}, cost_micros=18 * SHARE)

    rungs = [{"price_micros": 500_000, "share_ppm": 500_000},
             {"price_micros": 900_000, "share_ppm": 500_000}]  # fmt: skip
    ladder = scene.trigger("a", 1, 0, trigger_type="LADDER", rungs=rungs, price_micros=None)
    scene.trigger("b", 1, 20, break_even=True)
    await scene.recover()
    await scene.meet(GOOD)
    assert scene.status(ladder) == "TRIGGERED"
    scene.database.write(cost)
    await scene.end_exit(ladder, 1, 30)
    return scene.streamed_fills


async def _moves_a_stop_when_it_looks(scene: _Scene) -> Callable[[], Awaitable[None]]:
    await _moves_a_stop(scene)
    return scene.guard.recheck


async def _arms_again(scene: _Scene) -> Callable[[], Awaitable[None]]:
    """The exit was not sent."""
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 40)
    await scene.recover()
    await scene.meet(DEEP)
    await scene.end_exit(stop, 1, 60, "FAILED")
    return scene.streamed_fills


async def _arms_again_when_it_looks(scene: _Scene) -> Callable[[], Awaitable[None]]:
    await _arms_again(scene)
    scene.lately.clear()
    return scene.guard.recheck


async def _folds(scene: _Scene) -> Callable[[], Awaitable[None]]:
    await (await _climbs(scene))()
    return scene.guard.fold_peaks


async def _starts_before_rows_follow(scene: _Scene) -> Callable[[], Awaitable[None]]:
    await (await _climbs(scene))()
    scene.guard = scene.started()
    return scene.recover


async def _is_behind(scene: _Scene) -> Callable[[], Awaitable[None]]:
    """It has not heard that more was bought: as many shares would not fetch a new peak."""
    scene.lot(2, 20)
    scene.trigger("a", 2, 50, trigger_type="TRAILING_STOP", callback_micros=300_000,
                  peak_micros=550_000)  # fmt: skip
    await scene.recover()
    await scene.book(2, 40)
    return lambda: scene.meet(book_of(((600_000, 20 * SHARE), (400_000, 1_000 * SHARE))))


async def _takes_fills(scene: _Scene) -> Callable[[], Awaitable[None]]:
    scene.lot(1, 60)
    scene.trigger("a", 1, 40)
    scene.trigger("b", 2, 40, status="WAITING")
    await scene.recover()
    scene.books.newest = DEEP
    await scene.book(2, 60, side=pb.SIDE_BUY, size_micros=60 * SHARE)
    await scene.book(1, 0, side=pb.SIDE_SELL, size_micros=60 * SHARE)
    await scene.book(1, 60, kind=confirm_pb.FILL_KIND_UNDONE, size_micros=60 * SHARE)
    return scene.streamed_fills


SETUPS: tuple[Setup, ...] = (
    _recovers, _is_told, _suspends, _arms, _fires, _fires_alone, _climbs, _climbs_and_stays,
    _folds, _starts_before_rows_follow,
    _moves_a_stop, _moves_a_stop_when_it_looks, _arms_again, _arms_again_when_it_looks, _is_behind,
    _takes_fills,
)  # fmt: skip

Event = Callable[[_Scene], Awaitable[None]]


async def _an_outage(scene: _Scene) -> None:
    await scene.away()


async def _a_booking(scene: _Scene) -> None:
    """It is handled at once."""

    async def booking() -> None:
        await scene.book(2, 60, kind=confirm_pb.FILL_KIND_UNDONE)
        await scene.streamed_fills()

    await scene.at_once(booking)


async def _a_late_booking(scene: _Scene) -> None:
    """The stream brings it later."""
    await scene.at_once(partial(scene.book, 2, 60, kind=confirm_pb.FILL_KIND_UNDONE))


async def _an_edit(scene: _Scene) -> None:
    """The refresh meets it at once."""

    async def editing() -> None:
        for identifier in list(scene.database.table("trigger")):
            await scene.edit(*identifier, two_ticks=False)
        await scene.refresh()

    await scene.at_once(editing)


async def _holding(scene: _Scene) -> None:
    """More was bought by hand; and a booking of before comes afterwards."""

    async def telling() -> None:
        await scene.book(2, 0)
        await scene.hold(2, 60)
        await scene.refresh()

    await scene.at_once(telling)


async def _a_bad_book(scene: _Scene) -> None:
    await scene.at_once(lambda: scene.meet(EMPTY))


EVENTS: tuple[Event, ...] = (
    _an_outage, _a_booking, _a_late_booking, _an_edit, _holding, _a_bad_book,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_PAUSE_SECONDS", 0)


async def _at_each_step(setup: Setup, event: Event, *, before: bool = False) -> None:
    number = 0
    while True:
        number += 1
        scene = _Scene()
        does = await setup(scene)
        scene.nth.left, scene.nth.before = number, before
        scene.nth.then = partial(event, scene)
        await while_database_is_away(does)
        if scene.nth.left:
            break
        await scene.come_to_rest()
        scene.check((setup.__name__, event.__name__, number))
    tried = number - 1
    assert tried == 1 if setup is _fires_alone else tried > 1


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__[1:])
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.__name__[1:])
async def test_memory_is_what_is_committed(setup: Setup, event: Event) -> None:
    await _at_each_step(setup, event)


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.__name__[1:])
async def test_what_did_not_reach_the_database_is_done_again(setup: Setup) -> None:
    await _at_each_step(setup, _an_outage, before=True)


async def test_an_exit_does_not_wait_for_a_record_of_peaks() -> None:
    scene = _Scene()
    scene.lot(1, 60)
    trail = scene.trigger("a", 1, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
    stop = scene.trigger("b", 1, 40)
    await scene.recover()

    async def it_falls() -> None:
        assert scene.guard._cache.peak(trail) is None
        await scene.guard.on_books([DEEP])
        assert scene.sold() == [(stop, 60)], "while the record is under way"

    scene.nth.left, scene.nth.then, scene.nth.before = 1, it_falls, True
    await scene.meet(HIGH)
    assert scene.guard._cache.peak(trail) == 700_000, "what was seen is kept"


async def test_raised_stop_is_judged_on_the_newest_book() -> None:
    scene = _Scene()
    scene.lot(1, 60)
    trail = scene.trigger("a", 1, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
    await scene.recover()

    async def it_falls() -> None:
        # Above the price at which it becomes active: nothing fires as yet.
        scene.books.newest = book_of(((650_000, 1_000 * SHARE),))
        await scene.guard.on_books([scene.books.newest])

    scene.nth.left, scene.nth.then, scene.nth.before = 1, it_falls, True
    await scene.meet(HIGH)
    assert scene.sold() == [(trail, 60)]


async def test_peaks_are_recorded_while_raised_stops_wait_to_fire() -> None:
    scene = _Scene()
    trails = []
    for lot in (1, 2):
        scene.lot(lot, 60)
        price, back = {"price": 60}, {"callback_micros": 50_000 * lot}
        trails.append(scene.trigger(f"a{lot}", lot, **price, trigger_type="TRAILING_STOP", **back))
    await scene.recover()
    keeping = asyncio.ensure_future(scene.guard.keep_peaks())

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            assert not keeping.done()
            await asyncio.sleep(0)

    def known() -> set[int | None]:
        return {scene.guard._cache.peak(trail) for trail in trails}

    async with asyncio.timeout(10):
        async with scene.guard._writer._writing:
            # The first one is to fire on this one, as soon as others have written.
            scene.books.newest = book_of(((650_000, 1_000 * SHARE),))
            await scene.guard.on_books([HIGH])
            await until(lambda: known() == {700_000})
            await until(lambda: bool(scene.guard._writer._writing._waiters))
            await scene.guard.on_books([book_of(((710_000, 1_000 * SHARE),))])
            await until(lambda: known() == {710_000})
            assert scene.sold() == []
        await until(lambda: bool(scene.sold()))
    assert scene.sold() == [(trails[0], 60)]
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_raised_stop_fires_before_changed_ones_are_read() -> None:
    scene = _Scene()
    trails = []
    for lot in range(12):
        scene.lot(lot, 60)
        trails.append(
            scene.trigger(f"{lot}", lot, 60, trigger_type="TRAILING_STOP", callback_micros=50_000)
        )
    await scene.recover()
    for trail in trails[2:]:
        # Memory does not hear of it.
        await scene.edit(trail, two_ticks=True)
    await scene.edit(trails[1], two_ticks=False, price_micros=690_000)
    scene.books.newest = book_of(((650_000, 1_000 * SHARE),))
    await scene.guard.on_books([HIGH])
    await scene.guard._trailing_stops.record()
    scene.nth.requested.clear()
    await scene.guard._trailing_stops.judge()
    assert scene.nth.requested.index("fire_foreseen") < scene.nth.requested.index("lock_triggers")
    assert scene.sold() == [(trails[0], 60)]
    await follow_peaks(scene.guard)
    assert {scene.guard._cache.peak(trail) for trail in trails} == {700_000}
    assert scene.sold() == [(trail, 60) for trail in trails[:2]], "the others want two ticks"


async def test_a_tick_of_terms_that_are_gone_is_not_the_first_of_two() -> None:
    scene = _Scene()
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 50, two_ticks=True)
    await scene.recover()
    await scene.meet(book_of(((450_000, 1_000 * SHARE),)))
    # The guard has not heard of it when the next book comes, the first one at the new price.
    await scene.edit(stop, price_micros=400_000)
    await scene.meet(structs.replace(DEEP, revision=2))
    await scene.guard.recheck()
    assert scene.sold() == []
    await scene.meet(structs.replace(DEEP, revision=3))
    assert scene.sold() == [(stop, 60)]


async def test_fenced_guard_changes_no_trigger() -> None:
    """It stood still between reading and writing, for longer than its lease."""
    scene = _Scene()
    does = await _arms_again_when_it_looks(scene)
    stop = f"trg_{'a':0>32}"
    late, held = scene.guard, replace(scene._lease, epoch=2)

    async def taken_over() -> None:
        def take(tx: Transaction) -> None:
            row = tx.get("partition_lease", "guard", 0)
            tx.update("partition_lease", row or {}, epoch=2)

        await scene.commit(take)
        scene._lease = held
        scene.guard = scene.started()
        await scene.guard.recover()

    requested = scene.nth.request

    async def before(what: str) -> None:
        if what == "move_triggers" and scene.guard is late:
            await taken_over()
        await requested(what)

    scene.nth.request = before  # type: ignore[method-assign]
    with contextlib.suppress(Fenced):
        await does()
    assert scene.guard is not late
    for _ in range(3):
        await scene.guard.recheck()
    await scene.guard.on_books([structs.replace(DEEP, revision=9)])
    assert [who for who, _ in scene.sold()] == [stop, stop]


async def test_who_cannot_know_what_is_committed_ends() -> None:
    scene = _Scene()
    does = await _moves_a_stop(scene)

    async def lost() -> None:
        scene.nth.then = partial(_wrong, scene)
        scene.nth.left = 1
        await scene.away()

    async def _wrong(_scene: _Scene) -> None:
        raise psycopg.ProgrammingError("relation does not exist")

    scene.nth.left, scene.nth.then = 10, lost
    with pytest.raises(Fenced):
        await does()


async def test_a_trigger_that_is_suspended_meanwhile_ends_with_its_lot() -> None:
    number, left = 0, 0
    while left == 0:
        number += 1
        scene = _Scene()
        scene.lot(1, 60)
        stop = scene.trigger("a", 1, 40)
        await scene.recover()

        async def sold(scene: _Scene = scene) -> None:
            await scene.book(1, 0)
            await scene.streamed_fills()

        scene.nth.left, scene.nth.then = number, partial(scene.at_once, sold)
        await scene.meet(EMPTY)
        left = max(scene.nth.left, 0)
        await scene.come_to_rest()
        assert scene.status(stop) == "CANCELLED" or left, number
    assert number > 2


async def test_a_booking_that_a_start_has_seen_takes_nothing_back() -> None:
    key, number = ("0x" + "1" * 40, "1", "s"), 0
    lot = dict(zip(("follower_proxy", "asset_id", "origin"), key, strict=True))
    first = confirm_pb.FillEvent(
        kind=confirm_pb.FILL_KIND_CONFIRMED, side=pb.SIDE_BUY, follower_proxy=key[0],
        asset_id="1", subscription_id="s", fill_seq=1, lot_shares_micros=20 * SHARE,
    )  # fmt: skip
    while True:
        number += 1
        scene = _Scene()

        async def bought_twice(scene: _Scene = scene) -> None:
            scene._put("lot", **lot, condition_id=CONDITION, shares_micros=60 * SHARE)
            scene.booked(1)
            scene.booked(2)

        scene.nth.left, scene.nth.then = number, bought_twice
        await scene.recover()
        if scene.nth.left:
            break
        before = scene.guard._cache.shares(key)
        await scene.guard.on_fill(first)
        assert scene.guard._cache.shares(key) >= before, number
    assert number > 4
