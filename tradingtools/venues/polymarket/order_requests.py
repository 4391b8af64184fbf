"""Private requests to the CLOB, as values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from tradingtools.venues.polymarket.order_index import PreparedOrder
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.trading import RestingTime

FIRST_PAGE = "MA=="
LAST_PAGE = "LTE="
MAX_CANCELS = 40
"""Ids in one request: it counts for as many cancels, and has to fit the signer's limit whole."""

_ORDER_TYPES = {
    RestingTime.GTC: "GTC",
    RestingTime.GTD: "GTD",
    RestingTime.IOC: "FAK",
    RestingTime.FOK: "FOK",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobRequest:
    """One request; the query is not part of what is signed, the body is."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""

    @property
    def target(self) -> str:
        """Return path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def place(
    prepared: PreparedOrder,
    signature: str,
    *,
    api_key: str,
    time_in_force: RestingTime,
    post_only: bool,
) -> ClobRequest:
    """Return the request that places a signed order."""
    order = prepared.order
    body: dict[str, object] = {
        "deferExec": False,
        "order": {
            "salt": order.salt,
            "maker": order.maker,
            "signer": order.signer,
            "tokenId": order.asset_id,
            "makerAmount": str(order.maker_amount),
            "takerAmount": str(order.taker_amount),
            "side": order.side,
            "expiration": str(prepared.expiration_s),
            "signatureType": int(order.signature_type),
            "timestamp": str(order.timestamp_ms),
            "metadata": order.metadata,
            "builder": order.builder,
            "signature": signature,
        },
        "orderType": _ORDER_TYPES[time_in_force],
        "owner": api_key,
    }
    if post_only:
        body["postOnly"] = True
    return ClobRequest(method="POST", path="/order", body=msgspec.json.encode(body))


def cancel(venue_order_id: str) -> ClobRequest:
    """Return the request that ends one order."""
    body = msgspec.json.encode({"orderID": venue_order_id})
    return ClobRequest(method="DELETE", path="/order", body=body)


def cancel_many(venue_order_ids: Sequence[str]) -> ClobRequest:
    """Return the request that ends several orders, at most `MAX_CANCELS`."""
    body = msgspec.json.encode(list(venue_order_ids))
    return ClobRequest(method="DELETE", path="/orders", body=body)


def cancel_market(condition_id: str, asset_id: str = "") -> ClobRequest:
    """Return the request that ends all of a wallet's orders in a market, or of one asset of it."""
    desired = {"market": condition_id} | ({"asset_id": asset_id} if asset_id else {})
    body = msgspec.json.encode(desired)
    return ClobRequest(method="DELETE", path="/cancel-market-orders", body=body)


def order(venue_order_id: str) -> ClobRequest:
    """Return the question for one order."""
    return ClobRequest(method="GET", path=f"/data/order/{venue_order_id}")


def open_orders(cursor: str = FIRST_PAGE) -> ClobRequest:
    """Return the question for a page of resting orders."""
    return ClobRequest(method="GET", path="/data/orders", query=urlencode({"next_cursor": cursor}))


def trades(wallet: str, *, after_s: int, cursor: str = FIRST_PAGE) -> ClobRequest:
    """Return the question for a page of the wallet's trades since an instant."""
    query = {"maker_address": wallet, "after": str(after_s), "next_cursor": cursor}
    return ClobRequest(method="GET", path="/data/trades", query=urlencode(query))


def heartbeat(last: str) -> ClobRequest:
    """Return a heartbeat that names the one before; the first names none."""
    body = msgspec.json.encode({"heartbeat_id": last})
    return ClobRequest(method="POST", path="/v1/heartbeats", body=body)


def balance(signature_type: SignatureType) -> ClobRequest:
    """Return the question for the wallet's USDC."""
    query = {"asset_type": "COLLATERAL", "signature_type": str(int(signature_type))}
    return ClobRequest(method="GET", path="/balance-allowance", query=urlencode(query))


def subscribe(*, api_key: str, secret: str, passphrase: str) -> str:
    """Return the first frame of the user channel: everything of the wallet, in every market."""
    auth = {"apiKey": api_key, "secret": secret, "passphrase": passphrase}
    return msgspec.json.encode({"type": "user", "auth": auth}).decode()
