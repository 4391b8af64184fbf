"""An event as the wire has it."""

from __future__ import annotations

from services.events.core.derive import Event
from tradingtools.v1 import event_service_pb2 as pb

SOURCE = "/tradingtools"


def to_pb(number: int, event: Event) -> pb.Event:
    """Return an event of the log as gRPC readers get it."""
    message = pb.Event(
        id=f"evt_{event.log_number}_{event.part}",
        type=event.type,
        source=SOURCE,
        subject=event.subject,
        sequence=number,
        traceparent=event.traceparent,
        data=event.data,
    )
    message.time.FromDatetime(event.at)
    return message
