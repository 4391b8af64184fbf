"""Public REST: books, prices and rules of markets, and what Gamma and the Data API say of them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from paper.clob.core.amounts import price_text
from paper.clob.core.markets import MarketState
from paper.clob.core.values import ONE, WHOLE, Refusal
from paper.clob.server import reply
from paper.clob.venue import Venue
from paper.clob.wire import market_data

NO_BOOK = "No orderbook exists for the requested token id"
_MAX = 500


class _Asked(msgspec.Struct, frozen=True):
    token_id: str
    side: str = ""


class MarketRest:
    """Routes that need no key."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/ok", self._ok),
            web.get("/time", self._time),
            web.get("/version", self._version),
            web.get("/book", self._book),
            web.post("/books", self._books),
            web.get("/price", self._price),
            web.get("/midpoint", self._midpoint),
            web.get("/spread", self._spread),
            web.get("/last-trade-price", self._last_price),
            web.get("/tick-size", self._tick),
            web.get("/neg-risk", self._neg_risk),
            web.get("/fee-rate", self._fee_rate),
            web.get("/clob-markets/{condition}", self._clob_market),
            web.get("/markets-by-token/{token}", self._by_token),
            web.get("/gamma/markets", self._gamma),
            web.get("/data-api/v2/positions", self._positions),
        ]

    async def _ok(self, _: web.Request) -> web.Response:
        return reply("OK")

    async def _time(self, _: web.Request) -> web.Response:
        return reply(self._venue.clock_ms() // 1000)

    async def _version(self, _: web.Request) -> web.Response:
        return reply({"version": 2})

    async def _book(self, request: web.Request) -> web.Response:
        state, index = self._outcome(request)
        self._venue.publish()
        return reply(market_data.book(state, index))

    async def _books(self, request: web.Request) -> web.Response:
        try:
            requested = msgspec.json.decode(await request.read(), type=list[_Asked])
        except msgspec.DecodeError:
            raise Refusal("Invalid payload") from None
        books = []
        for one in requested[:_MAX]:
            state = self._venue.exchange.state_of(one.token_id)
            if state is not None:
                index = state.market.assets.index(one.token_id)
                books.append(market_data.book(state, index))
        return reply(books)

    async def _price(self, request: web.Request) -> web.Response:
        bid, ask = self._best(request)
        side = request.query.get("side", "")
        return reply({"price": price_text(bid if side == "BUY" else ask)})

    async def _midpoint(self, request: web.Request) -> web.Response:
        bid, ask = self._best(request)
        return reply({"mid": price_text((bid + ask) // 2)})

    async def _spread(self, request: web.Request) -> web.Response:
        bid, ask = self._best(request)
        return reply({"spread": price_text(ask - bid)})

    async def _last_price(self, request: web.Request) -> web.Response:
        state, index = self._outcome(request)
        price = market_data.last_price(state, index)
        return reply({"price": price, "side": state.last_side})

    async def _tick(self, request: web.Request) -> web.Response:
        state, _ = self._outcome(request)
        return reply({"minimum_tick_size": msgspec.Raw(price_text(state.market.tick).encode())})

    async def _neg_risk(self, request: web.Request) -> web.Response:
        state, _ = self._outcome(request)
        return reply({"neg_risk": state.market.neg_risk})

    async def _fee_rate(self, request: web.Request) -> web.Response:
        state, _ = self._outcome(request)
        return reply({"base_fee": state.market.fee_bps})

    async def _clob_market(self, request: web.Request) -> web.Response:
        state = self._venue.exchange.market(request.match_info["condition"].lower())
        if state is None:
            raise Refusal("market not found", 404)
        return reply(market_data.clob_market(state.market))

    async def _by_token(self, request: web.Request) -> web.Response:
        state = self._venue.exchange.state_of(request.match_info["token"])
        if state is None:
            raise Refusal("market not found", 404)
        first, second = state.market.assets
        found = {"primary_token_id": first, "secondary_token_id": second}
        return reply({"condition_id": state.market.condition} | found)

    async def _gamma(self, request: web.Request) -> web.Response:
        closed = request.query.get("closed", "false") == "true"
        assets = set(request.query.getall("clob_token_ids", []))
        conditions = set(request.query.getall("condition_ids", []))
        found = [
            market_data.gamma_market(state)
            for state in self._venue.exchange.markets()
            if (state.payouts is not None) == closed
            and (not assets or assets & set(state.market.assets))
            and (not conditions or state.market.condition in conditions)
        ]
        return reply(found)

    async def _positions(self, request: web.Request) -> web.Response:
        wallet = request.query.get("user", "").lower()
        held = []
        for (of, asset), size in sorted(self._venue.exchange.ledger.shares.items()):
            state = self._venue.exchange.state_of(asset)
            if of == wallet and size > 0 and state is not None:
                held.append(market_data.position(wallet, asset, size, state.market))
        pagination = {"limit": ONE, "offset": 0, "has_more": False, "next_cursor": None}
        return reply({"data": held, "pagination": pagination})

    def _outcome(self, request: web.Request) -> tuple[MarketState, int]:
        asset = request.query.get("token_id", "")
        state = self._venue.exchange.state_of(asset)
        if state is None or not state.open:
            raise Refusal(NO_BOOK, 404)
        return state, state.market.assets.index(asset)

    def _best(self, request: web.Request) -> tuple[int, int]:
        state, index = self._outcome(request)
        bids, asks = state.ladder(index)
        return bids[0][0] if bids else 0, asks[0][0] if asks else WHOLE
