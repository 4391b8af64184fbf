"""Private REST: API keys, orders, cancels, trades and balances."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from paper.clob.core import placement
from paper.clob.core.auth import ApiKey
from paper.clob.core.exchange import NO_BOOK
from paper.clob.core.values import Refusal
from paper.clob.server import authorized, refused, reply
from paper.clob.venue import Venue
from paper.clob.wire import rows

_MAX_ORDERS = 15
_MAX_CANCELS = 1_000
_PAGE = 100
_LAST = "LTE="
_T = TypeVar("_T")
_ALLOWANCE = str(2**256 - 1)


class _Cancel(msgspec.Struct, frozen=True):
    orderID: str


class _CancelMarket(msgspec.Struct, frozen=True):
    market: str = ""
    asset_id: str = ""


class _Heartbeat(msgspec.Struct, frozen=True):
    heartbeat_id: str | None = None


class OrderRest:
    """Routes of a wallet's own.

    Args:
        venue: the exchange.
        chain_id: that orders are signed for.
    """

    def __init__(self, venue: Venue, chain_id: int) -> None:
        self._venue = venue
        self._chain_id = chain_id

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.post("/auth/api-key", self._create_key),
            web.get("/auth/derive-api-key", self._derive_key),
            web.get("/auth/api-keys", self._keys),
            web.delete("/auth/api-key", self._drop_key),
            web.get("/auth/ban-status/closed-only", self._closed_only),
            web.post("/order", self._place),
            web.post("/orders", self._place_many),
            web.delete("/order", self._cancel),
            web.delete("/orders", self._cancel_many),
            web.delete("/cancel-all", self._cancel_all),
            web.delete("/cancel-market-orders", self._cancel_market),
            web.get("/data/order/{id}", self._order),
            web.get("/data/orders", self._orders),
            web.get("/data/trades", self._trades),
            web.get("/balance-allowance", self._balance),
            web.get("/balance-allowance/update", self._refresh),
            web.post("/v1/heartbeats", self._heartbeat),
        ]

    # Keys.

    async def _create_key(self, request: web.Request) -> web.Response:
        return self._key(request, create=True)

    async def _derive_key(self, request: web.Request) -> web.Response:
        return self._key(request, create=False)

    def _key(self, request: web.Request, *, create: bool) -> web.Response:
        address, nonce = self._venue.keys.l1(request.headers, self._venue.clock_ms())
        made = self._venue.keys.derive(address, nonce, create=create)
        return reply({"apiKey": made.key, "secret": made.secret, "passphrase": made.passphrase})

    async def _keys(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        return reply({"apiKeys": self._venue.keys.of(key.address)})

    async def _drop_key(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        self._venue.keys.drop(key.key)
        return reply("OK")

    async def _closed_only(self, request: web.Request) -> web.Response:
        await authorized(self._venue, request)
        return reply({"closed_only": False})

    # Orders.

    async def _place(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        self._venue.limits.take(key.address, "orders", 1, self._venue.clock_ms())
        return reply(self._take(placement.decode(await request.read()), key))

    async def _place_many(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        bodies = placement.decode_many(await request.read())
        if len(bodies) > _MAX_ORDERS:
            most = f"max allowed: {_MAX_ORDERS}"
            raise Refusal(f"Too many orders in payload: {len(bodies)}, {most}")
        self._venue.limits.take(key.address, "orders", len(bodies), self._venue.clock_ms())
        self._venue.exchange.phases.check(self._venue.now_ms())
        answers = []
        for body in bodies:
            try:
                answers.append(self._take(body, key))
            except Refusal as refusal:
                answers.append(_refused_in_batch(refusal))
        return reply(answers)

    def _take(self, body: placement.Body, key: ApiKey) -> rows.Json:
        venue = self._venue
        state = venue.exchange.state_of(body.order.token_id)
        if state is None:
            raise Refusal(NO_BOOK.format(body.order.token_id))
        placed = placement.verify(body, state.market, key, self._chain_id)
        if placed.wallet not in venue.wallets.of(key.address):
            raise Refusal("maker address not allowed, please use the deposit wallet flow")
        try:
            taken = venue.exchange.place(placed, key.key, venue.now_ms())
        finally:
            venue.publish()
        return rows.placed(taken.order, taken.making, taken.taking, taken.trades)

    async def _cancel(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        requested = _decoded(await request.read(), _Cancel)
        return self._ended(key, [requested.orderID])

    async def _cancel_many(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        requested = _decoded(await request.read(), list[str])
        if len(requested) > _MAX_CANCELS:
            raise Refusal(
                f"Too many orders in payload: {len(requested)}, max allowed: {_MAX_CANCELS}"
            )
        return self._ended(key, requested)

    async def _cancel_all(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        resting = self._venue.exchange.resting(self._venue.wallets.of(key.address))
        return self._ended(key, [order.id for order in resting])

    async def _cancel_market(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        requested = _decoded(await request.read(), _CancelMarket)
        if not (requested.market or requested.asset_id):
            raise Refusal("Invalid order payload")
        wallets = self._venue.wallets.of(key.address)
        found = self._venue.exchange.resting(wallets, requested.market, requested.asset_id)
        return self._ended(key, [order.id for order in found])

    def _ended(self, key: ApiKey, order_ids: Sequence[str]) -> web.Response:
        venue = self._venue
        cost = max(1, len(order_ids))
        venue.limits.take(key.address, "cancels", cost, venue.clock_ms())
        venue.exchange.phases.check(venue.now_ms())
        wallets = venue.wallets.of(key.address)
        reasons = {one: venue.exchange.cancel(one, wallets, venue.now_ms()) for one in order_ids}
        venue.publish()
        return reply(
            {
                "canceled": [one for one, reason in reasons.items() if reason is None],
                "not_canceled": {one: reason for one, reason in reasons.items() if reason},
            }
        )

    # Reading.

    async def _order(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        order = self._venue.exchange.orders.get(request.match_info["id"])
        if order is None or order.wallet not in self._venue.wallets.of(key.address):
            raise Refusal("order not found", 404)
        return reply(rows.order_row(order))

    async def _orders(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        query = request.query
        found = self._venue.exchange.resting(
            self._venue.wallets.of(key.address), query.get("market", ""), query.get("asset_id", "")
        )
        desired = query.get("id")
        listed = [rows.order_row(order) for order in found if desired in (None, order.id)]
        return _page(listed, request)

    async def _trades(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        query = request.query
        wallets = self._venue.wallets.of(key.address)
        after, before = int(query.get("after", "0")), int(query.get("before", str(1 << 40)))
        requested = query.get("maker_address", "").lower()
        found = [
            rows.trade_row(trade, wallets)
            for trade in reversed(self._venue.exchange.trades.values())
            if wallets & {leg.wallet for leg in trade.legs}
            and (not requested or requested in {leg.wallet for leg in trade.legs})
            and after <= trade.matched_ms // 1000 <= before
            and query.get("id") in (None, trade.id)
            and query.get("market") in (None, trade.market.condition)
            and query.get("asset_id") in (None, *(leg.asset for leg in trade.legs))
        ]
        return _page(found, request)

    async def _balance(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        query = request.query
        kind = max(0, int(query.get("signature_type", "0")))
        wallet = self._venue.wallets.of_type(key.address, kind)
        ledger = self._venue.exchange.ledger
        if query.get("asset_type") == "COLLATERAL":
            held = ledger.usdc[wallet]
        else:
            held = ledger.shares[wallet, query.get("token_id", "")]
        spenders = (placement.STANDARD, placement.NEG_RISK, placement.POSITIONS)
        return reply({"balance": str(held), "allowances": dict.fromkeys(spenders, _ALLOWANCE)})

    async def _refresh(self, request: web.Request) -> web.Response:
        await authorized(self._venue, request)
        return web.Response()

    async def _heartbeat(self, request: web.Request) -> web.Response:
        key = await authorized(self._venue, request)
        reported = _decoded(await request.read(), _Heartbeat).heartbeat_id or ""
        following = self._venue.heartbeats.beat(key.key, reported, self._venue.now_ms())
        return reply({"heartbeat_id": following})


def _refused_in_batch(refusal: Refusal) -> rows.Json:
    return {
        "success": True,
        "errorMsg": refusal.text,
        "orderID": "",
        "takingAmount": "",
        "makingAmount": "",
        "status": "",
        "tradeIDs": [],
        "transactionsHashes": [],
    }


def _decoded(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except placement.UNREADABLE:
        raise Refusal("Invalid order payload") from None


def _page(listed: Sequence[rows.Json], request: web.Request) -> web.Response:
    cursor = request.query.get("next_cursor", "")
    try:
        first = int(b64decode(cursor or "MA==", validate=True))
    except ValueError:
        return refused(Refusal("invalid next_cursor"))
    page = listed[first : first + _PAGE] if first >= 0 else []
    end = first + _PAGE
    following = b64encode(str(end).encode()).decode() if 0 <= end < len(listed) else _LAST
    return reply({"data": page, "next_cursor": following, "limit": _PAGE, "count": len(page)})
