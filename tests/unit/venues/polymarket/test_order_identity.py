"""Salt and timestamp follow from our id and instant: the same for ever, different for others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingtools.venues.polymarket.order_identity import OrderIdentity, order_identity

ids = st.from_regex(r"[0-9a-z]{12}e[0-9a-f]{1,4}n[0-9a-f]{1,6}", fullmatch=True)
NOW = 1_790_000_000_123


def test_an_id_has_one_identity_for_ever() -> None:
    # A change here would make the orders of a process that crashed before it unknown to the next.
    found = order_identity("mm0000000001e3n2a", NOW)
    assert found == OrderIdentity(salt=4_891_168_535_696_520, timestamp_ms=NOW)


@settings(max_examples=50)
@given(first=ids, second=ids)
def test_salts_fit_json_and_differ(first: str, second: str) -> None:
    one, other = order_identity(first, NOW), order_identity(second, NOW)
    assert 0 <= one.salt < 2**53
    assert (one == other) == (first == second)


@pytest.mark.parametrize("text", ["", "a" * 33, "019aafd3-b2c0", "ä1"])
def test_what_is_no_id_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        order_identity(text, NOW)


def test_an_order_that_is_not_dated_is_refused() -> None:
    with pytest.raises(ValueError, match="instant"):
        order_identity("mm0000000001e3n2a", 0)
