"""Sums and performance as fields of a subscription."""

from __future__ import annotations

from services.control.messages import Fields
from services.control.statistics.performance import Performance
from services.control.store import Row
from tradingtools.domain.money import to_text


def statistics(row: Row) -> Fields:
    """The sums of a subscription's row as it is shown."""
    paper = {}
    if row["settings"].get("shadow"):
        paper = {
            "paper_bought": to_text(row["paper_bought"]),
            "paper_sold": to_text(row["paper_sold"]),
            "paper_open_cost": to_text(row["paper_open_cost"]),
        }
    return {
        **paper,
        "leader_trades": row["leader_trades"],
        "copied": row["copied"],
        "skipped": row["leader_trades"] - row["copied"],
        "orders_confirmed": row["confirmed"],
        "orders_failed": row["failed"],
        "orders_unresolved": row["unresolved"],
        "bought": to_text(row["bought"]),
        "sold": to_text(row["sold"]),
        "fees": to_text(row["fees"]),
        "realised": to_text(row["realised"]),
        "open_cost": to_text(row["open_cost"]),
    }


def performance(row: Row, of: Performance) -> Fields:
    """A subscription's performance, which stands beside its sums, ``row``."""
    held = of.held
    shown: Fields = {
        "open_positions": held.positions,
        "unmarked_positions": held.unmarked,
        "slippage": to_text(of.slippage_micros),
        "payouts": to_text(of.payouts_micros),
    }
    if not held.unmarked:
        shown["value"] = to_text(held.value_micros)
        shown["unrealised"] = to_text(held.unrealised_micros)
        shown["profit"] = to_text(row["realised"] + held.unrealised_micros - row["fees"])
    if of.delays_us is not None:
        median, ninetieth, last = of.delays_us
        shown["copy_delay_p50_us"] = median
        shown["copy_delay_p90_us"] = ninetieth
        shown["copy_delay_last_us"] = last
    return shown
