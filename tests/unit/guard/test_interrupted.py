"""Test that what the database interrupts is done when it is back: nothing that was read is
forgotten."""

from __future__ import annotations

from typing import cast

import pytest
from msgspec import structs

from services.guard.worker import Guard
from tests.unit.guard.test_evaluation import DEEP, Desk, Known, _none
from tests.unit.guard.test_meanwhile import GOOD
from tradingtools.domain.book import Book
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.venues.insiders.order_body import order_body


def _reported(desk: Desk, *triggers: str) -> None:
    """Control tells of triggers, and of their lots as they are now."""
    for trigger in triggers:
        desk._put(
            "control_change", subject_kind="trigger", subject_id=trigger, actor="a", source="s",
            action="create", previous_hash=b"", hash=b"",
        )  # fmt: skip


async def _time_passes(desk: Desk) -> None:
    for _ in range(3):
        await desk.guard.on_books([DEEP])
        await desk.guard.recheck()
        await desk.guard.refresh()


@pytest.mark.parametrize("interrupted", ["halts", "changed_triggers", "manual_lots"])
async def test_a_stop_loss_of_shares_bought_by_hand_fires(interrupted: str) -> None:
    desk = Desk()
    await desk.guard.recover()
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    _reported(desk, stop)
    desk.moods.breaks_at = interrupted
    await while_database_is_away(desk.guard.refresh)
    assert desk.moods.breaks_at == ""
    await _time_passes(desk)
    assert desk.sold() == [(stop, 60)]


async def test_a_stop_loss_behind_one_that_could_not_be_armed_fires() -> None:
    desk = Desk()
    await desk.guard.recover()
    desk.lot(1, 60)
    desk.lot(2, 60)
    waiting = desk.trigger("a", 1, 40, status="WAITING")
    armed = desk.trigger("b", 2, 40)
    _reported(desk, waiting, armed)
    desk.moods.breaks_at = "lock_triggers"
    await while_database_is_away(desk.guard.refresh)
    assert desk.moods.breaks_at == ""
    await _time_passes(desk)
    assert [desk.status(waiting), desk.status(armed)] == ["TRIGGERED", "TRIGGERED"]


async def test_those_that_were_to_be_judged_soon_still_are() -> None:
    desk = Desk()
    desk.lot(1, 60)
    desk.lot(2, 60)
    eager = desk.trigger("a", 1, 40)
    waiting = desk.trigger("b", 2, 40, status="WAITING")
    await desk.guard.recover()
    desk.books.newest = DEEP
    desk.guard._writer.schedule_soon([eager, waiting])
    desk.moods.breaks_at = "lock_triggers"
    await while_database_is_away(desk.guard.recheck)
    assert desk.moods.breaks_at == ""
    # No mark comes any more.
    for _ in range(3):
        await desk.guard.recheck()
    assert [desk.status(eager), desk.status(waiting)] == ["TRIGGERED", "TRIGGERED"]


def _left_behind(desk: Desk) -> Guard:
    """The same guard as it was when its connection broke: what it has sent is on its way."""
    pool, lease = desk.guard._pool, desk.guard._lease
    settings = desk.guard._claims._settings
    books = cast(Books, Known())
    return Guard(
        pool, lease, books, Tail(0, _none), settings, writing=pool, peaks=pool, body_of=order_body
    )


async def _given_up(desk: Desk) -> tuple[str, Guard]:
    """A stop whose claim broke off, and who may still commit it."""
    desk.lot(1, 60)
    stop = desk.trigger("a", 1, 40)
    await desk.guard.recover()
    late = _left_behind(desk)
    await late.recover()
    desk.moods.breaks_at = "fire_foreseen"
    await desk.guard.on_books([DEEP])
    return stop, late


@pytest.mark.parametrize("price", [DEEP, GOOD])
async def test_a_claim_that_commits_after_it_was_given_up_sells_once(price: Book) -> None:
    """The server was frozen, and carries out what it had got long after the guard has read anew."""
    desk = Desk()
    stop, late = await _given_up(desk)
    assert (desk.moods.breaks_at, desk.sold()) == ("", [])
    await late.on_books([DEEP])
    assert desk.sold() == [(stop, 60)]
    # No fill and no other book tells of it.
    desk.books.newest = price
    for _ in range(3):
        await desk.guard.recheck()
    await desk.guard.on_books([structs.replace(DEEP, revision=9)])
    await desk.guard.recheck()
    assert desk.sold() == [(stop, 60)]
    known = desk.guard._cache.get(stop)
    assert known is not None
    assert known.status == "TRIGGERED"


async def test_a_claim_that_comes_too_late_sells_nothing() -> None:
    desk = Desk()
    stop, late = await _given_up(desk)
    desk.books.newest = DEEP
    await desk.guard.recheck()
    assert desk.sold() == [(stop, 60)]
    await late.on_books([DEEP])
    assert desk.sold() == [(stop, 60)]
