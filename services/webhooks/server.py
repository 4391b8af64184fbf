"""WebhookService: what callers do with their endpoints, behind the edge."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from services.webhooks.core.addresses import Network, refusal
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.runner import Runner
from services.webhooks.store import Delivery, Endpoint, Key, Store
from tradingtools.domain.errors import InvalidField
from tradingtools.domain.event import types_of
from tradingtools.rpc.headers import Context, caller_of, idempotency_key
from tradingtools.storage.postgres import event_log
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import webhook_service_pb2 as pb
from tradingtools.v1 import webhook_service_pb2_grpc as rpc

_PAGE = 50
_ALL = "*.*"
_ORDERINGS = {
    pb.WEBHOOK_ORDERING_UNSPECIFIED: "LOG",
    pb.WEBHOOK_ORDERING_LOG: "LOG",
    pb.WEBHOOK_ORDERING_NONE: "NONE",
}


class WebhookServicer(rpc.WebhookServiceServicer):
    """Serves endpoints.

    Args:
        dispatcher: of all lanes.
        store: for what was delivered.
        pool: for the log.
        allowed: networks that the operator allows.
    """

    def __init__(
        self, dispatcher: Dispatcher, store: Store, pool: Pool, allowed: tuple[Network, ...]
    ) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._pool = pool
        self._allowed = allowed

    async def CreateWebhookEndpoint(
        self, request: pb.CreateWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Create an endpoint; see the contract."""
        self._check_url(request.url)
        types_of(request.types, "types")
        endpoint = Endpoint(
            id=f"whk_{secrets.token_hex(16)}",
            url=request.url,
            types=tuple(request.types),
            description=request.description,
            ordering=_ORDERINGS[request.ordering],
            created_at=datetime.now(UTC),
            secrets={},
        )
        actor = caller_of(context)
        made, secret = await self._dispatcher.create(endpoint, actor, _key(request, actor, context))
        return _to_pb(made, secret)

    async def ListWebhookEndpoints(
        self, _request: pb.ListWebhookEndpointsRequest, _context: Context
    ) -> pb.ListWebhookEndpointsResponse:
        """List all endpoints; see the contract."""
        return pb.ListWebhookEndpointsResponse(
            endpoints=[_to_pb(runner) for runner in self._dispatcher.all()]
        )

    async def GetWebhookEndpoint(
        self, request: pb.GetWebhookEndpointRequest, _context: Context
    ) -> pb.WebhookEndpoint:
        """Get an endpoint; see the contract."""
        return _to_pb(self._dispatcher.one(request.id))

    async def UpdateWebhookEndpoint(
        self, request: pb.UpdateWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Change an endpoint; see the contract."""
        self._dispatcher.one(request.id)
        if request.HasField("url"):
            self._check_url(request.url)
        types_of(_types(request), "types")
        change = partial(_changed, request)
        return _to_pb(await self._dispatcher.update(request.id, change, caller_of(context)))

    async def DeleteWebhookEndpoint(
        self, request: pb.DeleteWebhookEndpointRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Delete an endpoint; see the contract."""
        was = self._dispatcher.one(request.id)
        await self._dispatcher.delete(request.id, caller_of(context))
        return _to_pb(was)

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.WebhookEndpoint:
        """Make a new secret; see the contract."""
        return _to_pb(*await self._dispatcher.rotate(request.id, caller_of(context)))

    async def TestWebhookEndpoint(
        self, request: pb.TestWebhookEndpointRequest, _context: Context
    ) -> pb.WebhookDelivery:
        """Post a test message; see the contract."""
        return _delivery(await self._dispatcher.test(request.id))

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, _context: Context
    ) -> pb.ListWebhookDeliveriesResponse:
        """List attempts; see the contract."""
        self._dispatcher.one(request.id)
        size = request.page_size or _PAGE
        found = await self._store.deliveries(request.id, int(request.page_token or 0), size + 1)
        return pb.ListWebhookDeliveriesResponse(
            deliveries=[_delivery(made) for _, made in found[:size]],
            next_page_token=str(found[size - 1][0]) if len(found) > size else "",
        )

    async def ReplayWebhookEvents(
        self, request: pb.ReplayWebhookEventsRequest, _context: Context
    ) -> pb.WebhookEndpoint:
        """Deliver events again; see the contract."""
        if request.HasField("after") == request.HasField("since"):
            raise InvalidField(
                "after: expected, or since in its place", field="after", expected="after or since"
            )
        if request.HasField("after"):
            if request.HasField("until"):
                raise InvalidField(
                    "until: goes with since", field="until", expected="since beside it"
                )
            after, to = request.after, None
        else:
            after = await event_log.before(self._pool, _instant(request.since))
            to = None
            if request.HasField("until"):
                to = await event_log.before(self._pool, _instant(request.until))
        return _to_pb(await self._dispatcher.replay(request.id, after, to))

    def _check_url(self, url: str) -> None:
        expected = refusal(url, self._allowed)
        if expected:
            raise InvalidField(f"url: expected {expected}", field="url", expected=expected)


def _types(request: pb.UpdateWebhookEndpointRequest) -> tuple[str, ...]:
    return () if _ALL in request.types else tuple(request.types)


def _changed(request: pb.UpdateWebhookEndpointRequest, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint as a request that was checked wants it."""
    if request.HasField("url"):
        endpoint = replace(endpoint, url=request.url)
    if request.types:
        endpoint = replace(endpoint, types=_types(request))
    if request.HasField("description"):
        endpoint = replace(endpoint, description=request.description)
    if request.HasField("enabled"):
        reason = "" if request.enabled or endpoint.enabled else endpoint.disabled_reason
        endpoint = replace(endpoint, enabled=request.enabled, disabled_reason=reason)
    return endpoint


def _instant(given: Any) -> datetime:
    found: datetime = given.ToDatetime(UTC)
    return found


def _key(request: pb.CreateWebhookEndpointRequest, actor: str, context: Context) -> Key | None:
    """Return what makes a create repeatable; None: nothing. Raises InvalidField."""
    given = idempotency_key(context)
    if given is None:
        return None
    return Key(
        key=hashlib.sha256(f"{actor}:{given}".encode()).digest(),
        request=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
    )


def _to_pb(runner: Runner, secret: str = "") -> pb.WebhookEndpoint:
    endpoint, lane = runner.endpoint, runner.lane
    made = pb.WebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        types=endpoint.types,
        description=endpoint.description,
        ordering=pb.WEBHOOK_ORDERING_LOG
        if endpoint.ordering == "LOG"
        else pb.WEBHOOK_ORDERING_NONE,
        enabled=endpoint.enabled,
        disabled_reason=endpoint.disabled_reason,
        secret=secret,
        delivered_to=lane.position,
        retrying=sum(pending.attempts > 0 for pending in lane.pending.values()),
    )
    made.created_at.FromDatetime(endpoint.created_at)
    if lane.failing_since_ms is not None:
        made.failing_since.FromMilliseconds(lane.failing_since_ms)
    return made


def _delivery(made: Delivery) -> pb.WebhookDelivery:
    delivery = pb.WebhookDelivery(
        event_id=made.event_id,
        event_type=made.event_type,
        sequence=made.number,
        attempt=made.attempt,
        duration_ms=made.duration_ms,
        outcome=made.outcome,
        status=made.status,
        answer=made.answer,
    )
    delivery.at.FromDatetime(made.at)
    return delivery
