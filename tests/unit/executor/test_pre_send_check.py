"""Test what a look at the gates may take until it lets nothing out, in a time of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

import pytest
from msgspec import structs

from services.executor.core.attempt import Attempt
from services.executor.gate_recheck import GateRecheck, RecheckRequest
from services.executor.pre_send_check import PreSendCheck, Withheld
from tests.simulation.loop import VirtualLoop
from tests.unit.executor.test_sender import attempt
from tradingtools import clock
from tradingtools.domain.order import Purpose

ENTRY = structs.replace(attempt("a"), gates_checked_ns=-(10**9))
EXIT = structs.replace(attempt("b", purpose=Purpose.GUARD_EXIT), gates_checked_ns=-(10**9))


def takes(seconds: Callable[[Sequence[RecheckRequest]], float]) -> PreSendCheck:
    """Nothing is held back; what is said of some takes so long."""

    async def ask(requested: Sequence[RecheckRequest]) -> tuple[Mapping[str, str], int]:
        requested_ns = clock.monotonic_ns()
        await asyncio.sleep(seconds(requested))
        return {}, requested_ns

    return PreSendCheck(cast(Any, None), cast(Any, None), GateRecheck(ask).check)


def run(work: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop(random.Random(1))  # noqa: S311 - a seed makes it repeatable
    with clock.replaced(loop):
        loop.run(work)


async def looked(leave: PreSendCheck, one: Attempt, after_seconds: float = 0.0) -> float:
    """After how many seconds it may leave."""
    await asyncio.sleep(after_seconds)
    await leave.recheck(one, one.gates_checked_ns)
    return clock.monotonic()


def test_a_look_counts_from_when_its_question_is_sent() -> None:
    async def two() -> None:
        leave = takes(lambda _: 0.7)
        second = looked(leave, ENTRY, after_seconds=0.1)
        assert await asyncio.gather(looked(leave, ENTRY), second) == pytest.approx([0.7, 1.4])

    run(two())


def test_an_exit_waits_for_no_question_about_entries() -> None:
    async def both() -> None:
        leave = takes(
            lambda requested: max(0.9 * (o.purpose is Purpose.ENTRY) for o, _ in requested)
        )
        exit_ = looked(leave, EXIT, after_seconds=0.1)
        assert await asyncio.gather(looked(leave, ENTRY), exit_) == pytest.approx([0.9, 0.1])

    run(both())


@pytest.mark.parametrize(
    ("one", "seconds", "leaves"),
    [(ENTRY, 0.9, True), (ENTRY, 1.1, False), (EXIT, 2.9, True), (EXIT, 3.1, False),
     (ENTRY, 900, False), (EXIT, 900, False)],
)  # fmt: skip
def test_a_look_that_takes_too_long_lets_nothing_out(
    one: Attempt, seconds: float, leaves: bool
) -> None:
    async def alone() -> None:
        leave = takes(lambda _: seconds)
        if leaves:
            assert await looked(leave, one) == pytest.approx(seconds)
        else:
            with pytest.raises(Withheld, match="NOT_SENT"):
                await looked(leave, one)
        assert clock.monotonic() <= 6

    run(alone())


@pytest.mark.parametrize(
    ("one", "takes_seconds", "until_seconds"),
    [(ENTRY, 0.1, 0.3), (ENTRY, 0.9, 1.0), (EXIT, 2.5, 2.7), (EXIT, 2.9, 3.0)],
)
def test_check_is_valid_for_a_while_after_its_answer(
    one: Attempt, takes_seconds: float, until_seconds: float
) -> None:
    async def alone() -> None:
        requested = 0

        def seconds(_requested: Sequence[RecheckRequest]) -> float:
            nonlocal requested
            requested += 1
            return takes_seconds

        leave = takes(seconds)
        until_ns = await leave.recheck(one, one.gates_checked_ns)
        assert until_ns == pytest.approx(until_seconds * 1e9)
        await asyncio.sleep((until_ns - clock.monotonic_ns()) / 1e9 - 0.001)
        assert await leave.recheck(one, until_ns) == until_ns
        assert requested == 1
        await asyncio.sleep(0.002)
        assert await leave.recheck(one, until_ns) > until_ns
        assert requested == 2

    run(alone())
