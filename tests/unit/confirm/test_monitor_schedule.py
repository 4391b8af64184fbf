"""Questions after the end double their pauses, stay within their bounds, and come to an end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.confirm.core.monitor_schedule import Patience, next_check_ms
from tradingtools.domain.order_states import OrderState as S

PATIENCE = Patience(ended_ms=600_000, dead_ms=3_600_000, first_ms=1_000, longest_ms=120_000)


def asked_at(state: S, horizon_ms: int = 0) -> list[int]:
    now, found = 1_000, []
    while (pause := next_check_ms(state, 0, horizon_ms, now, PATIENCE)) is not None:
        found.append(now)
        now += pause
    return found


def test_pauses_double_up_to_the_longest() -> None:
    requested = asked_at(S.LOST)
    assert requested[:8] == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000]
    assert {b - a for a, b in pairwise(requested[8:])} == {120_000}


@pytest.mark.parametrize("state", [S.LOST, S.FAILED, S.CONFIRMED])
def test_an_end_is_watched_from_its_horizon(state: S) -> None:
    assert asked_at(state)[-1] < 600_000
    assert 1_500_000 < asked_at(state, 1_000_000)[-1] < 1_600_000


@pytest.mark.parametrize("state", [S.DEAD, S.RESURRECTED])
def test_what_waits_for_a_person_is_asked_for_longer(state: S) -> None:
    assert 3_400_000 < asked_at(state)[-1] < 3_600_000
