"""The exchange with everybody who is connected to it: each step is done, then told."""

from __future__ import annotations

import asyncio
import time

import msgspec

from paper.clob.core.auth import Keys
from paper.clob.core.exchange import Exchange
from paper.clob.core.heartbeats import Heartbeats
from paper.clob.core.limits import Limits
from paper.clob.core.relayed import Relayer
from paper.clob.core.values import (
    Market,
    MarketResolved,
    OrderUpdate,
    Refusal,
    TickChanged,
    TradeUpdate,
)
from paper.clob.core.wallets import Wallets
from paper.clob.faults import Faults
from paper.clob.journal import Journal
from paper.clob.sockets import Channel, Socket
from paper.clob.wire import market_data, rows

_TICK_S = 0.02


class _Auth(msgspec.Struct, frozen=True, rename="camel"):
    api_key: str
    secret: str
    passphrase: str


class _UserRequest(msgspec.Struct, frozen=True):
    type: str = ""
    operation: str = ""
    auth: _Auth | None = None
    markets: list[str] | None = None


class _MarketRequest(msgspec.Struct, frozen=True):
    assets_ids: list[str]
    type: str = ""
    operation: str = ""
    custom_feature_enabled: bool = False


class Venue:
    """One running exchange.

    Args:
        exchange: its core.
        keys: the API keys.
        journal: of what is asked.
        relayer: makes calls of contracts for its wallets.
    """

    def __init__(self, exchange: Exchange, keys: Keys, journal: Journal, relayer: Relayer) -> None:
        self.exchange = exchange
        self.relayer = relayer
        self.keys = keys
        self.journal = journal
        self.wallets = Wallets()
        self.limits = Limits()
        self.heartbeats = Heartbeats()
        self.faults = Faults()
        self.user = Channel(self._received_user)
        self.market = Channel(self._received_market)
        self.ahead_ms = 0
        """So much later it is here than elsewhere: tests move the exchange's time."""
        self._reported: dict[str, market_data.Ladder] = {}

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self.clock_ms() + self.ahead_ms

    @staticmethod
    def clock_ms() -> int:
        """Return the time by which signatures of requests are judged."""
        return time.time_ns() // 1_000_000

    def list_market(self, market: Market) -> None:
        """Open a market."""
        self.exchange.list_market(market)
        self._reported[market.condition] = ([], [])

    def wallets_of_key(self, key: str) -> set[str]:
        """Return the wallets whose orders a key sees."""
        return self.wallets.of(self.keys.address(key))

    async def run(self) -> None:
        """Let time pass, for ever."""
        while True:
            self.step()
            await asyncio.sleep(_TICK_S)

    def step(self) -> None:
        """Do what is due, and tell it."""
        now_ms = self.now_ms()
        self.exchange.advance(now_ms)
        self.relayer.advance(now_ms, self.exchange.settlement.settles_ms)
        for key in self.heartbeats.silent(now_ms):
            self.cancel_all(key, now_ms)
        self.publish()

    def cancel_all(self, key: str, now_ms: int) -> dict[str, str | None]:
        """End everything of a key's wallets: the reason by order, None where it was ended."""
        wallets = self.wallets_of_key(key)
        resting = self.exchange.resting(wallets)
        return {order.id: self.exchange.cancel(order.id, wallets, now_ms) for order in resting}

    def publish(self) -> None:
        """Tell the sockets what has happened since."""
        now_ms = self.now_ms()
        happenings, self.exchange.happenings = self.exchange.happenings, []
        for happening in happenings:
            match happening:
                case OrderUpdate(order, what):
                    frame = rows.order_frame(order, what, now_ms)
                    self.user.send(frame, self._owners({order.wallet}, order.market.condition))
                case TradeUpdate():
                    self._send_trade(happening, now_ms)
                case TickChanged(market, old):
                    for asset in market.assets:
                        frame = market_data.tick_size_change(market, asset, old, now_ms)
                        self.market.send(frame, self._watchers(market))
                case MarketResolved(market, payouts):
                    frame = market_data.market_resolved(market, payouts, now_ms)
                    self.market.send(frame, self._watchers(market))
        touched, self.exchange.touched = self.exchange.touched, set()
        for condition in sorted(touched):
            self._send_book(condition, now_ms)

    def _send_trade(self, happening: TradeUpdate, now_ms: int) -> None:
        trade = happening.trade
        for socket in self._owners({leg.wallet for leg in trade.legs}, trade.market.condition):
            wallets = self.wallets_of_key(socket.key)
            self.user.send(rows.trade_frame(trade, wallets, socket.key), [socket])
        if trade.status == "MATCHED":
            leg = trade.taker
            frame = market_data.last_trade(
                trade.market, leg.asset, leg.side, leg.price, leg.size, trade.tx
            )
            self.market.send(frame | {"timestamp": str(now_ms)}, self._watchers(trade.market))

    def _send_book(self, condition: str, now_ms: int) -> None:
        state = self.exchange.market(condition)
        if state is None:
            return
        after = state.ladder(0)
        frame = market_data.price_change(state, self._reported[condition], after, now_ms)
        self._reported[condition] = after
        if frame is not None:
            self.market.send(frame, self._watchers(state.market))

    def _owners(self, wallets: set[str], condition: str) -> list[Socket]:
        return [
            socket
            for socket in self.user.open
            if socket.key
            and (socket.all_markets or condition in socket.desired)
            and wallets & self.wallets_of_key(socket.key)
        ]

    def _watchers(self, market: Market) -> list[Socket]:
        return [socket for socket in self.market.open if socket.desired & set(market.assets)]

    async def _received_user(self, socket: Socket, text: bytes) -> bool:
        try:
            requested = msgspec.json.decode(text, type=_UserRequest)
            if requested.auth is not None:
                triple = requested.auth
                key = self.keys.triple(triple.api_key, triple.secret, triple.passphrase)
                socket.key, socket.all_markets = key.key, requested.markets is None
        except (msgspec.DecodeError, Refusal):
            return False
        if not socket.key:
            return False
        markets = {market.lower() for market in requested.markets or []}
        if requested.operation == "unsubscribe":
            socket.desired -= markets
        else:
            socket.desired |= markets
        return True

    async def _received_market(self, socket: Socket, text: bytes) -> bool:
        try:
            requested = msgspec.json.decode(text, type=_MarketRequest)
        except msgspec.DecodeError:
            return False
        if requested.operation == "unsubscribe":
            socket.desired -= set(requested.assets_ids)
            return True
        self.publish()  # a book is told after what led to it
        books = []
        for asset in requested.assets_ids:
            state = self.exchange.state_of(asset)
            if state is not None:
                socket.desired.add(asset)
                index = state.market.assets.index(asset)
                books.append({"event_type": "book"} | market_data.book(state, index))
        self.market.send(books, [socket])
        return True
