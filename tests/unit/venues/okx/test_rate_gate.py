"""One gate for REST and socket: nobody passes the last room twice, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tradingtools import clock
from tradingtools.venues.okx.limits import LIMITS, Charge, Scope
from tradingtools.venues.okx.rate_gate import RateGate

PLACE = (Charge(Scope.PLACE, "BTC-USDT-SWAP"),)


async def test_a_full_window_refuses_what_would_be_too_late() -> None:
    gate = RateGate()
    async with AsyncExitStack() as stack:
        for _ in range(LIMITS[Scope.PLACE].count):
            assert await stack.enter_async_context(gate.passing(PLACE))
        async with gate.passing(PLACE, clock.now_ms() + 50) as admitted:
            assert not admitted
        async with gate.passing((Charge(Scope.PLACE, "ETH-USDT"),)) as other:
            assert other
    # All of them have ended: a window from now there is room, which is too late for this one.
    async with gate.passing(PLACE, clock.now_ms() + 100) as admitted:
        assert not admitted


async def test_those_who_wait_pass_one_for_each_room() -> None:
    gate = RateGate()
    tagged = (Charge(Scope.CANCEL_ALL_AFTER, "tt1"),)
    passed: list[int] = []

    async def pass_once() -> None:
        async with gate.passing(tagged) as admitted:
            assert admitted
            passed.append(clock.monotonic_ms())

    await asyncio.gather(*(pass_once() for _ in range(3)))

    window_ms = LIMITS[Scope.CANCEL_ALL_AFTER].window_ms
    assert passed[1] - passed[0] > window_ms
    assert passed[2] - passed[1] > window_ms


async def test_a_deadline_that_has_passed_lets_nothing_out() -> None:
    async with RateGate().passing(PLACE, clock.now_ms()) as admitted:
        assert not admitted
