"""Test how old an answer about the promise may be, in a time of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from msgspec import structs

from services.executor.core.attempt import Attempt
from services.executor.core.promise import Promise, judge
from services.executor.pre_send_check import PreSendCheck, Withheld
from services.executor.promise_check import PromiseCheck
from tests.simulation.loop import VirtualLoop
from tests.unit.executor.test_sender import attempt
from tradingtools import clock
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown, Meaning

_MADE = attempt("a")
_FIRST = structs.replace(_MADE, order=structs.replace(_MADE.order, not_after_ms=2**50))
_AGAIN = structs.replace(_FIRST, number=2)


def run(work: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop(random.Random(1))  # noqa: S311 - a seed makes it repeatable
    with clock.replaced(loop):
        loop.run(work)


def asking(
    seconds: float, *reported: Capabilities | CapabilitiesUnknown
) -> tuple[PreSendCheck, list[float]]:
    """Answers come one after the other, the last one for ever, each so late."""
    requested: list[float] = []

    async def ask() -> Capabilities | CapabilitiesUnknown:
        requested.append(clock.monotonic())
        answer = reported[min(len(requested), len(reported)) - 1]
        await asyncio.sleep(seconds)
        return answer

    poll = cast(Any, None)
    return PreSendCheck(cast(Any, _Closed()), PromiseCheck(ask), poll), requested


class _Closed:
    closed = True

    def allows(self, _probe: int) -> bool:
        return True


def promised(idempotency: bool) -> Capabilities:
    return Capabilities(idempotency, True, True, True, 0)


async def leaves(check: PreSendCheck, one: Attempt, *, waits: float = 0.0) -> None:
    """Ask, get a connection so late, and leave."""
    until_ns = await check.promised_until_ns(one)
    await asyncio.sleep(waits)
    await check.ready(one, 2**62, until_ns, probe=0)


def test_a_first_attempt_asks_nobody() -> None:
    check, requested = asking(0.1, promised(False))
    run(leaves(check, _FIRST, waits=5.0))
    assert not requested


@pytest.mark.parametrize(
    ("answers_in", "waits", "leaves_now"),
    [(0.1, 0.15, True), (0.1, 0.25, False), (0.9, 0.05, True), (0.9, 0.15, False)],
)
def test_an_answer_is_good_for_a_moment(answers_in: float, waits: float, leaves_now: bool) -> None:
    """200 ms from the answer, and a second from its question, which may be what took so long."""

    async def tried() -> None:
        check, _ = asking(answers_in, promised(True))
        if leaves_now:
            await leaves(check, _AGAIN, waits=waits)
            return
        with pytest.raises(Withheld) as kept:
            await leaves(check, _AGAIN, waits=waits)
        assert kept.value.verdict.meaning is Meaning.NOT_ACCEPTED, "it asks anew"

    run(tried())


def test_a_withdrawn_promise_ends_the_attempt() -> None:
    async def tried() -> None:
        check, _ = asking(0.1, promised(False))
        with pytest.raises(Withheld) as kept:
            await leaves(check, _AGAIN)
        assert kept.value.verdict.meaning is Meaning.HELD_BACK

    run(tried())


def test_nobody_goes_by_an_answer_to_a_question_before_his_own() -> None:
    async def tried() -> None:
        check, requested = asking(0.5, promised(True), promised(False))
        first = asyncio.create_task(check.promised_until_ns(_AGAIN))
        await asyncio.sleep(0.1)
        others = [asyncio.create_task(check.promised_until_ns(_AGAIN)) for _ in range(3)]
        assert await first
        for other in others:
            with pytest.raises(Withheld):
                await other
        assert requested == pytest.approx([0.0, 0.5]), "they asked together"

    run(tried())


@pytest.mark.parametrize("by_settings", [True, False])
def test_what_is_not_told_allows_nothing_unless_it_never_is(by_settings: bool) -> None:
    assert judge(CapabilitiesUnknown.NO_ANSWER, by_settings=by_settings) is Promise.NOT_REPORTED
    never = judge(CapabilitiesUnknown.NOT_OFFERED, by_settings=by_settings)
    assert never is (Promise.HOLDS if by_settings else Promise.NOT_REPORTED)
    assert judge(promised(False), by_settings=by_settings) is Promise.WITHDRAWN
