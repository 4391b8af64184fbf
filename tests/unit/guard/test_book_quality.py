"""Test what a short while of bad books does to triggers: nothing, neither firing nor suspending."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest
from msgspec import structs

from services.guard.core.batches import PATIENT
from services.guard.core.book_quality import BadBooks
from tests.unit.guard.samples import book_of
from tests.unit.guard.test_evaluation import DEEP, Desk
from tests.unit.guard.test_meanwhile import EMPTY, GOOD, _Scene
from tradingtools import clock
from tradingtools.domain.book import Book, BookStatus

STALE = structs.replace(DEEP, status=BookStatus.STALE)
CROSSED = structs.replace(DEEP, status=BookStatus.CROSSED)
NO_BID = book_of(())


class _Patient(_Scene):
    """A desk whose guard bears bad books for so long."""

    suspend_ms = 2_000


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Monotonic milliseconds, in the test's hands."""
    now = [10**9]
    monkeypatch.setattr(clock, "monotonic_ns", lambda: now[0] * 1_000_000)
    return now


@pytest.mark.parametrize("bad", [STALE, CROSSED, EMPTY, NO_BID])
async def test_a_book_that_is_bad_for_a_moment_costs_no_stop_its_turn(
    bad: Book, hands: list[int]
) -> None:
    scene = _Patient()
    for number in range(3):
        scene.lot(number, 60)
    stops = [scene.trigger(f"a{number}", number, 40) for number in range(3)]
    await scene.recover()
    await scene.meet(GOOD)
    await scene.meet(bad)
    scene.guard._writer.schedule_soon(stops)
    hands[0] += 1_999
    await scene.guard.recheck()
    await scene.guard.suspend()
    assert scene.sold() == [], "nothing fires on it"
    assert list(scene.database.table("trigger_event").values()) == []
    await scene.meet(DEEP)
    assert scene.sold() == [(stop, 60) for stop in stops]
    assert len(scene.database.table("journal")) == 1, "together, as if it had never been bad"
    scene.books.newest = bad
    await scene.guard.suspend()


@pytest.mark.parametrize("bad", [STALE, CROSSED, EMPTY, NO_BID])
async def test_a_book_that_stays_bad_suspends(bad: Book, hands: list[int]) -> None:
    scene = _Patient()
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 40)
    later = scene.trigger("b", 1, 30, status="WAITING")
    await scene.recover()
    await scene.meet(bad)
    hands[0] += 1_000
    await scene.meet(structs.replace(bad, revision=bad.revision + 1))
    hands[0] += 1_000
    await scene.guard.suspend()
    assert scene.status(stop) == "SUSPENDED"
    # One that is armed only then is suspended at once.
    await scene.guard.recheck()
    await scene.guard.recheck()
    assert scene.status(later) == "SUSPENDED"
    await scene.meet(DEEP)
    assert scene.status(stop) == "TRIGGERED"
    # The next time it is borne anew.
    await scene.meet(bad)
    hands[0] += 1_999
    await scene.guard.suspend()
    assert scene.status(later) == "ARMED"


async def test_good_book_during_suspending_leaves_none_suspended(
    hands: list[int],
) -> None:
    number = 0
    while True:
        number += 1
        scene = _Patient()
        scene.lot(1, 60)
        scene.lot(2, 60)
        stops = [scene.trigger("a", 1, 40), scene.trigger("b", 2, 20)]
        await scene.recover()
        await scene.meet(EMPTY)
        hands[0] += 2_000

        async def good(scene: _Patient = scene) -> None:
            await scene.at_once(lambda: scene.meet(DEEP))

        scene.nth.left, scene.nth.then = number, good
        await scene.guard.suspend()
        if scene.nth.left:
            break
        await scene.come_to_rest()
        assert [scene.status(stop) for stop in stops] == ["TRIGGERED", "ARMED"], number
    assert number > 2


