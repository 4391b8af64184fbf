"""Messages of the CLOB market channel and bodies of its REST: numbers are strings, times are ms."""

from __future__ import annotations

from collections.abc import Sequence

from paper.venue.core import amounts
from paper.venue.core.books import Book, Change, Level, digest, mirrored, mirrored_change
from paper.venue.core.markets import MIN_ORDER_SIZE, Market
from paper.venue.core.trade import Trade
from paper.venue.wire.feed import number

Json = dict[str, object]


def side_of(market: Market, asset: str, book: Book) -> Book:
    """The book of `asset`, given that of the market's asset 0."""
    return book if market.index(asset) == 0 else mirrored(book)


def book(market: Market, asset: str, of: Book, changed_ms: int, last_price: str) -> Json:
    """The first message after a subscription; `of` is the book of asset 0."""
    own = side_of(market, asset, of)
    return {
        "event_type": "book",
        "market": market.condition,
        "asset_id": asset,
        "timestamp": str(changed_ms),
        "hash": digest(asset, own),
        "bids": _levels(own.bids),
        "asks": _levels(own.asks),
        "tick_size": amounts.text(own.tick),
        "last_trade_price": last_price,
    }


def rest_book(market: Market, asset: str, of: Book, changed_ms: int, last_price: str) -> Json:
    """The answer of `/book`: as on the socket, with the market's limits."""
    body = book(market, asset, of, changed_ms, last_price)
    del body["event_type"]
    return body | {"min_order_size": str(MIN_ORDER_SIZE), "neg_risk": market.neg_risk}


def price_change(market: Market, changed: Sequence[Change], new: Book, changed_ms: int) -> Json:
    """All changes of one step, each told for both assets."""
    hashes = tuple(digest(asset, side_of(market, asset, new)) for asset in market.assets)
    entries = []
    for change in changed:
        entries.append(_entry(market.assets[0], change, hashes[0]))
        entries.append(_entry(market.assets[1], mirrored_change(change), hashes[1]))
    return {
        "event_type": "price_change",
        "market": market.condition,
        "timestamp": str(changed_ms),
        "price_changes": entries,
    }


def best_bid_ask(market: Market, asset: str, of: Book, now_ms: int) -> Json:
    """Sent to sockets with the custom flag when a best price moved."""
    own = side_of(market, asset, of)
    return {
        "event_type": "best_bid_ask",
        "market": market.condition,
        "asset_id": asset,
        "best_bid": amounts.text(own.best_bid),
        "best_ask": amounts.text(own.best_ask),
        "spread": amounts.text(own.best_ask - own.best_bid),
        "timestamp": str(now_ms),
    }


def tick_size_change(market: Market, asset: str, old: int, new: int, now_ms: int) -> Json:
    """Ticks in micros of price."""
    return {
        "event_type": "tick_size_change",
        "market": market.condition,
        "asset_id": asset,
        "old_tick_size": amounts.text(old),
        "new_tick_size": amounts.text(new),
        "timestamp": str(now_ms),
    }


def last_trade_price(market: Market, trade: Trade, now_ms: int) -> Json:
    """A trade as the market channel tells it: without the wallet."""
    return {
        "event_type": "last_trade_price",
        "market": market.condition,
        "asset_id": trade.asset,
        "price": trade.price_text,
        "size": trade.size_text,
        "fee_rate_bps": str(market.fee_bps),
        "side": trade.side,
        "timestamp": str(now_ms),
        "transaction_hash": trade.tx,
    }


def market_resolved(market: Market, payouts: tuple[int, int], now_ms: int) -> Json:
    """Payouts in micros a share; the greater one wins, nobody does when they are equal."""
    winner = None if payouts[0] == payouts[1] else int(payouts[1] > payouts[0])
    return {
        "event_type": "market_resolved",
        "id": market_id(market),
        "market": market.condition,
        "assets_ids": list(market.assets),
        "winning_asset_id": "" if winner is None else market.assets[winner],
        "winning_outcome": "" if winner is None else market.outcomes[winner],
        "timestamp": str(now_ms),
        "tags": [market.category],
    }


def clob_market(market: Market, tick: int) -> Json:
    """`/clob-markets/{condition}` with its short keys; `mts`, `mos` and `fd.r` are numbers."""
    return {
        "gst": None,
        "r": None,
        "t": [
            {"t": asset, "o": outcome}
            for asset, outcome in zip(market.assets, market.outcomes, strict=True)
        ],
        "mos": MIN_ORDER_SIZE,
        "mts": number(amounts.text(tick)),
        "mbf": 0,
        "tbf": market.fee_bps,
        "rfqe": False,
        "itode": market.seconds_delay > 0,
        "ibce": False,
        "fd": {"r": number(amounts.text(market.fee_bps * 100)), "e": 1, "to": True},
        "oas": 0,
    }


def market_id(market: Market) -> str:
    """The venue's short number of a market."""
    return str(int(market.condition[2:10], 16) % 9_000_000 + 1_000_000)


def _levels(levels: Sequence[Level]) -> list[Json]:
    return [
        {"price": amounts.text(level.price), "size": amounts.text(level.size)} for level in levels
    ]


def _entry(asset: str, change: Change, book_hash: str) -> Json:
    return {
        "asset_id": asset,
        "price": amounts.text(change.price),
        "size": amounts.text(change.size),
        "side": change.side,
        "hash": book_hash,
        "best_bid": amounts.text(change.best_bid),
        "best_ask": amounts.text(change.best_ask),
    }
