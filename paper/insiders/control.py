"""The control port: read the journal and the state, switch capabilities, set books, make faults.

It listens on loopback only and is not part of the contract; tests, the launcher and whoever
judges the engine use it. Errors have the shape of the public port.

| route | what |
|---|---|
| GET /journal?after=N&limit=M | entries with an id above N, in order: `{"entries", "last"}` |
| GET /state | orders, balances with positions, redemptions, counts, orders per key above 1 |
| GET, PUT /capabilities | the four switches; those that are not named stay |
| GET, PUT, DELETE /books/{asset} | the book that overrides the source's |
| PUT /wallets/{proxy} | `{"cash", "mode": "open", "closed_only" or "forbidden"}` |
| POST /wallets/{proxy}/trades | its owner trades himself, at once, see below |
| GET, POST, DELETE /faults | list, add, clear |

A trade by hand is `{"side", "assetId", "conditionId", "size", "price"}`. It moves cash and shares
past the engine, or is refused as INSUFFICIENT_BALANCE; `GET /state` lists those that were made as
`handTrades`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from paper.insiders.books import parse_book, show_book
from paper.insiders.control_state import ControlState
from paper.insiders.core.admission import WalletMode
from paper.insiders.core.amounts import ONE, format_amount, parse_amount
from paper.insiders.core.faults import parse_fault, show_fault
from paper.insiders.core.model import Order, Rejection, Side
from paper.insiders.core.requests import (
    invalid,
    parse_asset,
    parse_condition,
    parse_fields,
    parse_object,
    parse_proxy,
)
from paper.insiders.store import Store
from paper.insiders.tables import hand_trades, journal, keys, orders, wallets
from paper.insiders.wire import (
    Answer,
    Json,
    parse_capabilities,
    refuse,
    show_capabilities,
    show_order,
    show_positions,
    show_redemption,
)

_LONGEST_PAGE = 10_000
_MODES = ("open", "closed_only", "forbidden")

ControlHandler = Callable[[web.Request], Awaitable[Answer]]


class Control:
    """The routes of the control port."""

    def __init__(
        self, *, store: Store, reported: ControlState, default_cash: int, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._default_cash = default_cash
        self._now_ms = now_ms
        self._reported = reported
        self._last_fault = 0

    def application(self) -> web.Application:
        """The aiohttp application."""
        self._last_fault = max((fault.fault_id for fault in self._reported.faults), default=0)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        routes: list[tuple[str, str, ControlHandler]] = [
            ("GET", "/health", self._health),
            ("GET", "/journal", self._journal),
            ("GET", "/state", self._state),
            ("GET", "/capabilities", self._capabilities),
            ("PUT", "/capabilities", self._put_capabilities),
            ("GET", "/books/{asset}", self._book),
            ("PUT", "/books/{asset}", self._put_book),
            ("DELETE", "/books/{asset}", self._delete_book),
            ("PUT", "/wallets/{proxy}", self._put_wallet),
            ("POST", "/wallets/{proxy}/trades", self._trade),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._post_fault),
            ("DELETE", "/faults", self._delete_faults),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, _served(handler))
        return app

    async def _health(self, _: web.Request) -> Answer:
        return Answer(payload={"status": "ok"})

    async def _journal(self, request: web.Request) -> Answer:
        after = _query_int(request, "after", default=0, high=2**62)
        limit = _query_int(request, "limit", default=1000, high=_LONGEST_PAGE)
        entries = await self._store.run(lambda db: journal.page(db, after=after, limit=limit))
        last = entries[-1]["id"] if entries else after
        return Answer(payload={"entries": entries, "last": last})

    async def _state(self, _: web.Request) -> Answer:
        state = await self._store.run(_read_state)
        return Answer(
            payload={**state, "capabilities": show_capabilities(self._reported.capabilities)}
        )

    async def _capabilities(self, _: web.Request) -> Answer:
        return Answer(payload=show_capabilities(self._reported.capabilities))

    async def _put_capabilities(self, request: web.Request) -> Answer:
        given = parse_object(await request.read())
        await self._reported.set_capabilities(
            parse_capabilities(given, self._reported.capabilities)
        )
        return await self._capabilities(request)

    async def _book(self, request: web.Request) -> Answer:
        book = self._reported.book(_asset(request))
        if book is None:
            raise Rejection(404, "NOT_FOUND", "no book was told of this asset")
        return Answer(payload=show_book(book))

    async def _put_book(self, request: web.Request) -> Answer:
        book = parse_book(_asset(request), parse_object(await request.read()))
        await self._reported.set_book(book)
        return Answer(payload=show_book(book))

    async def _delete_book(self, request: web.Request) -> Answer:
        await self._reported.forget_book(_asset(request))
        return Answer(payload={})

    async def _put_wallet(self, request: web.Request) -> Answer:
        try:
            proxy = parse_proxy(request.match_info["proxy"])
        except ValueError as error:
            raise invalid("proxy", str(error)) from None
        fields = {"cash": parse_amount, "mode": _mode}
        values = parse_fields(parse_object(await request.read()), fields)
        cash, mode = cast(int, values["cash"]), cast(WalletMode, values["mode"])
        await self._store.run(lambda db: wallets.put_wallet(db, proxy, cash=cash, mode=mode))
        return Answer(payload={"followerProxy": proxy, "cash": format_amount(cash), "mode": mode})

    async def _trade(self, request: web.Request) -> Answer:
        try:
            proxy = parse_proxy(request.match_info["proxy"])
        except ValueError as error:
            raise invalid("proxy", str(error)) from None
        fields = {
            "side": _side,
            "assetId": parse_asset,
            "conditionId": parse_condition,
            "size": parse_amount,
            "price": parse_amount,
        }
        values = parse_fields(parse_object(await request.read()), fields)
        size, price = cast(int, values["size"]), cast(int, values["price"])
        if size == 0:
            raise invalid("size", "must be more than 0")
        if price > ONE:
            raise invalid("price", "must be at most 1")
        made = hand_trades.HandTrade(
            proxy=proxy,
            asset_id=cast(str, values["assetId"]),
            condition_id=cast(str, values["conditionId"]),
            side=cast(Side, values["side"]),
            size=size,
            price=price,
        )
        await self._store.run(
            lambda db: hand_trades.trade(
                db, made, default_cash=self._default_cash, now_ms=self._now_ms()
            )
        )
        return Answer(status=201, payload={"notional": format_amount(made.notional)})

    async def _faults(self, _: web.Request) -> Answer:
        return Answer(payload={"faults": [show_fault(fault) for fault in self._reported.faults]})

    async def _post_fault(self, request: web.Request) -> Answer:
        given = parse_object(await request.read())
        fault = parse_fault(given, fault_id=self._last_fault + 1)
        self._last_fault += 1
        await self._reported.set_faults((*self._reported.faults, fault))
        return Answer(status=201, payload=show_fault(fault))

    async def _delete_faults(self, request: web.Request) -> Answer:
        await self._reported.set_faults(())
        return await self._faults(request)


def _served(handler: ControlHandler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            answer = await handler(request)
        except Rejection as rejection:
            answer = refuse(rejection)
        return web.Response(status=answer.status, body=answer.body, content_type="application/json")

    return serve


def _read_state(db: sqlite3.Connection) -> Json:
    placed = orders.list_orders(db)
    redeemed = keys.list_redemptions(db)
    return {
        "orders": [_show_owned(order) for order in placed],
        "balances": [
            {
                "followerProxy": proxy,
                "cash": format_amount(cash),
                "mode": mode,
                "positions": show_positions(wallets.positions(db, proxy)),
            }
            for proxy, cash, mode in wallets.list_wallets(db)
        ],
        "redemptions": [show_redemption(done) for done in redeemed],
        "handTrades": hand_trades.list_hand_trades(db),
        "counts": {
            "orders": len(placed),
            "trades": sum(len(order.trades) for order in placed),
            "open": sum(order.status == "ACCEPTED" for order in placed),
            "redemptions": len(redeemed),
            "voids": keys.count_voids(db),
            "requests": journal.count(db),
        },
        "ordersPerKey": orders.keys_used_twice(db),
    }


def _show_owned(order: Order) -> Json:
    return {
        **show_order(order),
        "followerUserId": order.request.user_id,
        "followerWalletId": order.request.wallet_id,
        "bodySha256": order.body_sha256,
    }


def _asset(request: web.Request) -> str:
    try:
        return parse_asset(request.match_info["asset"])
    except ValueError as error:
        raise invalid("asset", str(error)) from None


def _mode(value: object) -> str:
    if isinstance(value, str) and value in _MODES:
        return value
    raise ValueError(f"must be one of {', '.join(_MODES)}")


def _side(value: object) -> str:
    if value in ("BUY", "SELL"):
        return str(value)
    raise ValueError("must be BUY or SELL")


def _query_int(request: web.Request, name: str, *, default: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:20]) > high:
        raise invalid(name, f"must be a whole number up to {high}")
    return int(text)
