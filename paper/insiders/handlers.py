"""The routes of `docs/insiders-api.yaml`: from a call to an answer, one function each.

The server calls them; they check what is in the path or the header and ask the exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from paper.insiders.core.amounts import format_amount
from paper.insiders.core.faults import Route
from paper.insiders.core.model import KeyedRequest, Order, Rejection, Side
from paper.insiders.core.requests import invalid, parse_key, parse_proxy
from paper.insiders.exchange import Exchange, Voided
from paper.insiders.redemption import Redeemer
from paper.insiders.server import Call, Handler
from paper.insiders.wire import (
    Answer,
    Json,
    show_capabilities,
    show_error,
    show_order,
    show_positions,
    show_redemption,
    show_time,
    show_voided_order,
)


class Handlers:
    """The public routes over the exchange; `now_ms` is the wall clock in ms since the epoch."""

    def __init__(
        self, *, exchange: Exchange, redeemer: Redeemer, now_ms: Callable[[], int]
    ) -> None:
        self._exchange = exchange
        self._redeemer = redeemer
        self._now_ms = now_ms

    def routes(self) -> list[tuple[str, str, Route, Handler]]:
        """(method, path, route as faults name it, handler) of each."""
        by_key = "/api/trade/orders/by-key/{key}"
        return [
            ("POST", "/api/trade/buy", "buy", partial(self._place, side="BUY")),
            ("POST", "/api/trade/sell", "sell", partial(self._place, side="SELL")),
            ("GET", by_key, "get", self._by_key),
            ("POST", f"{by_key}/void", "void", self._void),
            ("POST", "/api/trade/redeem", "redeem", self._redeem),
            ("GET", "/api/wallets/{proxy}/balance", "wallet", self._balance),
            ("GET", "/api/wallets/{proxy}/positions", "wallet", self._positions),
            ("GET", "/api/capabilities", "capabilities", self._capabilities),
        ]

    async def _place(self, call: Call, side: Side) -> Answer:
        order, replay = await self._exchange.place(self._asking(call), side)
        return _keyed(show_order(order), replay=replay)

    async def _redeem(self, call: Call) -> Answer:
        done, replay = await self._redeemer.redeem(
            self._asking(call), idempotency=self._exchange.capabilities.idempotency
        )
        return _keyed(show_redemption(done), replay=replay)

    def _asking(self, call: Call) -> KeyedRequest:
        longest_ms = self._exchange.rules.longest_ms
        return KeyedRequest(
            journal_id=call.journal_id,
            key=parse_key(call.key, field="Idempotency-Key"),
            body=call.body,
            body_sha256=call.body_sha256,
            give_up_ms=None if call.late else call.arrived_ms + longest_ms,
            settlement=call.plan.settlement,
            balance_lag=call.plan.balance_lag,
        )

    async def _by_key(self, call: Call) -> Answer:
        key = parse_key(call.match["key"], field="key")
        found = await self._exchange.by_key(key)
        if found is None:
            raise Rejection(404, "ORDER_NOT_FOUND", "no order has this key")
        if isinstance(found, Voided):
            return Answer(payload=show_voided_order(key))
        return Answer(payload=show_order(found))

    async def _void(self, call: Call) -> Answer:
        key = parse_key(call.match["key"], field="key")
        found = await self._exchange.void(key)
        if isinstance(found, Order):
            error = show_error("KEY_USED", "the key was used by an accepted order")
            return Answer(status=409, payload={**error, "order": show_order(found)})
        return Answer(payload={"idempotencyKey": key, "status": "VOIDED"})

    async def _balance(self, call: Call) -> Answer:
        proxy = _proxy(call)
        cash = await self._exchange.cash(proxy)
        return Answer(
            payload={"followerProxy": proxy, "cash": format_amount(cash), "asOf": self._as_of()}
        )

    async def _positions(self, call: Call) -> Answer:
        proxy = _proxy(call)
        held = show_positions(await self._exchange.positions(proxy))
        return Answer(payload={"followerProxy": proxy, "positions": held, "asOf": self._as_of()})

    async def _capabilities(self, _: Call) -> Answer:
        switches = show_capabilities(self._exchange.capabilities)
        longest_ms = self._exchange.rules.longest_ms
        return Answer(payload={**switches, "longestProcessingMs": longest_ms})

    def _as_of(self) -> str:
        return show_time(self._now_ms())


def _keyed(payload: Json, *, replay: bool) -> Answer:
    return Answer(payload=payload, headers={"Idempotent-Replay": "true"} if replay else {})


def _proxy(call: Call) -> str:
    try:
        return parse_proxy(call.match["proxy"])
    except ValueError as error:
        raise invalid("followerProxy", str(error)) from None