@pytest.mark.parametrize("paid", ["1", "2"])
async def test_an_outage_at_one_book_forgets_no_other(
    paid: str, hands: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, newest = _Patient(), dict[str, Book]()
    monkeypatch.setattr(scene.books, "known", newest.get)
    stops = {}
    for asset_id in ("1", "2"):
        scene.lot(int(asset_id), 60, asset_id=asset_id)
        armed = "WAITING" if asset_id == paid else "ARMED"
        stops[asset_id] = scene.trigger(
            asset_id, int(asset_id), 40, asset_id=asset_id, status=armed
        )
        newest[asset_id] = structs.replace(EMPTY, market=replace(EMPTY.market, asset_id=asset_id))
    await scene.recover()
    await scene.guard.on_books(list(newest.values()))
    hands[0] += 2_000
    # It is known, and not told yet. Its trigger is to be armed, and that breaks the connection.
    market = replace(newest[paid].market, payout_micros=0, closed=True)
    newest[paid] = structs.replace(newest[paid], market=market)
    scene.moods.breaks_at = "lock_triggers"
    with pytest.raises(psycopg.OperationalError):
        await scene.guard.suspend()
    await scene.guard.suspend()
    await scene.guard.recheck()
    (other,) = {"1", "2"} - {paid}
    assert scene.status(stops[other]) == "SUSPENDED"


async def test_what_is_resolved_is_not_borne(hands: list[int]) -> None:
    scene = _Patient()
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 40)
    await scene.recover()
    paid = structs.replace(EMPTY, market=replace(EMPTY.market, payout_micros=0, closed=True))
    await scene.meet(paid)
    assert scene.status(stop) == "RESOLVED"


def test_each_is_told_once_and_only_while_it_is_bad() -> None:
    bad = BadBooks(2_000)
    assert bad.bears(EMPTY, 0)
    assert bad.unbearable(1_999) == []
    assert bad.unbearable(2_000) == ["1"]
    assert bad.unbearable(2_000) == []
    assert not bad.bears(EMPTY, 2_001)
    assert not bad.bears(GOOD, 2_002)
    assert bad.bears(EMPTY, 2_003)
    assert not bad.bears(GOOD, 2_004)
    assert bad.unbearable(9_000) == []


async def test_what_fires_once_it_is_armed_is_armed_first() -> None:
    """After an outage: the stop that the first good book reaches waits for no other."""
    desk, order = Desk(), list[str]()
    for number in range(3 * PATIENT):
        desk.lot(number, 60)
        price = 40 if number == 3 * PATIENT - 1 else 20
        desk.trigger(f"a{number:03}", number, price, status="SUSPENDED")
    await desk.guard.recover()
    await desk.guard.on_books([DEEP])
    for event in desk.database.table("trigger_event").values():
        order.append(event["to_status"])
    assert order.index("TRIGGERED") < 2 * PATIENT
    assert order.count("ARMED") == 3 * PATIENT


async def test_a_bad_book_suspends_nobody_who_was_just_armed(hands: list[int]) -> None:
    """A connection is lost while a portion is committed: it is borne as at any other moment."""
    scene = _Patient()
    scene.lot(1, 60)
    stop = scene.trigger("a", 1, 40, status="SUSPENDED")
    await scene.recover()

    def lost() -> None:
        scene.books.later = [structs.replace(STALE, revision=2)]

    scene.moods.at["move_triggers"] = lost
    await scene.guard.on_books([DEEP])
    assert (scene.status(stop), scene.sold()) == ("ARMED", [])
    scene.books.later = []
    await scene.meet(structs.replace(DEEP, revision=3))
    assert scene.sold() == [(stop, 60)]


async def test_what_was_just_armed_is_judged_on_the_newest_book() -> None:
    """The price of before may be gone."""
    desk = Desk()
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40, status="SUSPENDED")
    await desk.guard.recover()

    def comes() -> None:
        desk.books.later = [structs.replace(GOOD, revision=2)]

    desk.moods.at["move_triggers"] = comes
    await desk.guard.on_books([DEEP])
    assert desk.status(stop) == "ARMED"
    assert desk.sold() == []
    await asyncio.sleep(0)
    await desk.guard.on_books([structs.replace(DEEP, revision=3)])
    assert desk.sold() == [(stop, 60)]
