"""Series as messages of REST, and rows as their steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.control.messages import Fields
from services.control.quality.series import Point, Step, Sums
from tradingtools.domain.money import to_text


def instant(at_s: int) -> datetime:
    """Return seconds since the epoch as an instant."""
    return datetime.fromtimestamp(at_s, UTC)


def step(row: Mapping[str, Any]) -> Step:
    """Return the step that a row tells of: an hour's, or a lot's as it is now."""
    return Step(
        asset_id=row["asset_id"],
        hour_s=row.get("hour_s", 0),
        sums=Sums(
            bought_micros=row["bought_micros"],
            sold_micros=row["sold_micros"],
            payout_micros=row["payout_micros"],
            fee_micros=row["fee_micros"],
            realised_micros=row["realised_micros"],
        ),
        shares_micros=row["shares_micros"],
        cost_micros=row["cost_micros"],
    )


def point(of: Point, drawdown: int | None) -> Fields:
    """Return a point as fields of the contract."""
    return {
        "at": instant(of.at_s),
        "bought": to_text(of.sums.bought_micros),
        "sold": to_text(of.sums.sold_micros),
        "payouts": to_text(of.sums.payout_micros),
        "fees": to_text(of.sums.fee_micros),
        "realised": to_text(of.sums.realised_micros),
        "open_cost": to_text(of.open_cost_micros),
        "marked": _text(of.marked_micros),
        "equity": _text(of.equity_micros),
        "drawdown": _text(drawdown),
    }


def _text(micros: int | None) -> str | None:
    return None if micros is None else to_text(micros)
