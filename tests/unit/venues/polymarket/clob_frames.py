"""Rows, frames and answers in the shape that the CLOB documents; every value is invented here.

Each function returns a fresh row; a test changes a field of it by `row | {field: value}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from uuid import UUID

from eth_utils.address import to_checksum_address

Row = dict[str, object]


def word(name: str) -> str:
    """Return 32 bytes in hex that stand for a name: an order, a condition, a transaction."""
    return "0x" + sha256(name.encode()).hexdigest()


def asset(name: str) -> str:
    """Return an asset id in decimal digits."""
    return str(int(word(name), 16))


def address(name: str) -> str:
    """Return a wallet with its checksum."""
    return to_checksum_address(word(name)[:42])


def api_key(name: str) -> str:
    """Return an API key, which rows name their owner by."""
    return str(UUID(word(name)[2:34]))


CONDITION = word("condition")
YES, NO = asset("yes"), asset("no")
ASSETS = {"Yes": YES, "No": NO}


# The user channel.


def order_frame(order: str, event: str, status: str, **changes: object) -> Row:
    """Return a frame about our order to buy 8 shares of Yes at 0.637."""
    return {
        "asset_id": YES,
        "associate_trades": None,
        "created_at": "1769904000",
        "event_type": "order",
        "expiration": "0",
        "id": word(order),
        "maker_address": address("us"),
        "market": CONDITION,
        "order_owner": api_key("us"),
        "order_type": "GTC",
        "original_size": "8",
        "outcome": "Yes",
        "owner": api_key("us"),
        "price": "0.637",
        "side": "BUY",
        "size_matched": "0",
        "status": status,
        "timestamp": "1769904000417",
        "type": event,
    } | changes


# Some frames write times in ms, no expiration, and sizes with a decimal point.
_IN_MS: Mapping[str, object] = {
    "created_at": "1769904000000",
    "expiration": None,
    "original_size": "80.0",
    "price": "0.25",
}


def placed() -> Row:
    return order_frame("placed", "PLACEMENT", "LIVE")


def partly_matched() -> Row:
    return order_frame(
        "rests", "UPDATE", "LIVE", size_matched="30.0", associate_trades=[word("t1")], **_IN_MS
    )


def matched() -> Row:
    return order_frame(
        "rests", "UPDATE", "MATCHED", size_matched="80.0", associate_trades=[word("t1")], **_IN_MS
    )


def cancelled() -> Row:
    """Return the cancellation that we asked for."""
    return order_frame("rests", "CANCELLATION", "CANCELED", size_matched="0.0", **_IN_MS)


def cancelled_by_venue() -> Row:
    return order_frame("invalid", "CANCELLATION", "INVALID", associate_trades=[])


def cancelled_when_filled() -> Row:
    """Return the cancellation of an order of which nothing was left."""
    return order_frame("sold", "CANCELLATION", "CANCELED", side="SELL", size_matched="8")


def fok_killed() -> Row:
    """Return the end of a FOK order that was never matched: what was not known of it is empty."""
    why = "order couldn't be fully filled. FOK orders are fully filled or killed."
    return order_frame(
        "killed",
        "CANCELLATION",
        f"CANCELED_{why}",
        associate_trades=[],
        created_at="",
        order_type="FOK",
        outcome="",
        size_matched="",
    )


def maker(order: str, owner: str, outcome: str, amount: str, price: str, side: str = "") -> Row:
    """Return a maker's part of a trade; old rows do not say its side."""
    row: Row = {
        "asset_id": ASSETS[outcome],
        "fee_rate_bps": "0",
        "maker_address": address(owner),
        "matched_amount": amount,
        "order_id": word(order),
        "outcome": outcome,
        "owner": api_key(owner),
        "price": price,
    }
    return row | {"side": side} if side else row


def trade_frame(
    makers: Sequence[Row],
    *,
    taker: str,
    side: str,
    size: str,
    price: str,
    outcome: str = "Yes",
    status: str = "CONFIRMED",
    reported_as: str = "MAKER",
) -> Row:
    """Return a frame about a trade of a taker's order with those of the makers."""
    return {
        "asset_id": ASSETS[outcome],
        "bucket_index": 0,
        "event_type": "trade",
        "fee_rate_bps": "0",
        "id": str(UUID(word(f"trade of {taker}")[2:34])),
        "last_update": "1769904077",
        "maker_address": address(taker),
        "maker_orders": list(makers),
        "market": CONDITION,
        "match_time": "1769904061",
        "outcome": outcome,
        "owner": api_key(taker),
        "price": price,
        "side": side,
        "size": size,
        "status": status,
        "taker_order_id": word(f"order of {taker}"),
        "timestamp": "1769904077305",
        "trade_owner": api_key(taker),
        "trader_side": reported_as,
        "transaction_hash": word(f"transaction of {taker}"),
        "type": "TRADE",
    }


