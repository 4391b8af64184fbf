"""Rows of the Data API: v1 in camelCase; v2 in snake_case, with names and digits of its own.

v2's are those of polymarket-client 0.14.0 (`models/data`), whose models judge them in the tests.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

from paper.venue.core import amounts, rng
from paper.venue.core.ledger import PlayedRow
from paper.venue.core.markets import Market
from paper.venue.core.moves import Move
from paper.venue.core.positions import Holding
from paper.venue.wire.clob import Json, market_id
from paper.venue.wire.feed import icon, names, number

_TEN_PLACES = Decimal("1e-10")


def trade(row: PlayedRow) -> Json:
    """A row of v1 `/trades`: wallet in lower case, price and size in the digits of the feed."""
    name, pseudonym = names(row.trade.wallet)
    index = row.market.index(row.trade.asset)
    return {
        "proxyWallet": row.trade.wallet,
        "side": row.trade.side,
        "asset": row.trade.asset,
        "conditionId": row.trade.condition,
        "size": number(row.trade.size_text),
        "price": number(row.trade.price_text),
        "timestamp": row.timestamp_s,
        "title": row.market.question,
        "slug": row.market.slug,
        "icon": icon(row.market),
        "eventSlug": row.market.event_slug,
        "outcome": row.market.outcomes[index],
        "outcomeIndex": index,
        "name": name,
        "pseudonym": pseudonym,
        "bio": "",
        "profileImage": "",
        "profileImageOptimized": "",
        "transactionHash": row.trade.tx,
    }


def activity(row: PlayedRow | Move) -> Json:
    """A row of v1 `/activity`."""
    return _moved(row) if isinstance(row, Move) else _traded(row)


def _moved(move: Move) -> Json:
    """A movement; one of every outcome names no asset, as the real API does."""
    return {
        "proxyWallet": move.wallet,
        "timestamp": move.timestamp_s,
        "conditionId": move.market.condition,
        "type": move.kind,
        "size": number(amounts.text(move.size)),
        "usdcSize": number(amounts.text(move.paid)),
        "transactionHash": move.tx,
        "price": 0,
        "asset": move.asset,
        "side": "",
        "outcomeIndex": move.market.index(move.asset) if move.asset else 999,
        "title": move.market.question,
        "slug": move.market.slug,
        "icon": icon(move.market),
        "eventSlug": move.market.event_slug,
        "outcome": move.market.outcomes[move.market.index(move.asset)] if move.asset else "",
    }


def _traded(row: PlayedRow) -> Json:
    notional = row.trade.size * row.trade.price // amounts.ONE
    return trade(row) | {"type": "TRADE", "usdcSize": number(amounts.text(notional))}


def position(
    wallet: str, market: Market, asset: str, held: Holding, mid: int, *, resolved: bool
) -> Json:
    """A row of v1 `/positions`; `mid` is the current price of the asset in micros."""
    index = market.index(asset)
    value = held.size * mid // amounts.ONE
    pnl = value - held.cost
    return {
        "proxyWallet": wallet,
        "asset": asset,
        "conditionId": market.condition,
        "size": number(amounts.text(held.size)),
        "avgPrice": number(_ratio(held.cost, held.size)),
        "initialValue": number(amounts.text(held.cost)),
        "currentValue": number(amounts.text(value)),
        "cashPnl": number(amounts.text(pnl)),
        "percentPnl": number(_ratio(100 * pnl, held.cost)),
        "totalBought": number(amounts.text(held.bought)),
        "realizedPnl": number(amounts.text(held.realized)),
        "percentRealizedPnl": number(_ratio(100 * held.realized, held.cost)),
        "curPrice": number(amounts.text(mid)),
        "redeemable": resolved,
        "mergeable": False,
        "title": market.question,
        "slug": market.slug,
        "icon": icon(market),
        "eventId": market_id(market),
        "eventSlug": market.event_slug,
        "outcome": market.outcomes[index],
        "outcomeIndex": index,
        "oppositeOutcome": market.outcomes[1 - index],
        "oppositeAsset": market.assets[1 - index],
        "endDate": market.end_date[:10],
        "negativeRisk": market.neg_risk,
    }


def trade_v2(row: PlayedRow) -> Json:
    """A row of `/v2/trades`; one in ten has lost its labels, as real rows have."""
    body = _snake(trade(row)) | {"price": number(_averaged(row.trade.price_text))}
    if rng.hits(rng.key("unlabelled", row.seq), 100):
        body |= {"outcome": "", "outcome_index": 999, "event_slug": "", "icon": ""}
    return body


def activity_v2(row: PlayedRow | Move) -> Json:
    """A row of `/v2/activity`."""
    if isinstance(row, Move):
        return _snake(_moved(row))
    return _snake(_traded(row)) | trade_v2(row)


def position_v2(
    wallet: str, market: Market, asset: str, held: Holding, mid: int, *, status: str
) -> Json:
    """A row of `/v2/positions`; `mid` is the current price of the asset in micros."""
    first = position(wallet, market, asset, held, mid, resolved=status != "OPEN")
    value = held.size * mid // amounts.ONE
    pnl = value - held.cost
    gained = pnl + held.realized
    names = ("proxy_wallet", "token_id", "condition_id", "avg_price", "current_value")
    described = (
        *("realized_pnl", "percent_pnl", "percent_realized_pnl", "redeemable", "mergeable"),
        *("negative_risk", "title", "slug", "icon", "event_id", "event_slug", "outcome"),
        *("outcome_index", "opposite_outcome", "end_date"),
    )
    renamed = _snake(first)
    return {
        **{name: renamed[name] for name in names + described},
        "opposite_token_id": renamed["opposite_asset"],
        "current_size": number(amounts.text(held.size)),
        "total_size": number(amounts.text(held.bought)),
        "entry_cost_usdc": number(amounts.text(held.cost)),
        "entry_fees_usdc": 0,
        "total_cost_usdc": number(amounts.text(held.cost)),
        "current_price": number(amounts.text(mid)),
        "unrealized_pnl": number(amounts.text(pnl)),
        "total_pnl": number(amounts.text(gained)),
        "status": status,
        "archived": False,
        "verified": False,
        "name": "",
        "profile_image": "",
    }


def _snake(body: Json) -> Json:
    """The same object with v2's names."""
    renamed = {re.sub(r"(?=[A-Z])", "_", name).lower(): value for name, value in body.items()}
    if "asset" in renamed:
        renamed["token_id"] = renamed.pop("asset")
    return renamed


def _averaged(text: str) -> str:
    """A price with at most ten decimals: v2's averages have no more, the feed's have sixteen."""
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        return format(Decimal(text).quantize(_TEN_PLACES).normalize(), "f")


def _ratio(part: int, whole: int) -> str:
    """part / whole with the many digits of the real API; 0 when there is no whole."""
    if not whole:
        return "0"
    with localcontext() as context:
        context.prec = 16
        return format(Decimal(part) / whole, "f")
