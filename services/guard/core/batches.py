"""Divide evaluated triggers into batches of one transaction each. Pure.

Before it: `evaluation`, which judges. After it: `evaluation`, which does one portion after the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from msgspec import structs

from services.guard.core import trigger as trigger_rules
from services.guard.core.trigger import Judgement, LotKey, Trigger, lot_of
from tradingtools.domain.book import Book
from tradingtools.domain.trigger_states import TriggerStatus

MAX = 200
"""Triggers that fire in one transaction; a lot's are never divided."""
PATIENT = 10
"""Triggers of one in which none fires: who fires meanwhile waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The condition of a trigger for a book, as memory has it."""

    trigger: Trigger
    book: Book
    verdict: Judgement
    now_ms: int


def batches(
    evaluations: Sequence[Evaluation], shares: Callable[[LotKey], int], last: Collection[LotKey]
) -> list[list[Evaluation]]:
    """Part them into whole lots, up to so many triggers; those that fire come first.

    Args:
        evaluations: in the order in which the triggers of a lot are judged.
        shares: that a lot holds, micros.
        last: lots that come after all others, each alone.
    """
    firing: list[list[Evaluation]] = []
    pressing: list[list[Evaluation]] = []
    patient: list[list[Evaluation]] = []
    isolated: list[list[Evaluation]] = []
    for key, of_lot in by_lot(evaluations).items():
        if key in last:
            isolated.append(of_lot)
        elif any(each.verdict is Judgement.FIRE for each in of_lot):
            firing.append(of_lot)
        elif any(_fires_once_armed(each, shares(key)) for each in of_lot):
            pressing.append(of_lot)
        else:
            patient.append(of_lot)
    return [
        *_together_up_to(MAX, firing),
        *_together_up_to(PATIENT, pressing),
        *_together_up_to(PATIENT, patient),
        *isolated,
    ]


def fires(evaluations: Iterable[Evaluation]) -> bool:
    """Return whether all that is asked is to fire."""
    return all(each.verdict is Judgement.FIRE for each in evaluations)


def by_lot(evaluations: Iterable[Evaluation]) -> dict[LotKey, list[Evaluation]]:
    """Return the same by lot, in the order given."""
    lots: dict[LotKey, list[Evaluation]] = {}
    for each in evaluations:
        lots.setdefault(lot_of(each.trigger), []).append(each)
    return lots


def _fires_once_armed(each: Evaluation, shares: int) -> bool:
    """Return whether a suspended trigger waits for nothing but to be armed."""
    if each.verdict is not Judgement.ARM:
        return False
    armed = structs.replace(each.trigger, status=TriggerStatus.ARMED)
    return trigger_rules.judge(armed, shares, each.book, each.now_ms) is Judgement.FIRE


def _together_up_to(most: int, lots: Iterable[list[Evaluation]]) -> list[list[Evaluation]]:
    found: list[list[Evaluation]] = []
    for of_lot in lots:
        if found and len(found[-1]) + len(of_lot) <= most:
            found[-1] += of_lot
        else:
            found.append(of_lot)
    return found
