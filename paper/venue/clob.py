"""The CLOB market channel: books of the assets a socket asked for, and nothing else.

The first message after a subscription is an array of whole books, later ones are changes; both
come from one view per market, so a socket that applies every change holds the book that REST
shows. Only markets somebody watches are computed. Before: `live_books`. After: the engine's
bookfeed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from paper.venue.core.books import changes
from paper.venue.core.markets import Market
from paper.venue.core.trade import Trade
from paper.venue.live_books import LiveBooks, View
from paper.venue.sockets import Socket, Sockets
from paper.venue.wire import clob as wire

_TICK_S = 0.05


class _Request(msgspec.Struct, frozen=True):
    assets_ids: list[str]
    type: str | None = None
    operation: str | None = None
    custom_feature_enabled: bool = False


_DECODER = msgspec.json.Decoder(_Request)


@dataclass(slots=True)
class _Client:
    socket: Socket
    assets: set[str] = field(default_factory=set)
    custom: bool = False


class Clob:
    """Serves the web socket and keeps what each market's watchers were last told."""

    def __init__(self, live_books: LiveBooks) -> None:
        self.sockets = Sockets()
        self._live_books = live_books
        self._clients: dict[int, _Client] = {}
        self._watchers: dict[str, set[int]] = {}  # condition -> socket numbers
        self._reported: dict[str, View] = {}

    @property
    def watched(self) -> int:
        """Markets with at least one watcher."""
        return len(self._watchers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The web socket endpoint."""
        return await self.sockets.serve(
            request, opened=self._opened, received=self._received, closed=self._closed
        )

    async def run(self) -> None:
        """Move the watched books as time passes, for ever."""
        while True:
            for condition in list(self._watchers):
                self.refresh(self._live_books.catalogue.by_condition[condition])
            await asyncio.sleep(_TICK_S)

    def refresh(self, market: Market) -> View:
        """The book now; its watchers are told what changed first."""
        now_ms = time.time_ns() // 1_000_000
        view = self._live_books.view(market, now_ms)
        reported = self._reported.get(market.condition)
        if reported is not None and reported.book != view.book:
            self._reported[market.condition] = view
            self._notify(market, reported, view)
        return view

    def traded(self, trade: Trade, market: Market, now_ms: int) -> None:
        """Tell the watchers of a trade."""
        self._send(market, [wire.last_trade_price(market, trade, now_ms)], {trade.asset})

    def resolved(self, market: Market, payouts: tuple[int, int], now_ms: int) -> None:
        """Tell the watchers that want it that a market is resolved."""
        message = wire.market_resolved(market, payouts, now_ms)
        self._send(market, [message], set(market.assets), custom=True)

    def _notify(self, market: Market, old: View, new: View) -> None:
        both = set(market.assets)
        if old.book.tick != new.book.tick:
            for asset in market.assets:
                message = wire.tick_size_change(
                    market, asset, old.book.tick, new.book.tick, new.changed_ms
                )
                self._send(market, [message], {asset})
        changed = changes(old.book, new.book)
        if not changed:
            return
        self._send(market, [wire.price_change(market, changed, new.book, new.changed_ms)], both)
        best = (new.book.best_bid, new.book.best_ask)
        if best != (old.book.best_bid, old.book.best_ask):
            for asset in market.assets:
                message = wire.best_bid_ask(market, asset, new.book, new.changed_ms)
                self._send(market, [message], {asset}, custom=True)

    def _send(
        self,
        market: Market,
        messages: Iterable[wire.Json],
        assets: set[str],
        *,
        custom: bool = False,
    ) -> None:
        if self.sockets.stalled:
            return
        texts = [msgspec.json.encode(message).decode() for message in messages]
        for number in self._watchers.get(market.condition, ()):
            client = self._clients[number]
            if client.assets.isdisjoint(assets) or (custom and not client.custom):
                continue
            for text in texts:
                client.socket.push(text)

    def _opened(self, socket: Socket) -> None:
        self._clients[socket.number] = _Client(socket)

    def _closed(self, socket: Socket) -> None:
        client = self._clients[socket.number]
        self._unsubscribe(client, list(client.assets))
        del self._clients[socket.number]

    async def _received(self, socket: Socket, text: str) -> bool:
        if text in ("PING", "ping"):
            socket.push("PONG")
            return True
        try:
            request = _DECODER.decode(text)
        except msgspec.DecodeError:
            return False
        client = self._clients[socket.number]
        client.custom = client.custom or request.custom_feature_enabled
        if request.operation == "unsubscribe":
            self._unsubscribe(client, request.assets_ids)
        elif request.operation == "subscribe" or request.type == "market":
            self._subscribe(client, request.assets_ids)
        else:
            return False
        return True

    def _subscribe(self, client: _Client, assets: list[str]) -> None:
        books = []
        for asset in assets:
            market = self._live_books.catalogue.by_asset.get(asset)
            if market is None or market.condition in self._live_books.resolved:
                continue  # the venue has no book of it and says nothing
            client.assets.add(asset)
            self._watchers.setdefault(market.condition, set()).add(client.socket.number)
            view = self.refresh(market)
            self._reported.setdefault(market.condition, view)
            price = self._live_books.last_price(asset)[0]
            books.append(wire.book(market, asset, view.book, view.changed_ms, price))
        if not self.sockets.stalled:
            client.socket.push(msgspec.json.encode(books).decode())

    def _unsubscribe(self, client: _Client, assets: list[str]) -> None:
        for asset in assets:
            client.assets.discard(asset)
            market = self._live_books.catalogue.by_asset.get(asset)
            if market is None or not client.assets.isdisjoint(market.assets):
                continue
            watchers = self._watchers.get(market.condition, set())
            watchers.discard(client.socket.number)
            if not watchers:
                self._watchers.pop(market.condition, None)
                self._reported.pop(market.condition, None)
