"""A new position is not judged by the prices of the one before."""

from __future__ import annotations

from msgspec import structs

from services.guard.core.superseding import superseded
from tests.unit.guard.samples import trigger_of
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
