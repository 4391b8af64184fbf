"""Of what would be held and is not, what no reason names."""

from __future__ import annotations

from services.control.positions.drift_rules import Shortfall, unexplained


def test_what_no_reason_names_is_the_rest() -> None:
    missing = Shortfall(side="BUY", reason="NOTHING_FILLED", number=1, size_micros=4)
    too_many = Shortfall(side="SELL", reason="HALTED", number=1, size_micros=3)
    skipped = Shortfall(side="BUY", reason="TOO_OLD", number=9, size_micros=None)
    assert unexplained(10, 6, [missing, skipped]) == 0
    assert unexplained(5, 8, [too_many]) == 0
    assert unexplained(10, 9, [missing, too_many]) == 0
    assert unexplained(10, 9, [skipped]) == 1
