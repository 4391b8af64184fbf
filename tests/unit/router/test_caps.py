"""Limits that are not of the subscription: what the wallet has."""

from __future__ import annotations

import pytest

from services.router.core.caps import Exposure, rooms, tightest
from tests.unit.samples import subscription
from tradingtools.domain.reasons import Reason


@pytest.mark.parametrize(
    ("held", "reason", "micros"),
    [
        (Exposure(), Reason.NONE, 1_000),
        (Exposure(cash_micros=1_000), Reason.NONE, 1_000),
        (Exposure(cash_micros=999), Reason.CASH, 999),
        (Exposure(cash_micros=0), Reason.CASH, 0),
        (Exposure(cash_micros=-5), Reason.CASH, -5),
        (Exposure(cash_micros=900, budget_micros=800), Reason.BUDGET, 800),
        (Exposure(cash_micros=700, budget_micros=800), Reason.CASH, 700),
    ],
)
def test_least_of_funding_and_cash_limits_and_unknown_does_not(
    held: Exposure, reason: Reason, micros: int
) -> None:
    found = tightest(1_000, rooms(subscription(), 0, held))
    assert (found.reason, found.micros) == (reason, micros)
