"""TriggerService: decode, store, encode."""

from __future__ import annotations

from services.control import paging, parsing
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields
from services.control.preconditions import expected_version, request_id
from services.control.triggers import codec, rules, simple_codec
from services.control.triggers.store import Triggers
from tradingtools.domain import ids
from tradingtools.rpc.headers import Context
from tradingtools.v1 import trigger_service_pb2 as pb
from tradingtools.v1 import trigger_service_pb2_grpc as pb_grpc

_CHANGEABLE = (
    "one of triggerPrice, size, callbackPrice, callbackFraction, fireAtMs, rungs, breakEven,"
    " twoTicks"
)


class TriggerServicer(pb_grpc.TriggerServiceServicer):
    """Take-profit and stop-loss of lots.

    Args:
        triggers: where they are kept.
    """

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers

    async def CreateTrigger(self, request: pb.CreateTriggerRequest, context: Context) -> pb.Trigger:
        """Make a trigger."""
        new = codec.new_trigger(request)
        identity = request_id(context, "CreateTrigger", request)
        row = await self._triggers.create(caller_of(context), identity, new)
        return pb.Trigger(**codec.trigger_fields(row))

    async def GetTrigger(self, request: pb.GetTriggerRequest, context: Context) -> pb.Trigger:
        """One trigger."""
        return pb.Trigger(**codec.trigger_fields(await self._triggers.get(request.id)))

    async def ListTriggers(
        self, request: pb.ListTriggersRequest, context: Context
    ) -> pb.ListTriggersResponse:
        """Return a page of a wallet's, or of all."""
        wallet = request.wallet.lower()
        statuses = codec.statuses(request.status)
        scope = ":".join(["triggers", wallet, *statuses])
        size = paging.size(request.page_size)
        rows = await self._triggers.list(
            wallet, paging.decode(scope, request.page_token, 1), size + 1, statuses
        )
        page = rows[:size]
        answer: Fields = {"triggers": [codec.trigger_fields(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return pb.ListTriggersResponse(**answer)

    async def UpdateTrigger(self, request: pb.UpdateTriggerRequest, context: Context) -> pb.Trigger:
        """Change its terms."""
        price = request.trigger_price if request.HasField("trigger_price") else None
        terms = codec.trigger_terms(request, price)
        if terms == rules.TriggerTerms():
            raise parsing.refuse("body", _CHANGEABLE)
        version = expected_version(context, request)
        row = await self._triggers.update(caller_of(context), request.id, terms, version)
        return pb.Trigger(**codec.trigger_fields(row))

    async def DeleteTrigger(self, request: pb.DeleteTriggerRequest, context: Context) -> pb.Trigger:
        """Cancel it."""
        version = expected_version(context, request)
        row = await self._triggers.delete(caller_of(context), request.id, version=version)
        return pb.Trigger(**codec.trigger_fields(row))

    async def ListTriggerHistory(
        self, request: pb.ListTriggerHistoryRequest, context: Context
    ) -> pb.ListTriggerHistoryResponse:
        """A page of what happened to it, oldest first."""
        scope, size = f"history:{request.id}", paging.size(request.page_size)
        after = paging.decode(scope, request.page_token, 1)
        rows = await self._triggers.history(request.id, _event_seq(after), size + 1)
        page = rows[:size]
        response = pb.ListTriggerHistoryResponse(entries=[codec.history_entry(row) for row in page])
        if len(rows) > size:
            last = page[-1]
            response.next_page_token = paging.encode(
                scope, last["occurred_at"], str(last["event_seq"])
            )
        return response

    async def CreateSimpleTrigger(
        self, request: pb.CreateSimpleTriggerRequest, context: Context
    ) -> pb.SimpleTrigger:
        """Make one in the product backend's shape."""
        new = simple_codec.new_trigger(request)
        identity = request_id(context, "CreateSimpleTrigger", request)
        return simple_codec.message(await self._triggers.create(caller_of(context), identity, new))

    async def ListSimpleTriggers(
        self, request: pb.ListSimpleTriggersRequest, context: Context
    ) -> pb.ListSimpleTriggersResponse:
        """A page of a wallet's that have this shape."""
        wallet = parsing.canonical(ids.wallet, request.wallet_address, "walletAddress")
        scope, size = f"simple:{wallet}", paging.size(request.page_size)
        rows = await self._triggers.list(
            wallet, paging.decode(scope, request.page_token, 1), size + 1
        )
        page = rows[:size]
        response = pb.ListSimpleTriggersResponse(
            triggers=[
                simple_codec.message(row)
                for row in page
                if row["trigger_type"] in simple_codec.KINDS
            ]
        )
        if len(rows) > size:
            response.next_page_token = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return response


def _event_seq(after: paging.Key | None) -> int:
    if after is None:
        return 0
    text = after[1][0]
    if not (text.isdecimal() and len(text) <= 18):
        raise parsing.refuse("pageToken", "a token from the page before of the same list")
    return int(text)
