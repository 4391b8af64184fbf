"""One trace of a leader's trade, and the guard's exit of what it bought, linked to it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from launcher.ports import free_port
from tests.money_path.world import World, eventually, world
from tests.support.collector import running_collector


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


async def _sold(made: World, traceparent: str) -> None:
    """A copy of a leader's trade, sold by a stop-loss."""
    scene = made.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    subscription = await scene.subscribe(1)
    trade = scene.trade(size="100", price="0.5")
    trade.traceparent = traceparent
    scene.put(trade)
    await scene.settled(1)
    stop = await scene.add_trigger(1, subscription, "STOP_LOSS", "0.40")
    await eventually(lambda: scene.stands(stop, "ARMED"))
    await scene.set_book({"0.50": "1000"}, {"0.38": "1000"})
    await scene.settled(2)


async def test_an_exit_of_the_guard_is_linked_to_the_trade_that_bought(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    bought = secrets.token_hex(16)
    with running_collector() as (port, received):
        async with world(database_url, redis_url, tmp_path) as made:
            made.ports["events"] = free_port()
            made.configure(
                TT_EVENTS_LISTEN=made.target("events"),
                TT_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
                OTEL_BSP_SCHEDULE_DELAY="200",
            )
            await made.start_all()
            made.start("events")
            await _sold(made, f"00-{bought}-{secrets.token_hex(8)}-01")

            async def told() -> bool:
                return any(span.name == "guard.exit" for span in _spans(received))

            await eventually(told)
    spans = list(_spans(received))
    names = {span.name for span in spans if span.trace_id.hex() == bought}
    assert {"router.claim", "executor.submit", "confirm.event"} <= names
    (closed,) = [span for span in spans if span.name == "guard.exit"]
    assert [link.trace_id.hex() for link in closed.links] == [bought]
    claims = {span.trace_id for span in spans if span.name == "guard.claim"}
    assert closed.trace_id in claims
    assert closed.trace_id.hex() != bought
