"""Gamma's market object: some of its arrays are JSON inside a string, as on the real API."""

from __future__ import annotations

import msgspec

from paper.venue.core import amounts
from paper.venue.core.markets import MIN_ORDER_SIZE, Market
from paper.venue.wire.clob import Json, market_id
from paper.venue.wire.feed import icon, number

_REBATES = {"crypto": "0.2", "sports": "0.15"}


def market(of: Market, tick: int, prices: tuple[int, int], payouts: tuple[int, int] | None) -> Json:
    """`prices` in micros of each outcome; `payouts` when the market is resolved."""
    closed = payouts is not None
    return {
        "id": market_id(of),
        "version": "v1",
        "question": of.question,
        "conditionId": of.condition,
        "questionID": "0x" + of.condition[:1:-1],
        "slug": of.slug,
        "icon": icon(of),
        "category": of.category,
        "endDate": of.end_date,
        "gameStartTime": None,
        "outcomes": _inside(list(of.outcomes)),
        "outcomePrices": _inside([amounts.text(p) for p in payouts or prices]),
        "clobTokenIds": _inside(list(of.assets)),
        "positionIds": [],
        "active": True,
        "closed": closed,
        "acceptingOrders": not closed,
        "enableOrderBook": True,
        "negRisk": of.neg_risk,
        "secondsDelay": of.seconds_delay,
        "orderPriceMinTickSize": number(amounts.text(tick)),
        "orderMinSize": MIN_ORDER_SIZE,
        "feesEnabled": of.fee_bps > 0,
        "feeType": f"{of.category}_fees_v3" if of.fee_bps else None,
        "feeSchedule": {
            "exponent": 1,
            "rate": number(amounts.text(of.fee_bps * 100)),
            "takerOnly": True,
            "rebateRate": number(_REBATES.get(of.category, "0.25")),
        },
        "umaResolutionStatus": "resolved" if closed else None,
        "events": [{"id": market_id(of), "slug": of.event_slug, "title": of.question}],
    }


def _inside(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()
