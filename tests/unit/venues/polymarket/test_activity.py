"""Rows of the activity that are no trades: what they take away, and at what price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tradingtools.venues.polymarket.activity import KINDS, decode_activity, spread
from tradingtools.venues.ports import RowError


def body(kind: str, **changes: Any) -> bytes:
    """A row as the Data API writes it."""
    row = {
        "proxy_wallet": "0x" + "A1" * 20, "transaction_hash": "0x" + "0b" * 32, "type": kind,
        "condition_id": "0x" + "cd" * 32, "token_id": "", "outcome_index": 999, "side": "",
        "price": 0, "size": 12.5, "usdc_size": "12.5", "timestamp": 1_790_000_000, **changes,
    }  # fmt: skip
    return json.dumps(row).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_which_way_shares_went_and_only_a_redemption_has_a_price(kind: str) -> None:
    row = decode_activity(body(kind, usdc_size=10))
    assert row is not None
    assert (row.action, row.price_text, row.size_micros) == (kind, kind, 12_500_000)
    assert row.side == ("BUY" if kind == "SPLIT" else "SELL")
    assert row.price_micros == (800_000 if kind == "REDEEM" else 0)
    assert row.leader == "0x" + "a1" * 20


def test_the_losers_row_of_a_redemption_pays_nothing_and_nothing_moved_is_no_row() -> None:
    loser = decode_activity(body("REDEEM", token_id="8", usdc_size=0))
    assert loser is not None
    assert (loser.asset_id, loser.price_micros) == ("8", 0)
    assert decode_activity(body("REDEEM", size=0)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "YIELD"},
        {"size": "x"},
        {"size": 10**12 + 1},
        {"token_id": "-1"},
        {"condition_id": "0x1"},
    ],
)
def test_what_is_no_such_row_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RowError):
        decode_activity(body("MERGE", **wrong))


def test_a_row_without_an_asset_is_a_row_for_each_asset_that_matters() -> None:
    merge, redeem = decode_activity(body("MERGE")), decode_activity(body("REDEEM", token_id="9"))
    assert merge is not None
    assert redeem is not None
    assert [row.asset_id for row in spread(merge, frozenset({"8", "7"}))] == ["7", "8"]
    assert spread(merge, frozenset()) == []
    assert spread(redeem, frozenset({"7"})) == [redeem]
