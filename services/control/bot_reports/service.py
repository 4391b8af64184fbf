"""BotReportService: read what became of bots, encode."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from services.control import paging
from services.control.bot_reports import codec, strategies
from services.control.bot_reports.rules import portfolio
from services.control.bot_reports.store import BotReports
from services.control.bots.codec import fill_number
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields, timestamp
from tradingtools import clock
from tradingtools.rpc.headers import Context
from tradingtools.v1 import bot_report_service_pb2 as pb
from tradingtools.v1 import bot_report_service_pb2_grpc as pb_grpc

_EPOCH = datetime.fromtimestamp(0, UTC)


class BotReportServicer(pb_grpc.BotReportServiceServicer):
    """Reports on bots.

    Args:
        reports: as they are stored.
        openapi: the OpenAPI document, which says what the settings of strategies are.
    """

    def __init__(self, reports: BotReports, openapi: str | bytes) -> None:
        self._reports = reports
        self._components: Callable[[], Any] = cache(
            lambda: json.loads(openapi)["components"]["schemas"]
        )

    async def ListBotPositions(
        self, request: pb.ListBotPositionsRequest, _context: Context
    ) -> pb.ListBotPositionsResponse:
        """Return the positions by instrument."""
        row = await self._reports.bot(request.id)
        now = clock.now_ms()
        answer: Fields = {
            "positions": [
                codec.position(instrument, held, now)
                for instrument, held in sorted((row["positions"] or {}).items())
            ]
        }
        if row["written_at"] is not None:
            answer["written_at"] = timestamp(row["written_at"])
        return pb.ListBotPositionsResponse(**answer)

    async def ListBotPnl(
        self, request: pb.ListBotPnlRequest, _context: Context
    ) -> pb.ListBotPnlResponse:
        """Return a page of the series, the newest first."""
        size, step = paging.size(request.page_size), codec.STEPS[request.step]
        since = _instant(request.from_ms) if request.HasField("from_ms") else None
        until = _instant(request.to_ms) if request.HasField("to_ms") else None
        scope = f"bot-pnl:{request.id}:{step}:{since}:{until}"
        key = paging.decode(scope, request.page_token, 1)
        rows = await self._reports.pnl(
            request.id, step=step, since=since, until=until,
            before=None if key is None else (key[0], key[1][0]), limit=size + 1,
        )  # fmt: skip
        page = rows[:size]
        answer: Fields = {"points": [codec.point(row) for row in page]}
        if len(rows) > size:
            last = page[-1]
            answer["next_page_token"] = paging.encode(scope, last["step"], last["currency"])
        return pb.ListBotPnlResponse(**answer)

    async def ListBotEvents(
        self, request: pb.ListBotEventsRequest, _context: Context
    ) -> pb.ListBotEventsResponse:
        """Return a page, the newest first."""
        size, scope = paging.size(request.page_size), f"bot-events:{request.id}"
        key = paging.decode(scope, request.page_token, 1)
        before = None if key is None else fill_number(key[1][0])
        rows = await self._reports.events(request.id, before, size + 1)
        page = rows[:size]
        answer: Fields = {"events": [codec.event(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, _EPOCH, str(page[-1]["number"]))
        return pb.ListBotEventsResponse(**answer)

    async def GetBotExplanation(
        self, request: pb.GetBotExplanationRequest, _context: Context
    ) -> pb.BotExplanation:
        """Return why it quotes what it quotes."""
        row = await self._reports.bot(request.id)
        orders = await self._reports.unsettled(request.id)
        return pb.BotExplanation(**codec.explanation(row, orders))

    async def ListStrategies(
        self, _request: pb.ListStrategiesRequest, _context: Context
    ) -> pb.ListStrategiesResponse:
        """Return all, by name."""
        found = [strategies.strategy(one, self._components()) for one in strategies.names()]
        return pb.ListStrategiesResponse(strategies=[pb.Strategy(**one) for one in found])

    async def GetStrategy(self, request: pb.GetStrategyRequest, _context: Context) -> pb.Strategy:
        """Return one."""
        return pb.Strategy(**strategies.strategy(request.name, self._components()))

    async def GetPortfolio(self, request: pb.GetPortfolioRequest, context: Context) -> pb.Portfolio:
        """Return what all bots of the caller's exchanges hold and have made."""
        rows = await self._reports.portfolio(request.tenant, caller_of(context).among)
        now = clock.now_ms()
        parts = portfolio(codec.book(row) for row in rows)
        return pb.Portfolio(parts=[pb.PortfolioPart(**codec.part(one, now)) for one in parts])


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
