"""One trace from the leader's frame to the webhook, and the guard's exit that is linked to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from launcher.ports import free_port
from tests.ingest.fake import Fake, fake_venue, frame
from tests.ingest.world import pointing_at, row
from tests.money_path.world import Scene, World, eventually, tx, world
from tests.support.collector import running_collector
from tests.webhooks.receivers import receiving
from tradingtools.v1 import webhook_service_pb2 as hooks_pb
from tradingtools.v1 import webhook_service_pb2_grpc as hooks_rpc

_LISTENING = ("ingest", "events", "webhooks")
_STOPPED = "guard.exit"
_DELIVERED = "webhooks.deliver"


async def test_one_trace_leads_from_the_leaders_frame_to_the_webhook(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The guard's exit has a trace of its own, which is linked to it."""
    with running_collector() as (port, received):
        async with (
            world(database_url, redis_url, tmp_path) as made,
            fake_venue() as venue,
            receiving() as receivers,
        ):
            made.ports |= {name: free_port() for name in _LISTENING}
            made.configure(
                **{f"TT_{name.upper()}_LISTEN": made.target(name) for name in _LISTENING},
                **pointing_at(venue),
                TT_ROUTER_INGEST_TARGET=made.target("ingest"),
                TT_WEBHOOKS_EVENTS_TARGET=made.target("events"),
                TT_WEBHOOKS_ALLOWED_NETWORKS="127.0.0.0/8",
                TT_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
                OTEL_BSP_SCHEDULE_DELAY="200",
            )
            await made.start_all()
            made.start("events")
            made.start("webhooks")
            await _listened(made, receivers.url("/ok"))
            scene = await _sold(made, venue)
            keys = [order["order_key"] for order in scene.orders()]

            async def delivered() -> bool:
                """Until the end of each order is taken, and told to the collector."""
                events = [json.loads(one.body) for one in receivers.journal["/ok"]]
                ended = {e["subject"] for e in events if e["type"] == "order.settled"}
                ids = {e["id"] for e in events}
                spans = list(_spans(received))
                reported = {_attribute(s, "event") for s in spans if s.name == _DELIVERED}
                exits = any(span.name == _STOPPED for span in spans)
                return {f"orders/{key}" for key in keys} <= ended and ids <= reported and exits

            await eventually(delivered)
    _judge(list(_spans(received)))


def _judge(spans: list[Span]) -> None:
    (started,) = [span for span in spans if span.name == "ingest.frame"]
    (closed,) = [span for span in spans if span.name == _STOPPED]
    bought = [span for span in spans if span.trace_id == started.trace_id]
    sold = [span for span in spans if span.trace_id == closed.trace_id]
    assert started.parent_span_id == b""
    names = {"ingest.frame", "router.claim", "executor.submit", "confirm.event", _DELIVERED}
    assert {span.name for span in bought} == names
    assert {span.name for span in sold} >= {"guard.claim", "executor.submit", _DELIVERED}
    # One tree: whoever looks at it sees the way from the frame to each end.
    known = {span.span_id for span in bought}
    assert all(span.parent_span_id in known for span in bought if span is not started)
    assert [link.trace_id for link in closed.links] == [started.trace_id]
    assert started.trace_id != closed.trace_id
    reported = [_attribute(span, "type") for span in bought if span.name == _DELIVERED]
    expected = ["leader.traded", "order.filled", "order.placed", "order.settled", "position.opened"]
    assert sorted(reported) == expected
    assert {_attribute(span, "outcome") for span in bought if span.name == _DELIVERED} == {
        "delivered"
    }


async def _listened(made: World, url: str) -> None:
    """Make a webhook endpoint, once its process answers."""
    async with made.channel("webhooks", "edge") as channel:
        stub: Any = hooks_rpc.WebhookServiceStub(channel)
        await stub.CreateWebhookEndpoint(
            hooks_pb.CreateWebhookEndpointRequest(
                url=url, types=["leader.*", "order.*", "position.*"]
            ),
            wait_for_ready=True,
            timeout=60,
        )


async def _sold(made: World, venue: Fake) -> Scene:
    """A copy of a leader's trade, sold by a stop-loss."""
    scene = made.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    # It asks whom it has to follow before it says that it serves.
    made.start("ingest")
    await eventually(lambda: _listens(venue))
    traded = row(
        1, proxy_wallet=scene.leader, transaction_hash=tx(), token_id=scene.asset,
        condition_id=scene.condition, price=0.5, size=100,
    )  # fmt: skip
    await venue.send(frame(traded), 0)
    await scene.settled(1)
    stop = await scene.add_trigger(1, subscription, "STOP_LOSS", "0.40")
    await eventually(lambda: scene.stands(stop, "ARMED"))
    await scene.set_book({"0.50": "1000"}, {"0.38": "1000"})
    await scene.settled(2)
    return scene


async def _listens(venue: Fake) -> bool:
    return bool(venue.sockets)


def _spans(received: Iterable[bytes]) -> Iterator[Span]:
    for sent in list(received):
        # Metrics come to the same collector; read as traces they have no span of ours.
        try:
            request = ExportTraceServiceRequest.FromString(sent)
        except DecodeError:
            continue
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


def _attribute(span: Span, name: str) -> str:
    (value,) = [each.value.string_value for each in span.attributes if each.key == name]
    return str(value)
