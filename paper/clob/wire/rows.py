"""Orders and trades, by REST and on the user channel. Numbers are text."""

from __future__ import annotations

from paper.clob.core.amounts import price_text, text
from paper.clob.core.values import Happened, Leg, Order, Trade

Json = dict[str, object]


def order_row(order: Order) -> Json:
    """Return an order as `/data/order` and `/data/orders` have it."""
    return {
        "id": order.id,
        "status": order.status,
        "owner": order.owner,
        "maker_address": order.wallet,
        "market": order.market.condition,
        "asset_id": order.asset,
        "side": order.side,
        "original_size": text(order.size),
        "size_matched": text(order.matched),
        "price": price_text(order.price),
        "outcome": order.market.outcomes[order.index],
        "expiration": _expiration(order),
        "order_type": order.kind,
        "associate_trades": list(order.trades),
        "created_at": order.created_ms // 1000,
    }


def order_frame(order: Order, what: Happened, now_ms: int) -> Json:
    """Return an order as the user channel tells it."""
    return {
        "event_type": "order",
        "type": what,
        "id": order.id,
        "owner": order.owner,
        "order_owner": order.owner,
        "maker_address": order.wallet,
        "market": order.market.condition,
        "asset_id": order.asset,
        "side": order.side,
        "original_size": text(order.size),
        "size_matched": text(order.matched),
        "price": price_text(order.price),
        "outcome": order.market.outcomes[order.index],
        "associate_trades": list(order.trades) or None,
        "status": order.status,
        "order_type": order.kind,
        "created_at": str(order.created_ms // 1000),
        "expiration": _expiration(order),
        "timestamp": str(now_ms),
    }


def placed(order: Order, making: int, taking: int, trades: tuple[str, ...]) -> Json:
    """Return the answer to a place that was taken."""
    status = "delayed" if order.status == "DELAYED" else "matched" if trades else "live"
    return {
        "success": True,
        "errorMsg": "",
        "orderID": order.id,
        "takingAmount": text(taking) if trades else "",
        "makingAmount": text(making) if trades else "",
        "status": status,
        "tradeIDs": list(trades),
        "transactionsHashes": [],
    }


def trade_row(trade: Trade, key_wallets: set[str]) -> Json:
    """Return a trade as `/data/trades` has it, for the owner of some wallets."""
    row = _trade(trade, key_wallets)
    return row | {
        "status": f"TRADE_STATUS_{trade.status}",
        "match_time": str(trade.matched_ms // 1000),
        "last_update": str(trade.updated_ms // 1000),
    }


def trade_frame(trade: Trade, key_wallets: set[str], owner: str) -> Json:
    """Return a trade as the user channel tells it to the owner of some wallets."""
    row = _trade(trade, key_wallets)
    return row | {
        "event_type": "trade",
        "type": "TRADE",
        "trade_owner": owner,
        "status": trade.status,
        "match_time": str(trade.matched_ms // 1000),
        "last_update": str(trade.updated_ms // 1000),
        "timestamp": str(trade.updated_ms),
    }


def _trade(trade: Trade, key_wallets: set[str]) -> Json:
    taker = trade.taker
    mined = trade.status in ("MINED", "CONFIRMED")
    return {
        "id": trade.id,
        "taker_order_id": taker.order_id,
        "market": trade.market.condition,
        "asset_id": taker.asset,
        "side": taker.side,
        "size": text(taker.size),
        "fee_rate_bps": str(trade.market.fee_bps),
        "price": price_text(taker.price),
        "outcome": _outcome(trade, taker),
        "bucket_index": 0,
        "owner": taker.owner,
        "maker_address": taker.wallet,
        "transaction_hash": trade.tx if mined else "",
        "maker_orders": [_maker(trade, leg) for leg in trade.makers],
        "trader_side": "TAKER" if taker.wallet in key_wallets else "MAKER",
    }


def _maker(trade: Trade, leg: Leg) -> Json:
    return {
        "order_id": leg.order_id,
        "owner": leg.owner,
        "maker_address": leg.wallet,
        "matched_amount": text(leg.size),
        "price": price_text(leg.price),
        "fee_rate_bps": "0",
        "asset_id": leg.asset,
        "outcome": _outcome(trade, leg),
        "outcome_index": trade.market.assets.index(leg.asset),
        "side": leg.side,
    }


def _outcome(trade: Trade, leg: Leg) -> str:
    return trade.market.outcomes[trade.market.assets.index(leg.asset)]


def _expiration(order: Order) -> str:
    # As it was signed up: a minute after the order really ends.
    return "0" if order.expires_ms is None else str(order.expires_ms // 1000 + 60)
