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
        command = await _read(request, _RelayerKey)
        return reply({"key": self._venue.keys.relayer_key(command.address.lower())})

    async def _level(self, request: web.Request) -> web.Response:
        command = await _read(request, _Level)
        self._market(command.condition)
        size = _amount(command.size) // CENT_OF_SHARE * CENT_OF_SHARE
        now_ms = self._venue.now_ms()
        self._venue.exchange.level(
            command.condition, command.side, _price(command.price), size, now_ms
        )
        return self._reported()

    async def _print(self, request: web.Request) -> web.Response:
        command = await _read(request, _Level)
        self._market(command.condition)
        size = _amount(command.size) // CENT_OF_SHARE * CENT_OF_SHARE
        now_ms = self._venue.now_ms()
        self._venue.exchange.printed(
            command.condition, command.side, _price(command.price), size, now_ms
        )
        return self._reported()

    async def _tick(self, request: web.Request) -> web.Response:
        command = await _read(request, _Tick)
        self._market(command.condition)
        self._venue.exchange.change_tick(
            command.condition, _price(command.tick), self._venue.now_ms()
        )
        return self._reported()

    async def _resolve(self, request: web.Request) -> web.Response:
        command = await _read(request, _Resolve)
        self._market(command.condition)
        first, second = (_amount(payout) for payout in command.payouts)
        if first + second != ONE:
            return refused(Refusal("payouts: do not sum to 1"))
        self._venue.exchange.resolve(
            command.condition, (first, second), self._venue.now_ms(), redeems=command.redeems
        )
        return self._reported()

    async def _wipe(self, request: web.Request) -> web.Response:
        command = await _read(request, _Wipe)
        self._market(command.condition)
        self._venue.exchange.wipe(command.condition, command.status, self._venue.now_ms())
        return self._reported()

    async def _restart(self, request: web.Request) -> web.Response:
        command = await _read(request, _Restart)
        now_ms = self._venue.now_ms()
        self._venue.exchange.phases.restart(command.ms, command.post_only_ms, now_ms)
        return reply({})

    async def _switch(self, request: web.Request) -> web.Response:
        command = await _read(request, _Switches)
        venue = self._venue
        if command.limits is not None:
            venue.limits.enforced = command.limits
        if command.disabled is not None:
            venue.exchange.phases.disabled = command.disabled
        if command.silent is not None:
            venue.user.silent = venue.market.silent = command.silent
        if command.frozen is not None:
            venue.user.frozen = venue.market.frozen = command.frozen
        if command.jumbled is not None:
            venue.step()
            venue.user.jumble(holds=command.jumbled)
        if command.settles_ms is not None:
            venue.exchange.settlement.settles_ms = command.settles_ms
        if command.fail_trades is not None:
            venue.exchange.settlement.fail_next = command.fail_trades
        if command.fail_relayed is not None:
            venue.relayer.fail_next = command.fail_relayed
        if command.ahead_ms is not None:
            venue.ahead_ms = command.ahead_ms
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

    def _reported(self) -> web.Response:
        self._venue.publish()
        return reply({})


def open_market(venue: Venue, command: NewMarket) -> None:
    """Open a market. Raises Refusal."""
    venue.list_market(
        Market(
            condition=command.condition.lower(),
            assets=command.assets,
            outcomes=command.outcomes,
            question=command.question,
            tick=_price(command.tick),
            min_size=_amount(command.min_size),
            neg_risk=command.neg_risk,
            fee_bps=command.fee_bps,
            seconds_delay=command.seconds_delay,
            game_start_ms=command.game_start_ms,
        )
    )


def fund(venue: Venue, command: Wallet) -> None:
    """Give a wallet what it shall have. Raises Refusal."""
    wallet = command.wallet.lower()
    if command.owner:
        venue.wallets.register(wallet, command.owner.lower(), command.signature_type)
    ledger = venue.exchange.ledger
    ledger.deposit(wallet, _amount(command.usdc))
    for condition, size in command.sets.items():
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
