"""Events of the log as gRPC carries them between processes."""

from __future__ import annotations

from datetime import UTC

from tradingtools.domain.event import SOURCE, Event
from tradingtools.v1 import event_service_pb2 as pb


def to_pb(number: int, event: Event) -> pb.Event:
    """Return an event of the log as gRPC readers get it."""
    message = pb.Event(
        id=event.id,
        type=event.type,
        source=SOURCE,
        subject=event.subject,
        sequence=number,
        traceparent=event.traceparent,
        follower_proxy=event.follower_proxy,
        subscription_id=event.subscription_id,
        data=event.data,
    )
    message.time.FromDatetime(event.at)
    return message


def from_pb(message: pb.Event) -> Event:
    """Return the event behind a message of :func:`to_pb`."""
    _, log_number, part = message.id.split("_")
    return Event(
        log_number=int(log_number),
        part=int(part),
        type=message.type,
        subject=message.subject,
        at=message.time.ToDatetime(UTC),
        follower_proxy=message.follower_proxy,
        subscription_id=message.subscription_id,
        traceparent=message.traceparent,
        data=message.data,
    )
