"""Books and markets, by REST and on the market channel, and what Gamma and the Data API add."""

from __future__ import annotations

from hashlib import sha1

import msgspec

from paper.clob.core.amounts import price_text, text
from paper.clob.core.markets import MarketState
from paper.clob.core.values import WHOLE, Market

Json = dict[str, object]
Ladder = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def book(state: MarketState, index: int) -> Json:
    """Return the book of an outcome; the best level is last on both sides."""
    bids, asks = state.ladder(index)
    market = state.market
    return {
        "market": market.condition,
        "asset_id": market.assets[index],
        "timestamp": str(state.changed_ms),
        "hash": digest(market.assets[index], (bids, asks)),
        "bids": [_level(*level) for level in reversed(bids)],
        "asks": [_level(*level) for level in reversed(asks)],
        "min_order_size": text(market.min_size),
        "tick_size": price_text(market.tick),
        "neg_risk": market.neg_risk,
        "last_trade_price": last_price(state, index),
    }


def digest(asset: str, ladder: Ladder) -> str:
    """Return a hash of a book, which changes with it."""
    return sha1(f"{asset}{ladder}".encode(), usedforsecurity=False).hexdigest()


def last_price(state: MarketState, index: int) -> str:
    """Return the last price of an outcome, 0.5 before the first trade."""
    if state.last_price is None:
        return "0.5"
    return price_text(state.last_price if index == 0 else WHOLE - state.last_price)


def price_change(state: MarketState, before: Ladder, after: Ladder, now_ms: int) -> Json | None:
    """Return the frame that turns the first outcome's book into another, for both outcomes."""
    changed = [
        (side, price, dict(new).get(price, 0))
        for side, old, new in (("BUY", before[0], after[0]), ("SELL", before[1], after[1]))
        for price in sorted(dict(old).keys() | dict(new).keys())
        if dict(old).get(price, 0) != dict(new).get(price, 0)
    ]
    if not changed:
        return None
    market = state.market
    bid = after[0][0][0] if after[0] else 0
    ask = after[1][0][0] if after[1] else WHOLE
    mirror = state.ladder(1)
    entries = []
    for side, price, size in changed:
        other = "SELL" if side == "BUY" else "BUY"
        first = _entry(market.assets[0], price, size, side, bid, ask)
        second = _entry(market.assets[1], WHOLE - price, size, other, WHOLE - ask, WHOLE - bid)
        entries += [
            first | {"hash": digest(market.assets[0], after)},
            second | {"hash": digest(market.assets[1], mirror)},
        ]
    return {
        "event_type": "price_change",
        "market": market.condition,
        "timestamp": str(now_ms),
        "price_changes": entries,
    }


def last_trade(market: Market, asset: str, side: str, price: int, size: int, tx: str) -> Json:
    """Return the frame of a trade, without its time."""
    return {
        "event_type": "last_trade_price",
        "market": market.condition,
        "asset_id": asset,
        "price": price_text(price),
        "size": text(size),
        "fee_rate_bps": str(market.fee_bps),
        "side": side,
        "transaction_hash": tx,
    }


def tick_size_change(market: Market, asset: str, old: int, now_ms: int) -> Json:
    """Return the frame of a new tick."""
    return {
        "event_type": "tick_size_change",
        "market": market.condition,
        "asset_id": asset,
        "old_tick_size": price_text(old),
        "new_tick_size": price_text(market.tick),
        "timestamp": str(now_ms),
    }


def market_resolved(market: Market, payouts: tuple[int, int], now_ms: int) -> Json:
    """Return the frame of a resolution; equal payouts have no winner."""
    winner = None if payouts[0] == payouts[1] else int(payouts[1] > payouts[0])
    return {
        "event_type": "market_resolved",
        "id": str(int(market.condition[2:10] or "0", 16)),
        "market": market.condition,
        "assets_ids": list(market.assets),
        "winning_asset_id": "" if winner is None else market.assets[winner],
        "winning_outcome": "" if winner is None else market.outcomes[winner],
        "timestamp": str(now_ms),
        "tags": [],
    }


def clob_market(market: Market) -> Json:
    """Return the answer of `/clob-markets`, with its short keys."""
    return {
        "gst": None if market.game_start_ms is None else market.game_start_ms // 1000,
        "t": [{"t": a, "o": o} for a, o in zip(market.assets, market.outcomes, strict=True)],
        "mos": _number(text(market.min_size)),
        "mts": _number(price_text(market.tick)),
        "mbf": 0,
        "tbf": market.fee_bps,
        "nr": market.neg_risk,
        "itode": market.seconds_delay > 0,
        "fd": {"r": _number(text(market.fee_bps * 100)), "e": 1, "to": True},
    }


def gamma_market(state: MarketState) -> Json:
    """Return Gamma's object of a market, some of whose lists are JSON inside a string."""
    market, payouts = state.market, state.payouts
    prices = ["0.5", "0.5"] if payouts is None else [text(payout) for payout in payouts]
    return {
        "id": str(int(market.condition[2:10] or "0", 16)),
        "version": "v1",
        "conditionId": market.condition,
        "question": market.question,
        "category": "other",
        "endDate": "2027-12-31T12:00:00Z",
        "closed": payouts is not None,
        "active": True,
        "acceptingOrders": payouts is None,
        "enableOrderBook": True,
        "negRisk": market.neg_risk,
        "outcomes": _inside(list(market.outcomes)),
        "outcomePrices": _inside(prices),
        "clobTokenIds": _inside(list(market.assets)),
        "orderPriceMinTickSize": _number(price_text(market.tick)),
        "orderMinSize": _number(text(market.min_size)),
        "feesEnabled": market.fee_bps > 0,
        "feeSchedule": {"rate": _number(text(market.fee_bps * 100)), "exponent": 1},
        "umaResolutionStatus": "" if payouts is None else "resolved",
    }


def position(wallet: str, asset: str, size: int, market: Market) -> Json:
    """Return a row of the Data API's positions."""
    return {
        "proxy_wallet": wallet,
        "token_id": asset,
        "condition_id": market.condition,
        "current_size": text(size),
        "status": "OPEN",
    }


def _entry(asset: str, price: int, size: int, side: str, bid: int, ask: int) -> Json:
    return {
        "asset_id": asset,
        "price": price_text(price),
        "size": text(size),
        "side": side,
        "best_bid": price_text(bid),
        "best_ask": price_text(ask),
    }


def _level(price: int, size: int) -> Json:
    return {"price": price_text(price), "size": text(size)}


def _number(digits: str) -> msgspec.Raw:
    return msgspec.Raw(digits.encode())


def _inside(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()
