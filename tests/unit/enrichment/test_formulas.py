"""Ratios by published examples, and by what empyrical-reloaded 0.7.1 gives for the same series."""

from __future__ import annotations

import pytest

from services.enrichment.core import formulas

USDC = 1_000_000
DAILY = [120_000_000, -45_500_000, 0, 33_250_000, -80_000_001, 210_000_000, 15_000_000,
         -5_000_000, 0, 64_999_999]  # fmt: skip


def test_of_daily_results_as_empyrical() -> None:
    """Its sharpe_ratio and sortino_ratio of these amounts by 1,000 USDC, annualization 365."""
    assert formulas.sharpe(DAILY) == pytest.approx(7.154684258678808, rel=1e-9)
    assert formulas.sortino(DAILY) == pytest.approx(20.500084999541535, rel=1e-9)


def test_drawdown_as_empyrical() -> None:
    """Its max_drawdown of an account that begins with 1,000 USDC."""
    fall, part = formulas.drawdown(DAILY, 1_000 * USDC)
    assert part == pytest.approx(0.08236607232142859, rel=1e-9)
    # From 1,120 up to 1,107.75 down to 1,027.749999.
    assert fall == 92_250_001
    assert formulas.drawdown(DAILY, 0) == (92_250_001, None)
    assert formulas.drawdown([-5 * USDC], 10 * USDC) == (5 * USDC, 0.5)


def test_wilson_as_published() -> None:
    """Newcombe (1998), Statistics in Medicine 17, table I."""
    for won, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        bounds = formulas.wilson(won, of)
        assert bounds == pytest.approx((low, high), abs=5e-5)
    assert formulas.wilson(0, 0) is None
    low_of_five, _ = formulas.wilson(5, 5) or (1.0, 1.0)
    assert low_of_five < 0.57


def test_what_has_no_ratio_has_none() -> None:
    """Not 0, and not infinity."""
    assert formulas.sharpe([5]) is formulas.sharpe([5, 5, 5]) is None
    assert formulas.sortino([5, 6]) is formulas.sortino([]) is None
    assert formulas.profit_factor([5, 6]) is None
    assert formulas.profit_factor([5, -10]) == 0.5
    assert formulas.ratio(1, 0) is None
    assert formulas.concentration([0, 0]) is formulas.concentration([]) is None
    assert formulas.concentration([5, 5]) == 0.5
    assert formulas.lower_median([]) is None
    assert formulas.lower_median([(7, 1), (1, 1)]) == 1
    assert formulas.lower_median([(7, 3), (1, 1)]) == 7


def test_sharpe_of_great_amounts_is_exact() -> None:
    """A spread of one micro is there beside a billion USDC."""
    great = 10**15
    assert formulas.sharpe([great, great + 1]) == pytest.approx((great + 0.5) * (2 * 365) ** 0.5)
