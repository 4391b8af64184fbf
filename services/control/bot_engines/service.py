"""BotEngineService: read, write what a person wants, encode."""

from __future__ import annotations

from services.control.bot_engines import codec
from services.control.bot_engines.store import Engines
from services.control.edge.interceptors import caller_of
from tradingtools.rpc.headers import Context
from tradingtools.v1 import bot_engine_service_pb2 as pb
from tradingtools.v1 import bot_engine_service_pb2_grpc as pb_grpc


class BotEngineServicer(pb_grpc.BotEngineServiceServicer):
    """Engines of bots.

    Args:
        engines: as they are stored.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def ListBotEngines(
        self, _request: pb.ListBotEnginesRequest, context: Context
    ) -> pb.ListBotEnginesResponse:
        """Return those that can trade at the caller's exchanges, and the wallets that wait."""
        among = caller_of(context).among
        rows, waiting = await self._engines.all(among), await self._engines.waiting(among)
        return pb.ListBotEnginesResponse(
            engines=[pb.BotEngine(**codec.engine(row)) for row in rows], waiting_wallets=waiting
        )

    async def DrainBotEngine(
        self, request: pb.DrainBotEngineRequest, context: Context
    ) -> pb.BotEngine:
        """Want it drained."""
        row = await self._engines.drain(request.name, caller_of(context).id, draining=True)
        return pb.BotEngine(**codec.engine(row))

    async def UndrainBotEngine(
        self, request: pb.UndrainBotEngineRequest, context: Context
    ) -> pb.BotEngine:
        """Let it take wallets again."""
        row = await self._engines.drain(request.name, caller_of(context).id, draining=False)
        return pb.BotEngine(**codec.engine(row))
