"""REST of the CLOB: books and market parameters, one view with the market channel."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from paper.venue.clob import Clob
from paper.venue.core import amounts
from paper.venue.core.markets import Market
from paper.venue.live_books import LiveBooks
from paper.venue.replies import BadRequest, error, read, reply
from paper.venue.wire import clob as wire
from paper.venue.wire.feed import number

_NO_BOOK = "No orderbook exists for the requested token id"
_MAX_BOOKS = 500


class _Asked(msgspec.Struct, frozen=True):
    token_id: str


class ClobRest:
    """Routes under `/clob`."""

    def __init__(self, live_books: LiveBooks, clob: Clob) -> None:
        self._live_books = live_books
        self._clob = clob

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/clob/book", self._book),
            web.post("/clob/books", self._books),
            web.get("/clob/price", self._price),
            web.get("/clob/midpoint", self._midpoint),
            web.get("/clob/last-trade-price", self._last_trade_price),
            web.get("/clob/tick-size", self._tick_size),
            web.get("/clob/neg-risk", self._neg_risk),
            web.get("/clob/clob-markets/{condition}", self._clob_market),
            web.get("/clob/markets-by-token/{token}", self._by_token),
            web.get("/clob/version", self._version),
            web.get("/clob/time", self._time),
        ]

    async def _book(self, request: web.Request) -> web.Response:
        asset = request.query.get("token_id", "")
        market = self._open(asset)
        return reply(self._body(market, asset)) if market else error(404, _NO_BOOK)

    async def _books(self, request: web.Request) -> web.Response:
        requested = await read(request, list[_Asked])
        if len(requested) > _MAX_BOOKS:
            raise BadRequest(f"body: more than {_MAX_BOOKS} tokens")
        found = [(one.token_id, self._open(one.token_id)) for one in requested]
        return reply([self._body(market, asset) for asset, market in found if market])

    async def _price(self, request: web.Request) -> web.Response:
        side = request.query.get("side", "").upper()
        if side not in ("BUY", "SELL"):
            raise BadRequest("side: neither BUY nor SELL")
        asset = request.query.get("token_id", "")
        market = self._open(asset)
        if market is None:
            return error(404, _NO_BOOK)
        own = wire.side_of(market, asset, self._clob.refresh(market).book)
        # The venue names the price by who made it: BUY is the best bid (checked live, 2026-09-28).
        return reply({"price": amounts.text(own.best_bid if side == "BUY" else own.best_ask)})

    async def _midpoint(self, request: web.Request) -> web.Response:
        asset = request.query.get("token_id", "")
        market = self._open(asset)
        if market is None:
            return error(404, _NO_BOOK)
        own = wire.side_of(market, asset, self._clob.refresh(market).book)
        return reply({"mid": amounts.text((own.best_bid + own.best_ask) // 2)})

    async def _last_trade_price(self, request: web.Request) -> web.Response:
        price, side = self._live_books.last_price(request.query.get("token_id", ""))
        return reply({"price": price, "side": side})

    async def _tick_size(self, request: web.Request) -> web.Response:
        market = self._open(request.query.get("token_id", ""))
        if market is None:
            return error(404, "market not found")
        return reply({"minimum_tick_size": number(amounts.text(self._live_books.tick(market)))})

    async def _neg_risk(self, request: web.Request) -> web.Response:
        market = self._open(request.query.get("token_id", ""))
        return reply({"neg_risk": market.neg_risk}) if market else error(404, "market not found")

    async def _clob_market(self, request: web.Request) -> web.Response:
        condition = request.match_info["condition"].lower()
        market = self._live_books.catalogue.by_condition.get(condition)
        if market is None:
            return error(404, "market not found")
        return reply(wire.clob_market(market, self._live_books.tick(market)))

    async def _by_token(self, request: web.Request) -> web.Response:
        market = self._live_books.catalogue.by_asset.get(request.match_info["token"])
        if market is None:
            return error(404, "market not found")
        first, second = market.assets
        return reply(
            {
                "condition_id": market.condition,
                "primary_token_id": first,
                "secondary_token_id": second,
            }
        )

    async def _version(self, _: web.Request) -> web.Response:
        return reply({"version": 2})

    async def _time(self, _: web.Request) -> web.Response:
        return reply(int(time.time()))

    def _open(self, asset: str) -> Market | None:
        market = self._live_books.catalogue.by_asset.get(asset)
        return None if market is None or market.condition in self._live_books.resolved else market

    def _body(self, market: Market, asset: str) -> wire.Json:
        view = self._clob.refresh(market)
        price = self._live_books.last_price(asset)[0]
        return wire.rest_book(market, asset, view.book, view.changed_ms, price)
