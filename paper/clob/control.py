"""The control port: what tests and operators tell the exchange. No part of what Polymarket serves.

Bodies are JSON; an unknown field is refused, because a misspelt wish must not look like a granted
one. Amounts and prices are decimal text.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import msgspec
from aiohttp import web

from paper.clob.core.amounts import micros, text
from paper.clob.core.markets import CENT_OF_SHARE, MarketState
from paper.clob.core.values import ONE, Market, Refusal, Side
from paper.clob.faults import Fault
from paper.clob.server import refused, reply
from paper.clob.venue import Venue

_T = TypeVar("_T")


class NewMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market to open."""

    condition: str
    assets: tuple[str, str]
    outcomes: tuple[str, str] = ("Yes", "No")
    question: str = "Does it?"
    tick: str = "0.01"
    min_size: str = "5"
    neg_risk: bool = False
    fee_bps: int = 0
    seconds_delay: int = 0
    game_start_ms: int | None = None


class Wallet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wallet's money: USDC that comes in, and USDC of it that becomes whole sets of a market."""

    wallet: str
    owner: str = ""
    signature_type: int = 0
    usdc: str = "0"
    sets: dict[str, str] = {}


class _RelayerKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str


class _Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: str
    side: Side
    price: str
    size: str


class _Tick(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: str
    tick: str


class _Resolve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: str
    payouts: tuple[str, str]
    redeems: bool = True
    """Every holder is paid; else each has to redeem."""


class _Wipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: str
    status: str = "CANCELED"


class _Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ms: int = 1_000
    post_only_ms: int = 120_000


class _Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: bool | None = None
    disabled: bool | None = None
    silent: bool | None = None
    frozen: bool | None = None
    jumbled: bool | None = None
    settles_ms: int | None = None
    fail_trades: int | None = None
    fail_relayed: int | None = None
    ahead_ms: int | None = None


class Control:
    """Routes of the control port."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/state", self._state),
            web.get("/journal", self._journal),
            web.post("/markets", self._list),
            web.post("/wallets", self._fund),
            web.post("/relayer-keys", self._relayer_key),
            web.post("/levels", self._level),
            web.post("/prints", self._print),
            web.post("/tick", self._tick),
            web.post("/resolve", self._resolve),
            web.post("/wipe", self._wipe),
            web.post("/restart", self._restart),
            web.post("/switches", self._switch),
            web.post("/faults", self._fault),
            web.delete("/faults", self._clear),
            web.post("/release", self._release),
            web.post("/drop", self._drop),
        ]

    async def _state(self, _: web.Request) -> web.Response:
        self._venue.step()
        exchange = self._venue.exchange
        ledger = exchange.ledger
        return reply(
            {
                "usdc": {wallet: text(held) for wallet, held in ledger.usdc.items()},
                "shares": [
                    {"wallet": wallet, "asset": asset, "size": text(size)}
                    for (wallet, asset), size in ledger.shares.items()
                ],
                "fees": text(ledger.fees),
                "rounding": text(ledger.rounding),
                "deposited": text(ledger.deposited),
                "backed": text(ledger.backed()),
                "orders": len(exchange.orders),
                "orders_of": Counter(order.wallet for order in exchange.orders.values()),
                "fills": [
                    {"order": leg.order_id, "trade": trade.id, "size": text(leg.size)}
                    for trade in exchange.trades.values()
                    if trade.status != "FAILED"
                    for leg in trade.legs
                ],
                "resting": [order.id for order in exchange.orders.values() if order.resting],
                "trades": [
                    {"id": trade.id, "status": trade.status} for trade in exchange.trades.values()
                ],
                "relayed": [
                    {"wallet": one.wallet, "state": one.state, "metadata": one.metadata}
                    for one in self._venue.relayer.rows.values()
                ],
                "user_sockets": sum(bool(socket.key) for socket in self._venue.user.open),
                "now_ms": self._venue.now_ms(),
            }
        )

    async def _journal(self, request: web.Request) -> web.Response:
        return reply(self._venue.journal.after(int(request.query.get("after", "0"))))

    async def _list(self, request: web.Request) -> web.Response:
        open_market(self._venue, await _read(request, NewMarket))
        return reply({})

    async def _fund(self, request: web.Request) -> web.Response:
        fund(self._venue, await _read(request, Wallet))
        return reply({})

    async def _relayer_key(self, request: web.Request) -> web.Response:
        wish = await _read(request, _RelayerKey)
        return reply({"key": self._venue.keys.relayer_key(wish.address.lower())})

    async def _level(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Level)
        self._market(wish.condition)
        size = _amount(wish.size) // CENT_OF_SHARE * CENT_OF_SHARE
        now_ms = self._venue.now_ms()
        self._venue.exchange.level(wish.condition, wish.side, _price(wish.price), size, now_ms)
        return self._told()

    async def _print(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Level)
        self._market(wish.condition)
        size = _amount(wish.size) // CENT_OF_SHARE * CENT_OF_SHARE
        now_ms = self._venue.now_ms()
        self._venue.exchange.printed(wish.condition, wish.side, _price(wish.price), size, now_ms)
        return self._told()

    async def _tick(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Tick)
        self._market(wish.condition)
        self._venue.exchange.change_tick(wish.condition, _price(wish.tick), self._venue.now_ms())
        return self._told()

    async def _resolve(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Resolve)
        self._market(wish.condition)
        first, second = (_amount(payout) for payout in wish.payouts)
        if first + second != ONE:
            return refused(Refusal("payouts: do not sum to 1"))
        self._venue.exchange.resolve(
            wish.condition, (first, second), self._venue.now_ms(), redeems=wish.redeems
        )
        return self._told()

    async def _wipe(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Wipe)
        self._market(wish.condition)
        self._venue.exchange.wipe(wish.condition, wish.status, self._venue.now_ms())
        return self._told()

    async def _restart(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Restart)
        now_ms = self._venue.now_ms()
        self._venue.exchange.phases.restart(wish.ms, wish.post_only_ms, now_ms)
        return reply({})

    async def _switch(self, request: web.Request) -> web.Response:
        wish = await _read(request, _Switches)
        venue = self._venue
        if wish.limits is not None:
            venue.limits.enforced = wish.limits
        if wish.disabled is not None:
            venue.exchange.phases.disabled = wish.disabled
        if wish.silent is not None:
            venue.user.silent = venue.market.silent = wish.silent
        if wish.frozen is not None:
            venue.user.frozen = venue.market.frozen = wish.frozen
        if wish.jumbled is not None:
            venue.step()
            venue.user.jumble(holds=wish.jumbled)
        if wish.settles_ms is not None:
            venue.exchange.settlement.settles_ms = wish.settles_ms
        if wish.fail_trades is not None:
            venue.exchange.settlement.fail_next = wish.fail_trades
        if wish.fail_relayed is not None:
            venue.relayer.fail_next = wish.fail_relayed
        if wish.ahead_ms is not None:
            venue.ahead_ms = wish.ahead_ms
        venue.step()
        return reply({})

    async def _fault(self, request: web.Request) -> web.Response:
        self._venue.faults.add(await _read(request, Fault))
        return reply({})

    async def _clear(self, _: web.Request) -> web.Response:
        self._venue.faults.clear()
        return reply({})

    async def _release(self, _: web.Request) -> web.Response:
        self._venue.faults.release()
        return reply({})

    async def _drop(self, _: web.Request) -> web.Response:
        return reply({"dropped": self._venue.user.drop() + self._venue.market.drop()})

    def _market(self, condition: str) -> MarketState:
        return _market(self._venue, condition)

    def _told(self) -> web.Response:
        self._venue.publish()
        return reply({})


def open_market(venue: Venue, wish: NewMarket) -> None:
    """Open a market. Raises Refusal."""
    venue.list_market(
        Market(
            condition=wish.condition.lower(),
            assets=wish.assets,
            outcomes=wish.outcomes,
            question=wish.question,
            tick=_price(wish.tick),
            min_size=_amount(wish.min_size),
            neg_risk=wish.neg_risk,
            fee_bps=wish.fee_bps,
            seconds_delay=wish.seconds_delay,
            game_start_ms=wish.game_start_ms,
        )
    )


def fund(venue: Venue, wish: Wallet) -> None:
    """Give a wallet what it shall have. Raises Refusal."""
    wallet = wish.wallet.lower()
    if wish.owner:
        venue.wallets.register(wallet, wish.owner.lower(), wish.signature_type)
    ledger = venue.exchange.ledger
    ledger.deposit(wallet, _amount(wish.usdc))
    for condition, size in wish.sets.items():
        ledger.split(wallet, _market(venue, condition).market, _amount(size))


def _market(venue: Venue, condition: str) -> MarketState:
    state = venue.exchange.market(condition)
    if state is None:
        raise Refusal("condition: unknown", 404)
    return state


async def _read(request: web.Request, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(f"body: {error}") from None


def _amount(written: str) -> int:
    try:
        return micros(written)
    except ValueError as error:
        raise Refusal(str(error)) from None


def _price(written: str) -> int:
    return _amount(written) // 100
