"""Every misbehaviour of insiders-api: what becomes of the order, and that it is asked for once.

All cases run in one go, each on an order of its own; then each is judged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from tests.fault import judge
from tests.fault.rig import TRIALS, Rig, good_scene, promise, sent_copy
from tests.money_path.world import Scene
from tradingtools.venues.insiders.schemas import DEFINITIVE_REJECTIONS

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # The first of them waits for all that happens.
    pytest.mark.timeout(300),
]

BEFORE, AFTER = "before_accept", "after_accept"
LOST = ("LOST", None, "NEVER_ARRIVED")
CONFIRMED = ("CONFIRMED", None, "")
UNDECIDED = {
    "IN_PROGRESS": 409,
    "KEY_REUSED": 422,
    "TOO_EARLY": 425,
    "INTERNAL": 500,
    "UPSTREAM": 502,
    "TRADING_DISABLED": 503,
    "NOT_SUPPORTED": 501,
    "ORDER_NOT_FOUND": 404,
    "DUPLICATED": 400,
}
"""Codes that say nothing about the request, with their status."""


@dataclass(frozen=True)
class Case:
    """One misbehaviour and the end it has to lead to: state, kind of failure, reason."""

    name: str
    where: str
    kind: str
    end: tuple[str, str | None, str]
    fields: dict[str, Any] = field(default_factory=dict)
    posts: int = 1
    prompt: bool = False
    """Its end needs the engine to act within a second. Who was too slow did right and is no subject
    here: it is tried again."""

    async def ended_so(self, scene: Scene) -> bool:
        """Return whether the only order there came to this end."""
        (order,) = scene.orders()
        ended = order["state"], order["failed_kind"], order["reason"]
        return ended == self.end and len(await scene.posted()) == self.posts


def _status(where: str, status: int, code: str, end: tuple[str, str | None, str]) -> Case:
    fields = {"status": status, "code": code}
    return Case(f"{code} {status} {where}", where, "status", end, fields)


# Ten failures in a row would open the breaker, so no more of them follow one another.
CASES = [
    *(
        _status(BEFORE, 403 if code == "FORBIDDEN" else 400, code, ("FAILED", "REJECTED", code))
        for code in sorted(DEFINITIVE_REJECTIONS)
    ),
    *(_status(BEFORE, status, code, LOST) for code, status in UNDECIDED.items()),
    *(_status(AFTER, status, code, CONFIRMED) for code, status in UNDECIDED.items()),
    # A status that does not go with its code proves nothing either.
    _status(AFTER, 500, "MIN_SIZE", CONFIRMED),
    _status(BEFORE, 500, "MIN_SIZE", LOST),
    Case("reset before", BEFORE, "reset", LOST),
    Case("reset after", AFTER, "reset", CONFIRMED),
    Case("silence before", BEFORE, "hang", LOST),
    Case("silence after", AFTER, "hang", CONFIRMED),
    Case("late answer", AFTER, "delay", CONFIRMED, {"ms": 2500}),
    Case("slow drip", AFTER, "drip", CONFIRMED, {"ms": 2500}),
    Case("malformed before", BEFORE, "malformed", LOST),
    Case("malformed after", AFTER, "malformed", CONFIRMED),
    Case("oversized after", AFTER, "oversized", CONFIRMED),
    Case("wrong key", AFTER, "wrong_key", CONFIRMED),
    # After the entry's time: what comes then is neither waited for nor believed.
    Case("answered after its time", AFTER, "delay", CONFIRMED, {"ms": 6000}),
    Case("processed after its time", BEFORE, "delay", LOST, {"ms": 6000}),
    Case("answer twice", AFTER, "duplicate_answer", CONFIRMED),
    # The answer is an error, and the request is processed when the key has been voided.
    Case(
        "accepted late", BEFORE, "late_accept", LOST,
        {"ms": 1000, "status": 500, "code": "INTERNAL"}, prompt=True,
    ),
    # An absurd Retry-After is honoured within the order's own time, which it outlasts.
    Case("come back in ten minutes", BEFORE, "rate_limit", ("FAILED", "UNSENT", "EXPIRED"),
         {"ms": 600_000}),
    Case("come back soon", BEFORE, "rate_limit", CONFIRMED, {"ms": 50}, posts=2, prompt=True),
    Case("settlement retried", BEFORE, "retrying_trade", CONFIRMED),
    Case("settlement failed", BEFORE, "fail_trade", ("FAILED", "UNDONE", "SETTLEMENT_FAILED")),
    Case("balance behind", BEFORE, "balance_lag", CONFIRMED),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def befallen(shared: Rig) -> dict[str, Scene]:
    """Each case's order, with everything at rest.

    Without capability A: with it, what was lost is sent again (`test_capabilities.py`).
    """
    await promise(shared, "-BCD")
    scenes = await asyncio.gather(*(good_scene(shared) for _ in CASES))
    found = {}
    for case, scene in zip(CASES, scenes, strict=True):
        found[case.name] = await _befall(shared, case, scene)
    for scene in found.values():
        await scene.settled(1)
    for case in CASES:
        for _ in range(TRIALS if case.prompt else 0):
            if not await case.ended_so(found[case.name]):
                found[case.name] = await _befall(shared, case)
                await found[case.name].settled(1)
    return found


async def _befall(shared: Rig, case: Case, prepared: Scene | None = None) -> Scene:
    return await sent_copy(shared, prepared, where=case.where, kind=case.kind, **case.fields)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_ends_as_it_must_and_nothing_is_sent_twice(
    befallen: dict[str, Scene], case: Case
) -> None:
    scene = befallen[case.name]
    (order,) = scene.orders()
    assert (order["state"], order["failed_kind"], order["reason"]) == case.end
    assert len(await scene.posted()) == case.posts
    assert scene.open_reservations() == []


async def test_the_invariants_hold_afterwards(shared: Rig, befallen: dict[str, Scene]) -> None:
    assert await judge.judge(shared.world, ()) == []
