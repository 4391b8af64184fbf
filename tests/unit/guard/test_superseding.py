"""A new position is not judged by the prices of the one before."""

from __future__ import annotations

from msgspec import structs

from services.guard.core.superseding import superseded
from tests.unit.guard.samples import trigger_of
from tests.unit.guard.test_evaluation import Desk
from tradingtools.domain.trigger_states import TriggerStatus


def test_only_the_newest_set_of_defaults_stays() -> None:
    def made(name: str, order: str, status: TriggerStatus = TriggerStatus.ARMED):  # type: ignore[no-untyped-def]
        return structs.replace(trigger_of(status=status), id=name, made_for=order)

    by_hand = made("hand", "")
    old, closing = made("old", "a"), made("closing", "a", TriggerStatus.CLOSING)
    new = made("new", "b")
    assert superseded([old, by_hand, closing, new]) == [old], "what has fired goes on"
    assert superseded([by_hand, old]) == []
    assert superseded([new, by_hand]) == []


async def test_leftovers_of_a_position_end_when_a_guard_starts() -> None:
    desk = Desk()
    desk.lot(1, 60)
    old, new = (desk.trigger(name, 1, 40, made_for=name) for name in "ab")
    by_hand = desk.trigger("c", 1, 40)
    await desk.guard.recover()
    assert list(map(desk.status, [old, new, by_hand])) == ["CANCELLED", "ARMED", "ARMED"]


async def test_start_reads_no_lot_with_triggers_of_one_position() -> None:
    """There are as many as positions: it took a minute to read them one by one."""
    desk = Desk()
    for number in (1, 2):
        desk.lot(number, 60)
        desk.trigger(f"{number}a", number, 40, made_for=f"{number}")
        desk.trigger(f"{number}b", number, 30, made_for=f"{number}")
        desk.trigger(f"{number}c", number, 20)
    desk.moods.breaks_at = "triggers_of_lots"
    await desk.guard.recover()
    assert desk.moods.breaks_at == "triggers_of_lots", "it was asked"
