"""REST of Gamma: what a market is."""

from __future__ import annotations

import time

from aiohttp import web

from paper.venue.core.markets import Market
from paper.venue.live_books import LiveBooks
from paper.venue.replies import BadRequest, flag, many, reply, whole
from paper.venue.wire import gamma as wire
from paper.venue.wire.clob import Json


class GammaRest:
    """Routes under `/gamma`."""

    def __init__(self, live_books: LiveBooks) -> None:
        self._live_books = live_books

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/gamma/markets", self._markets),
            web.get("/gamma/markets/keyset", self._keyset),
        ]

    async def _markets(self, request: web.Request) -> web.Response:
        limit, offset = whole(request, "limit", 20, 1, 500), whole(request, "offset", 0, 0, 10**6)
        found = self._found(request)[offset : offset + limit]
        return reply([self._body(market) for market in found])

    async def _keyset(self, request: web.Request) -> web.Response:
        limit = whole(request, "limit", 20, 1, 100)
        found = sorted(self._found(request), key=lambda market: market.condition)
        cursor = request.query.get("after_cursor", "")
        if cursor and cursor not in self._live_books.catalogue.by_condition:
            raise BadRequest("after_cursor: not one of ours")
        rest = [market for market in found if market.condition > cursor]
        page = rest[:limit]
        following = page[-1].condition if len(rest) > limit else ""
        return reply({"markets": [self._body(m) for m in page], "next_cursor": following})

    def _found(self, request: web.Request) -> list[Market]:
        catalogue = self._live_books.catalogue
        tokens = many(request, "clob_token_ids")
        conditions = [text.lower() for text in many(request, "condition_ids")]
        closed = flag(request, "closed", False)
        desired = {c: catalogue.by_condition[c] for c in conditions if c in catalogue.by_condition}
        for token in tokens:
            if token in catalogue.by_asset:
                market = catalogue.by_asset[token]
                desired[market.condition] = market
        if not tokens and not conditions:
            desired = dict(catalogue.by_condition)
        return [m for m in desired.values() if (m.condition in self._live_books.resolved) == closed]

    def _body(self, market: Market) -> Json:
        return wire.market(
            market,
            self._live_books.tick(market),
            self._live_books.mids(market, time.time_ns() // 1_000_000),
            self._live_books.resolved.get(market.condition),
        )
