"""Salt and timestamp follow from our id: the same for ever, and different for different orders."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingtools.domain.ids import IdError, created_ms, timed_order_id
from tradingtools.venues.polymarket.order_identity import OrderIdentity, order_identity

ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


def test_an_id_has_one_identity_for_ever() -> None:
    # A change here would make the orders of a process that crashed before it unknown to the next.
    found = order_identity("019aafd3b2c07a1b8c2d3e4f5a6b7c8d")
    assert found == OrderIdentity(salt=8_669_896_897_437_908, timestamp_ms=0x019AAFD3B2C0)


@settings(max_examples=50)
@given(first=ids, second=ids)
def test_salts_fit_json_and_differ(first: str, second: str) -> None:
    one, other = order_identity(first), order_identity(second)
    assert 0 <= one.salt < 2**53
    assert (one == other) == (first == second)


@pytest.mark.parametrize(
    "text", ["", "A" * 32, "0" * 31, "0" * 33, "019aafd3-b2c0-7a1b-8c2d-3e4f5a6b7c8d"]
)
def test_what_is_no_id_of_ours_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        order_identity(text)


def test_an_id_tells_when_its_order_was_made() -> None:
    one = timed_order_id(1_790_000_000_123, "bot", "7", "41")
    assert one == timed_order_id(1_790_000_000_123, "bot", "7", "41")
    assert one != timed_order_id(1_790_000_000_123, "bot", "74", "1")
    assert created_ms(one) == order_identity(one).timestamp_ms == 1_790_000_000_123
    assert len(one) == 32
    for wrong in (-1, 1 << 48):
        with pytest.raises(IdError):
            timed_order_id(wrong, "bot")
