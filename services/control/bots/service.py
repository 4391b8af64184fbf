"""BotService: read, write what a person wants, encode."""

from __future__ import annotations

from datetime import UTC, datetime

from services.control import paging
from services.control.bots import codec
from services.control.bots.rules import PAUSE, RESUME, START, STOP, Command
from services.control.bots.signals import Signals, new_signal, signal
from services.control.bots.store import Bots
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields
from services.control.preconditions import expected_version
from tradingtools.rpc.headers import Context, idempotency_key
from tradingtools.v1 import bot_service_pb2 as pb
from tradingtools.v1 import bot_service_pb2_grpc as pb_grpc

_Wished = pb.StartBotRequest | pb.StopBotRequest | pb.PauseBotRequest | pb.ResumeBotRequest


class BotServicer(pb_grpc.BotServiceServicer):
    """Bots.

    Args:
        bots: as they are stored.
        signals: as they are stored.
    """

    def __init__(self, bots: Bots, signals: Signals) -> None:
        self._bots = bots
        self._signals = signals

    async def CreateBot(self, request: pb.CreateBotRequest, context: Context) -> pb.Bot:
        """Make one."""
        caller = caller_of(context)
        new = codec.new_bot(request, caller, idempotency_key(context))
        made = await self._bots.create(caller.id, new)
        return pb.Bot(**codec.bot(await self._bots.one(made)))

    async def ListBots(self, request: pb.ListBotsRequest, context: Context) -> pb.ListBotsResponse:
        """Return a page, the oldest first."""
        size = paging.size(request.page_size)
        state = pb.BotState.Name(request.state).removeprefix("BOT_STATE_") if request.state else ""
        scope_parts = request.wallet_id, state, request.exchange, request.strategy
        scope = ":".join(("bots", *scope_parts))
        after = paging.decode(scope, request.page_token, 1)
        rows = await self._bots.page(
            wallet=request.wallet_id, state=state, exchange=request.exchange,
            strategy=request.strategy, after=after, limit=size + 1,
            among=caller_of(context).exchanges,
        )  # fmt: skip
        page = rows[:size]
        answer: Fields = {"bots": [codec.bot(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return pb.ListBotsResponse(**answer)

    async def GetBot(self, request: pb.GetBotRequest, _context: Context) -> pb.Bot:
        """Return one."""
        return pb.Bot(**codec.bot(await self._bots.one(request.id)))

    async def UpdateBot(self, request: pb.UpdateBotRequest, context: Context) -> pb.Bot:
        """Change settings or limits."""
        version = expected_version(context, request)
        row = await self._bots.change(request, caller_of(context).id, version)
        return pb.Bot(**codec.bot(row))

    async def StartBot(self, request: pb.StartBotRequest, context: Context) -> pb.Bot:
        """Want it to run."""
        return await self._want(START, request, context)

    async def StopBot(self, request: pb.StopBotRequest, context: Context) -> pb.Bot:
        """Want it to end."""
        return await self._want(STOP, request, context)

    async def PauseBot(self, request: pb.PauseBotRequest, context: Context) -> pb.Bot:
        """Want it to wait."""
        return await self._want(PAUSE, request, context)

    async def ResumeBot(self, request: pb.ResumeBotRequest, context: Context) -> pb.Bot:
        """Want it to go on."""
        return await self._want(RESUME, request, context, request.reason)

    async def _want(
        self, command: Command, request: _Wished, context: Context, reason: str = ""
    ) -> pb.Bot:
        version = expected_version(context, request)
        caller = caller_of(context).id
        row = await self._bots.want(command, request.id, caller, version=version, reason=reason)
        return pb.Bot(**codec.bot(row))

    async def ListBotOrders(
        self, request: pb.ListBotOrdersRequest, _context: Context
    ) -> pb.ListBotOrdersResponse:
        """Return a page, the newest first."""
        size = paging.size(request.page_size)
        scope = f"bot-orders:{request.id}:{request.unsettled}"
        before = paging.decode(scope, request.page_token, 1)
        rows = await self._bots.orders(
            request.id, unsettled=request.unsettled, before=before, limit=size + 1
        )
        page = rows[:size]
        answer: Fields = {"orders": [codec.order(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return pb.ListBotOrdersResponse(**answer)

    async def SettleBotOrder(
        self, request: pb.SettleBotOrderRequest, context: Context
    ) -> pb.BotOrder:
        """Say what an order has filled that nobody could settle."""
        row = await self._bots.settle(request, caller_of(context).id)
        return pb.BotOrder(**codec.order(row))

    async def ExplainBotPosition(
        self, request: pb.ExplainBotPositionRequest, context: Context
    ) -> pb.ExplainBotPositionResponse:
        """Say where a position went that the exchange does not have."""
        await self._bots.explain(request, caller_of(context).id)
        return pb.ExplainBotPositionResponse(instrument_id=request.instrument_id)

    async def ListBotFills(
        self, request: pb.ListBotFillsRequest, _context: Context
    ) -> pb.ListBotFillsResponse:
        """Return a page, the last booked first."""
        size = paging.size(request.page_size)
        scope = f"bot-fills:{request.id}"
        key = paging.decode(scope, request.page_token, 1)
        before = None if key is None else codec.fill_number(key[1][0])
        rows = await self._bots.fills(request.id, before, size + 1)
        page = rows[:size]
        answer: Fields = {"fills": [codec.fill(row) for row in page]}
        if len(rows) > size:
            last = str(page[-1]["event_seq"])
            answer["next_page_token"] = paging.encode(scope, datetime.fromtimestamp(0, UTC), last)
        return pb.ListBotFillsResponse(**answer)

    async def CreateSignal(self, request: pb.CreateSignalRequest, context: Context) -> pb.Signal:
        """Keep one for the bots of a tenant; its id is what makes it repeatable, not the key."""
        idempotency_key(context)
        tenant = request.tenant or codec.DEFAULT_TENANT
        new = new_signal(request, tenant, datetime.now(UTC))
        return pb.Signal(**signal(await self._signals.create(new, caller_of(context).id)))

    async def ListSignals(
        self, request: pb.ListSignalsRequest, _context: Context
    ) -> pb.ListSignalsResponse:
        """Return a page, the last received first."""
        size = paging.size(request.page_size)
        scope = f"signals:{request.instrument_id}"
        before = paging.decode(scope, request.page_token, 2)
        rows = await self._signals.page(request.instrument_id, before, size + 1)
        page = rows[:size]
        answer: Fields = {"signals": [signal(row) for row in page]}
        if len(rows) > size:
            last = page[-1]
            answer["next_page_token"] = paging.encode(
                scope, last["received_at"], last["tenant"], last["id"]
            )
        return pb.ListSignalsResponse(**answer)
