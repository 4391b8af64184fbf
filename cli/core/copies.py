"""Outcomes of copies on paper, as people read them. Pure."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_ROWS = (
    ("copied", "trades copied"),
    ("orders", "orders"),
    ("unfilledOrders", "orders that filled nothing"),
    ("spent", "USDC spent, fees included"),
    ("received", "USDC received"),
    ("fees", "USDC fees"),
    ("realised", "USDC realised"),
    ("heldCost", "USDC at cost of what is held"),
    ("heldValue", "USDC that it is worth"),
    ("profit", "USDC profit"),
    ("leaderCost", "USDC that the leader paid for the same shares"),
)


def sums(*outcomes: Json) -> list[str]:
    """Return outcomes side by side, a line each number; what is not known is a question mark."""
    found = [
        "  " + "  ".join(f"{outcome.get(name, '?')!s:>14}" for outcome in outcomes) + f"  {words}"
        for name, words in _ROWS
    ]
    reasons = dict.fromkeys(one["reason"] for outcome in outcomes for one in outcome["refused"])
    for reason in reasons:
        counts = [
            sum(one["count"] for one in outcome["refused"] if one["reason"] == reason)
            for outcome in outcomes
        ]
        found.append("  " + "  ".join(f"{count:>14}" for count in counts) + f"  refused: {reason}")
    return found


def unknown(answer: Json) -> list[str]:
    """Return what an answer assumes or does not know."""
    return [
        "",
        "what is assumed, and what is not known:",
        *(f"  {one}" for one in answer["unknown"]),
    ]
