"""REST of the Data API, v1 and v2: what leaders traded and hold, as late as the real indexer."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from aiohttp import web

from paper.venue.core import amounts
from paper.venue.core.ledger import Cursor, PlayedRow, Query, holdings, listing
from paper.venue.core.moves import Move, moved
from paper.venue.core.positions import Holding
from paper.venue.core.trade import Side
from paper.venue.replies import BadRequest, flag, many, maybe_whole, reply, whole
from paper.venue.venue import Venue
from paper.venue.wire import data as wire
from paper.venue.wire.clob import Json
from paper.venue.wire.feed import number

_WALLET = re.compile(r"0x[0-9a-fA-F]{40}")
_TYPES = frozenset(
    (
        *("TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION", "MIGRATION", "REWARD", "YIELD"),
        *("MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD", "DEPOSIT", "WITHDRAWAL", "TIP"),
    )
)
_TINY = amounts.ONE // 100
"""What `filter_amount` is when it is 0 or not said."""
_STATUSES = frozenset(("OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED"))


class DataRest:
    """Routes under `/data`."""

    def __init__(self, venue: Venue, seed: int) -> None:
        self._venue = venue
        self._seed = seed

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/data/trades", self._trades),
            web.get("/data/activity", self._activity),
            web.get("/data/positions", self._positions),
            web.get("/data/value", self._value),
            web.get("/data/v2/trades", self._trades_v2),
            web.get("/data/v2/activity", self._activity_v2),
            web.get("/data/v2/positions", self._positions_v2),
            web.get("/data/v2/value", self._value_v2),
            web.get("/data/v2/status", self._status_v2),
        ]

    async def _trades(self, request: web.Request) -> web.Response:
        limit, offset = _window(request, 100, 10_000)
        query = replace(
            _query(request, "market"),
            wallet=_maybe_wallet(request),
            takers_only=flag(request, "takerOnly", True),
        )
        return reply([wire.trade(row) for row in self._listing(query)[offset : offset + limit]])

    async def _activity(self, request: web.Request) -> web.Response:
        limit, offset = _window(request, 100, 500)
        query = replace(_query(request, "market"), wallet=_wallet(request))
        rows = self._happened(query, _types(request))
        if request.query.get("sortDirection", "DESC").upper() == "ASC":
            rows.reverse()
        return reply([wire.activity(row) for row in rows[offset : offset + limit]])

    async def _trades_v2(self, request: web.Request) -> web.Response:
        query = replace(
            _query(request, "condition"),
            wallet=_maybe_wallet(request),
            takers_only=flag(request, "taker_only", True),
        )
        rows = [row for row in self._listing(query) if _is_large_enough(request, row)]
        return self._paged(request, rows, activity=False)

    async def _activity_v2(self, request: web.Request) -> web.Response:
        query = replace(_query(request, "condition"), wallet=_wallet(request))
        rows = self._happened(query, _types(request))
        return self._paged(request, rows, activity=True)

    async def _positions(self, request: web.Request) -> web.Response:
        limit, offset = _window(request, 100, 500)
        wallet = _wallet(request)
        least = _amount(request, "sizeThreshold", "1")
        desired = set(many(request, "market"))
        rows = [
            self._position(wallet, asset, held)
            for asset, held in self._held(wallet)
            if held.size >= max(least, 1) and (not desired or self._condition(asset) in desired)
        ]
        return reply(rows[offset : offset + limit])

    async def _positions_v2(self, request: web.Request) -> web.Response:
        limit = _page_size(request)
        offset = _cursor(request.query["cursor"])[1] if "cursor" in request.query else 0
        wallet = _wallet(request)
        status = request.query.get("status", "OPEN").upper()
        if status not in _STATUSES:
            raise BadRequest(f"status: not one of {', '.join(sorted(_STATUSES))}")
        found = [
            (asset, held) for asset, held in self._held(wallet) if self._is(asset, held, status)
        ]
        page = found[offset : offset + limit]
        rows = [self._position_v2(wallet, asset, held) for asset, held in page]
        more = len(found) > offset + limit
        following = _encoded((0, offset + limit)) if more else None
        return _page(rows, limit, following)

    async def _value(self, request: web.Request) -> web.Response:
        wallet = _wallet(request)
        return reply([{"user": wallet, "value": self._worth(wallet)}])

    async def _value_v2(self, request: web.Request) -> web.Response:
        wallet = _wallet(request)
        return reply({"data": {"proxy_wallet": wallet, "value": self._worth(wallet)}})

    def _worth(self, wallet: str) -> msgspec.Raw:
        """Return what a wallet's positions are worth; its cash is no part of it."""
        now_ms = time.time_ns() // 1_000_000
        total = 0
        for asset, held in self._held(wallet):
            market = self._venue.live_books.catalogue.by_asset[asset]
            mid = self._venue.live_books.mids(market, now_ms)[market.index(asset)]
            total += held.size * mid // amounts.ONE
        return number(amounts.text(total))

    async def _status_v2(self, _: web.Request) -> web.Response:
        now_ms = time.time_ns() // 1_000_000
        waiting = [row.wall_ms for row in self._venue.played if row.visible_ms > now_ms]
        lag_ms = now_ms - min(waiting) if waiting else 0
        return reply(
            {"data": {"status": "ok", "indexer_lag_seconds": number(f"{lag_ms / 1000:.3f}")}}
        )

    def _listing(self, query: Query) -> list[PlayedRow]:
        return listing(self._venue.played, query, time.time_ns() // 1_000_000)

    def _happened(self, query: Query, types: frozenset[str]) -> list[PlayedRow | Move]:
        """Trades and other movements of the types, newest first."""
        now_ms = time.time_ns() // 1_000_000
        rows: list[PlayedRow | Move] = [
            move
            for move in self._venue.moves
            if move.kind in types and move.visible_ms <= now_ms and query.admits_move(move)
        ]
        rows += self._listing(query) if "TRADE" in types else []
        return sorted(rows, key=lambda row: (row.timestamp_s, row.seq), reverse=True)

    def _held(self, wallet: str) -> list[tuple[str, Holding]]:
        now_ms = time.time_ns() // 1_000_000
        traded = holdings(self._venue.start, self._venue.played, wallet, now_ms)
        found = moved(traded, self._venue.moves, wallet, now_ms)
        return sorted(found.items(), key=lambda item: (-item[1].cost, item[0]))

    def _paged(
        self, request: web.Request, rows: Sequence[PlayedRow | Move], *, activity: bool
    ) -> web.Response:
        limit = _page_size(request)
        page = rows[:limit]
        following = _encoded((page[-1].timestamp_s, page[-1].seq)) if len(rows) > limit else None
        bodies = [
            wire.activity_v2(row) if activity or isinstance(row, Move) else wire.trade_v2(row)
            for row in page
        ]
        return _page(bodies, limit, following)

    def _position(self, wallet: str, asset: str, held: Holding) -> Json:
        market = self._venue.live_books.catalogue.by_asset[asset]
        mid = self._venue.live_books.mids(market, time.time_ns() // 1_000_000)[market.index(asset)]
        resolved = market.condition in self._venue.live_books.resolved
        return wire.position(wallet, market, asset, held, mid, resolved=resolved)

    def _position_v2(self, wallet: str, asset: str, held: Holding) -> Json:
        market = self._venue.live_books.catalogue.by_asset[asset]
        mid = self._venue.live_books.mids(market, time.time_ns() // 1_000_000)[market.index(asset)]
        # What is lost is told as REDEEMABLE, too: the narrower states are for asking.
        state = self._state(asset, held)
        status = "REDEEMABLE" if state == "REDEEMABLE_LOST" else state
        return wire.position_v2(wallet, market, asset, held, mid, status=status)

    def _condition(self, asset: str) -> str:
        return self._venue.live_books.catalogue.by_asset[asset].condition

    def _is(self, asset: str, held: Holding, status: str) -> bool:
        """Return whether a position is listed: OPEN means held, in a resolved market, too."""
        state = self._state(asset, held)
        return state not in ("CLOSED", "NONE") if status == "OPEN" else state == status

    def _state(self, asset: str, held: Holding) -> str:
        if not held.size:
            return "CLOSED" if held.bought else "NONE"
        market = self._venue.live_books.catalogue.by_asset[asset]
        payouts = self._venue.live_books.resolved.get(market.condition)
        if payouts is None:
            return "OPEN"
        return "REDEEMABLE" if payouts[market.index(asset)] else "REDEEMABLE_LOST"


def _query(request: web.Request, condition_name: str) -> Query:
    conditions = many(request, condition_name)
    if len(conditions) > 20:
        raise BadRequest(f"{condition_name}: more than 20")
    return Query(
        conditions=frozenset(text.lower() for text in conditions) if conditions else None,
        side=_side(request),
        start=maybe_whole(request, "start"),
        end=maybe_whole(request, "end"),
        before=_cursor(request.query["cursor"]) if "cursor" in request.query else None,
    )


def _wallet(request: web.Request) -> str:
    text = request.query.get("user", "")
    if not _WALLET.fullmatch(text):
        raise BadRequest("user: not a wallet address")
    return text.lower()


def _maybe_wallet(request: web.Request) -> str | None:
    return _wallet(request) if "user" in request.query else None


def _side(request: web.Request) -> Side | None:
    text = request.query.get("side", "").upper()
    if text == "BUY":
        return "BUY"
    if text == "SELL":
        return "SELL"
    if text:
        raise BadRequest("side: neither BUY nor SELL")
    return None


def _types(request: web.Request) -> frozenset[str]:
    types = frozenset(text.upper() for text in many(request, "type"))
    if unknown := types - _TYPES:
        raise BadRequest(f"type: {', '.join(sorted(unknown))} is unknown")
    return types or _TYPES


def _amount(request: web.Request, name: str, default: str) -> int:
    try:
        return amounts.rounded(request.query.get(name, default))
    except ValueError as problem:
        raise BadRequest(f"{name}: {problem}") from None


def _is_large_enough(request: web.Request, row: PlayedRow) -> bool:
    """Return whether v2's list of trades has a row: without a filter it leaves out what is tiny."""
    kind = request.query.get("filter_type", "TOKENS").upper()
    if kind not in ("CASH", "TOKENS"):
        raise BadRequest("filter_type: neither CASH nor TOKENS")
    least = _amount(request, "filter_amount", "0") or _TINY
    size = row.trade.size
    return least <= (size * row.trade.price // amounts.ONE if kind == "CASH" else size)


def _window(request: web.Request, usual: int, most: int) -> tuple[int, int]:
    return whole(request, "limit", usual, 1, most), whole(request, "offset", 0, 0, 10**6)


def _page_size(request: web.Request) -> int:
    """The size of a v2 page, which has no offset."""
    if "offset" in request.query:
        raise BadRequest("offset: is not supported, follow next_cursor")
    if (maybe_whole(request, "limit") or 0) > 1000:
        raise BadRequest("limit: above 1000")
    return whole(request, "limit", 100, 1, 1000)


def _page(rows: list[Json], limit: int, following: str | None) -> web.Response:
    return reply(
        {
            "data": rows,
            "pagination": {
                "limit": limit,
                "offset": 0,
                "has_more": following is not None,
                "next_cursor": following,
            },
        }
    )


def _encoded(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(f"{cursor[0]}:{cursor[1]}".encode()).decode()


def _cursor(text: str) -> Cursor:
    try:
        first, _, second = base64.urlsafe_b64decode(text.encode()).decode().partition(":")
        return int(first), int(second)
    except ValueError:
        raise BadRequest("cursor: not one of ours") from None
