"""Test what a verdict does to its order, for each meaning, of a first attempt and of a later
one."""

from __future__ import annotations

import pytest

from services.executor.core.conclusion import conclusion
from tradingtools.venues.ports import Meaning, Verdict

UNKNOWN = ("UNKNOWN", None, "UNANSWERED")
FIRST = {
    Meaning.ACCEPTED: UNKNOWN,  # What is said to be accepted without an order proves nothing.
    Meaning.REJECTED: ("FAILED", "REJECTED", "CODE"),
    Meaning.NOT_ACCEPTED: ("FAILED", "UNSENT", "EXPIRED"),
    Meaning.HELD_BACK: ("FAILED", "UNSENT", "CODE"),
    Meaning.UNKNOWN: UNKNOWN,
}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("meaning", Meaning)
def test_only_a_first_attempt_can_be_refused(meaning: Meaning, number: int) -> None:
    fields = conclusion(Verdict(meaning=meaning, code="CODE"), number=number)
    found = (fields["to_state"], fields.get("failed_kind"), fields["reason"])
    assert found == (FIRST[meaning] if number == 1 else UNKNOWN)
    if found == UNKNOWN:
        assert (fields["detail"], fields["next_check_ms"]) == ("CODE", 0)
