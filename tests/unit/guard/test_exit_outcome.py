"""Test what follows when a trigger's exit has ended, for every end there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guard.core.exit_outcome import ExitResult, NextStep, after_exit
from tradingtools.domain.order_states import RELEASING, FailedKind, OrderState

S, K = OrderState, FailedKind
ENDS: list[tuple[OrderState, FailedKind | None]] = [
    *((state, None) for state in S if state is not S.FAILED),
    *((S.FAILED, kind) for kind in K),
]
amounts = st.integers(0, 20_000_000)


@given(st.sampled_from(ENDS), amounts, amounts, amounts, amounts)
def test_every_end_against_the_rules(
    end: tuple[OrderState, FailedKind | None], sold: int, desired: int, rungs: int, minimum: int
) -> None:
    ended = ExitResult(
        state=end[0],
        failed_kind=end[1],
        sold_micros=sold,
        desired_micros=desired,
        rungs_micros=rungs,
        min_size_micros=minimum,
    )
    step = after_exit(ended)
    if end[0] not in RELEASING:
        # Nothing may be sold again while an earlier order may still fill.
        assert step is NextStep.NOTHING
    elif sold == 0 and end[1] in (K.UNSENT, K.UNDONE):
        assert step is NextStep.REARM
    elif desired and desired >= minimum:
        assert step is NextStep.SLICE
    else:
        assert step is (NextStep.RUNG if rungs and rungs >= minimum else NextStep.DONE)


@pytest.mark.parametrize("state", [S.UNKNOWN, S.DEAD, S.SUBMITTING, S.SUBMITTED, S.RESURRECTED])
def test_an_unresolved_exit_never_gets_a_second_order(state: OrderState) -> None:
    ended = ExitResult(
        state=state,
        failed_kind=None,
        sold_micros=0,
        desired_micros=10_000_000,
        rungs_micros=10_000_000,
        min_size_micros=5_000_000,
    )
    assert after_exit(ended) is NextStep.NOTHING