def match_of_both_outcomes() -> Row:
    """Return a buyer of Yes who meets a buyer of No and three sellers of Yes; no side is said."""
    makers = [
        maker("no", "buyer of no", "No", "12", "0.363"),
        maker("yes 1", "seller", "Yes", "150.25", "0.637"),
        maker("yes 2", "us", "Yes", "8", "0.637"),
        maker("yes 3", "another seller", "Yes", "31.5", "0.637"),
    ]
    return trade_frame(
        makers, taker="taker", side="BUY", size="201.75", price="0.637", status="MINED"
    )


def match_as_taker() -> Row:
    makers = [maker("yes 1", "seller", "Yes", "8", "0.64")]
    return trade_frame(
        makers,
        taker="us",
        side="BUY",
        size="8",
        price="0.64",
        status="MATCHED",
        reported_as="TAKER",
    )


def match_as_maker_of_the_other_outcome() -> Row:
    """Return a buyer of No who meets us, a buyer of Yes; the side is said."""
    makers = [maker("placed", "us", "Yes", "8", "0.637", "BUY")]
    return trade_frame(makers, taker="taker", side="BUY", size="8", price="0.363", outcome="No")


def match_of_three_prices() -> Row:
    """Return a seller who meets three buyers at 0.45, 0.40 and 0.30; two of them are us."""
    makers = [
        maker("high", "us", "Yes", "10", "0.45", "BUY"),
        maker("middle", "buyer", "Yes", "4", "0.4", "BUY"),
        maker("low", "us", "Yes", "6", "0.3", "BUY"),
    ]
    return trade_frame(makers, taker="taker", side="SELL", size="20", price="0.45")


# The market channel.


def book(asset_id: str) -> Row:
    return {
        "event_type": "book",
        "market": CONDITION,
        "asset_id": asset_id,
        "bids": [{"price": "0.62", "size": "310.0"}, {"price": "0.60", "size": "45.5"}],
        "asks": [{"price": "0.64", "size": "120.0"}, {"price": "0.67", "size": "900.0"}],
        "timestamp": "1769904000000",
    }


def price_change(asset_id: str) -> Row:
    change = {
        "asset_id": asset_id,
        "price": "0.63",
        "side": "BUY",
        "size": "75.0",
        "hash": word("book")[:42],
        "best_bid": "0.63",
        "best_ask": "0.64",
    }
    return {
        "event_type": "price_change",
        "market": CONDITION,
        "price_changes": [change],
        "timestamp": "1769904001000",
    }


def tick_size_change(asset_id: str) -> Row:
    return {
        "asset_id": asset_id,
        "event_type": "tick_size_change",
        "market": CONDITION,
        "new_tick_size": "0.001",
        "old_tick_size": "0.01",
        "timestamp": "1769904002000",
    }


# Answers of REST.


def open_order() -> Row:
    """Return our order to buy 80 shares at 0.25, of which 30 are matched."""
    return {
        "associate_trades": [word("t1")],
        "id": word("rests"),
        "status": "LIVE",
        "market": CONDITION,
        "original_size": "80.0000",
        "outcome": "Yes",
        "maker_address": address("us").lower(),
        "owner": api_key("us"),
        "price": "0.2500",
        "side": "BUY",
        "size_matched": "30.0000",
        "asset_id": YES,
        "expiration": None,
        "order_type": "GTC",
        "created_at": 1769904000,
    }


def filled_fok_order() -> Row:
    return open_order() | {
        "associate_trades": None,
        "id": word("fok"),
        "status": "MATCHED",
        "outcome": "No",
        "asset_id": NO,
        "side": "SELL",
        "size_matched": "80.0000",
        "expiration": "1769990400",
        "order_type": "FOK",
    }


def trade_row() -> Row:
    """Return a trade in which we bought 30 shares of two makers; one is only partly in it."""
    makers = [
        maker("yes 1", "seller", "Yes", "30.0000", "0.2500", "SELL"),
        maker("yes 2", "another seller", "Yes", "4.0000", "0.2500", "SELL"),
    ]
    frame = trade_frame(
        makers, taker="us", side="BUY", size="30.0000", price="0.2500", reported_as="TAKER"
    )
    left_out = ("event_type", "timestamp", "trade_owner", "type")
    return {name: value for name, value in frame.items() if name not in left_out} | {
        "match_time": "2026-02-01T00:00:00Z",
        "last_update": "2026-02-01T00:00:40Z",
    }


def order_taken(order: str) -> Row:
    """Return an answer that says no status, as some clients describe it."""
    return {"success": True, "orderID": word(order), "errorMsg": None}


def order_refused() -> Row:
    """Return a refusal in words that the venue is not known to use."""
    return {"success": False, "orderID": None, "errorMsg": "Insufficient balance"}


def fault() -> Row:
    return {"error": "Internal server error"}


def cancels(*done: str, ended: Sequence[str] = ()) -> Row:
    """Return the answer to a cancel of orders that were open, and of others that had ended."""
    why = "already canceled or matched"
    return {
        "canceled": [word(order) for order in done],
        "not_canceled": {word(order): why for order in ended},
    }


def balance(micros: int) -> Row:
    return {"balance": str(micros), "allowance": str(10**15)}
