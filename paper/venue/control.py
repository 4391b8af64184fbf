"""The control port: what tests and the run's terminal view tell the replay, and what they ask.

Bound to loopback beside the venue and no part of what Polymarket serves. Bodies are JSON; an
unknown field is refused, because a misspelt wish must not look like a granted one.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Literal

import msgspec
from aiohttp import web

from paper.venue.core import amounts
from paper.venue.core.books import Level
from paper.venue.core.markets import Market
from paper.venue.core.moves import MoveBody
from paper.venue.core.schedule import transactions
from paper.venue.core.trade import TradeBody
from paper.venue.journal import Journal, Questions
from paper.venue.live_books import checked_pin
from paper.venue.player import Player
from paper.venue.replies import BadRequest, error, read, reply, whole
from paper.venue.sockets import Sockets
from paper.venue.venue import Venue

Feed = Literal["rtds", "clob", "all"]


class _Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    feed: Feed = "all"
    abort: bool = False


class _Stall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: float
    feed: Feed | Literal["rest"] = "all"


class _Garbage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    feed: Feed = "rtds"
    frame: str | None = None
    frame_base64: str | None = None


class _PinLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    price: str
    size: str


class _Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mid: str | None = None
    best_bid: str | None = None
    best_ask: str | None = None
    bids: list[_PinLevel] | None = None
    asks: list[_PinLevel] | None = None


class _Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payouts: tuple[str, str]


class Control:
    """Routes of the control port."""

    def __init__(
        self, venue: Venue, player: Player, journal: Journal, questions: Questions
    ) -> None:
        self._venue = venue
        self._player = player
        self._journal = journal
        self._questions = questions
        self._total = len(transactions(venue.tape))

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/state", self._state),
            web.get("/journal", self._entries),
            web.get("/questions", self._requested),
            web.post("/start", self._start),
            web.post("/pause", self._pause),
            web.post("/resume", self._resume),
            web.post("/drop", self._drop),
            web.post("/stall", self._stall),
            web.post("/garbage", self._garbage),
            web.post("/inject", self._inject),
            web.post("/move", self._move),
            web.put("/books/{asset}", self._pin),
            web.delete("/books/{asset}", self._unpin),
            web.post("/resolve/{condition}", self._resolve),
        ]

    async def _state(self, _: web.Request) -> web.Response:
        return reply(self._progress())

    async def _entries(self, request: web.Request) -> web.Response:
        after = whole(request, "after", 0, 0, 1 << 62)
        limit = whole(request, "limit", 10_000, 1, 100_000)
        entries = self._journal.after(after, limit)
        return reply({"entries": entries, "last": self._journal.last})

    async def _requested(self, _: web.Request) -> web.Response:
        return reply({"questions": self._questions.all()})

    async def _start(self, _: web.Request) -> web.Response:
        self._player.start()
        return reply(self._progress())

    async def _pause(self, _: web.Request) -> web.Response:
        self._player.pause()
        return reply(self._progress())

    async def _resume(self, _: web.Request) -> web.Response:
        self._player.resume()
        return reply(self._progress())

    async def _drop(self, request: web.Request) -> web.Response:
        command = await read(request, _Drop)
        dropped = [await sockets.drop(abort=command.abort) for sockets in self._feeds(command.feed)]
        return reply({"dropped": sum(dropped)})

    async def _stall(self, request: web.Request) -> web.Response:
        command = await read(request, _Stall)
        if not 0 <= command.seconds <= 86_400:
            raise BadRequest("seconds: not between 0 and 86400")
        stalled: list[Sockets | Questions] = (
            [self._questions] if command.feed == "rest" else [*self._feeds(command.feed)]
        )
        for one in stalled:
            one.stall(command.seconds)
        return reply({"seconds": command.seconds})

    async def _garbage(self, request: web.Request) -> web.Response:
        command = await read(request, _Garbage)
        if (command.frame is None) == (command.frame_base64 is None):
            raise BadRequest("body: give frame or frame_base64")
        text = command.frame if command.frame is not None else _decoded(command.frame_base64 or "")
        reached = 0
        for sockets in self._feeds(command.feed):
            sockets.garbage(text)
            reached += len(sockets.open)
        return reply({"sockets": reached})

    async def _inject(self, request: web.Request) -> web.Response:
        body = await read(request, TradeBody)
        try:
            trade = self._venue.inject(body, time.time_ns() // 1_000_000)
        except ValueError as problem:
            raise BadRequest(str(problem)) from None
        return reply({"transactionHash": trade.tx})

    async def _move(self, request: web.Request) -> web.Response:
        body = await read(request, MoveBody)
        try:
            move = self._venue.move_shares(body, time.time_ns() // 1_000_000)
        except ValueError as problem:
            raise BadRequest(str(problem)) from None
        return reply({"transactionHash": move.tx})

    async def _pin(self, request: web.Request) -> web.Response:
        asset = request.match_info["asset"]
        market = self._venue.live_books.catalogue.by_asset.get(asset)
        if market is None:
            return error(404, "asset: unknown")
        command = await read(request, _Pin)
        try:
            pin = checked_pin(
                tick=self._venue.live_books.tick(market),
                mid=None if command.mid is None else amounts.exact(command.mid),
                best=_both("best_bid", command.best_bid, "best_ask", command.best_ask),
                levels=_sides(command),
            )
        except ValueError as problem:
            raise BadRequest(str(problem)) from None
        self._venue.live_books.pin(asset, pin)
        return self._moved(market)

    async def _unpin(self, request: web.Request) -> web.Response:
        asset = request.match_info["asset"]
        market = self._venue.live_books.catalogue.by_asset.get(asset)
        if market is None:
            return error(404, "asset: unknown")
        self._venue.live_books.unpin(asset)
        return self._moved(market)

    async def _resolve(self, request: web.Request) -> web.Response:
        condition = request.match_info["condition"].lower()
        market = self._venue.live_books.catalogue.by_condition.get(condition)
        if market is None:
            return error(404, "condition: unknown")
        command = await read(request, _Resolve)
        try:
            first, second = (amounts.exact(text) for text in command.payouts)
        except ValueError as problem:
            raise BadRequest(f"payouts: {problem}") from None
        if first + second != amounts.ONE:
            raise BadRequest("payouts: do not sum to 1")
        self._venue.resolve(market, (first, second), time.time_ns() // 1_000_000)
        payouts = self._venue.live_books.resolved[condition]
        return reply({"payouts": [amounts.text(payout) for payout in payouts]})

    def _moved(self, market: Market) -> web.Response:
        book = self._venue.clob.refresh(market).book
        best = {"best_bid": amounts.text(book.best_bid), "best_ask": amounts.text(book.best_ask)}
        return reply({"asset_id": market.assets[0], **best})

    def _feeds(self, feed: Feed) -> list[Sockets]:
        all_feeds = {"rtds": self._venue.rtds.sockets, "clob": self._venue.clob.sockets}
        return list(all_feeds.values()) if feed == "all" else [all_feeds[feed]]

    def _progress(self) -> dict[str, object]:
        return {
            "started": self._player.started,
            "paused": self._player.paused,
            "done": self._player.done,
            "lap": self._player.lap,
            "transactions_played": self._venue.transactions,
            "transactions_total": self._total,
            "rows_played": self._venue.rows,
            "rows_total": len(self._venue.tape),
            "under_way": self._venue.under_way(time.time_ns() // 1_000_000),
            "rtds_sockets": len(self._venue.rtds.sockets.open),
            "rtds_subscribers": self._venue.rtds.subscribers,
            "clob_sockets": len(self._venue.clob.sockets.open),
            "clob_markets_watched": self._venue.clob.watched,
            "journal_last": self._journal.last,
        }


def _both(
    first_name: str, first: str | None, second_name: str, second: str | None
) -> tuple[int, int] | None:
    if first is None and second is None:
        return None
    if first is None or second is None:
        raise ValueError(f"{first_name if first is None else second_name}: missing")
    return amounts.exact(first), amounts.exact(second)


def _sides(command: _Pin) -> tuple[list[Level], list[Level]] | None:
    if command.bids is None and command.asks is None:
        return None
    if command.bids is None or command.asks is None:
        raise ValueError("bids and asks: give both, an empty list for an empty side")
    bids, asks = (
        [Level(amounts.exact(one.price), amounts.exact(one.size)) for one in side]
        for side in (command.bids, command.asks)
    )
    return bids, asks


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise BadRequest(f"frame_base64: {problem}") from None
