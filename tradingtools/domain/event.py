"""An event of the log, which ones a reader wants, and its form for the world outside.

Before it: `services/events` derives events from the tables. After it: every reader of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from tradingtools.domain.errors import InvalidField
from tradingtools.domain.event_types import EventType

SOURCE: Final = "/tradingtools"
TYPES: Final = tuple(str(kind) for kind in EventType)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event, before it has its number in the log."""

    log_number: int
    part: int
    """Its place among the events of its row, from 0."""
    type: str
    subject: str
    """The resource that it is about: ``orders/<key>``, ``subscriptions/<id>`` and the like."""
    at: datetime
    follower_proxy: str = ""
    subscription_id: str = ""
    traceparent: str = ""
    data: str

    @property
    def id(self) -> str:
        """Return the id, the same whenever and however the event is read."""
        return f"evt_{self.log_number}_{self.part}"


class _OnExchange(msgspec.Struct, frozen=True):
    exchange: str


_placed = msgspec.json.Decoder(_OnExchange).decode
COPIES_EXCHANGE: Final = "polymarket"
OF_COPIES: Final = frozenset(
    {"leader", "copy", "order", "position", "trigger", "subscription", "wallet", "halt", "breaker"}
)
"""Kinds of events of followers' copies, which are all of one exchange."""
NAMES_EXCHANGE: Final = frozenset({"bot", "credentials"})
"""Kinds of events whose data names their exchange."""


def exchange_of(event: Event) -> str:
    """Return the exchange that an event is about; empty: it is about the whole engine."""
    kind, _, _ = event.type.partition(".")
    if kind in OF_COPIES:
        return COPIES_EXCHANGE
    return _placed(event.data).exchange if kind in NAMES_EXCHANGE else ""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a reader wants; an empty field takes all."""

    types: frozenset[str] = frozenset()
    follower_proxy: str = ""
    subscription_id: str = ""
    exchanges: frozenset[str] | None = None
    """Those that the reader may know of; None: all, and the whole engine."""

    def takes(self, event: Event) -> bool:
        """Return whether the reader wants an event."""
        return (
            (self.exchanges is None or exchange_of(event) in self.exchanges)
            and (not self.types or event.type in self.types)
            and (not self.follower_proxy or event.follower_proxy == self.follower_proxy)
            and (not self.subscription_id or event.subscription_id == self.subscription_id)
        )


def types_of(patterns: Iterable[str], field: str) -> frozenset[str]:
    """Return the types that patterns name: ``order.filled``, or ``order.*`` for all of a kind.

    Args:
        patterns: none: no type, which a selection takes for all.
        field: where they were given, for the error.

    Raises:
        InvalidField: no event is of such a type.
    """
    found: set[str] = set()
    for pattern in patterns:
        kind, _, rest = pattern.partition(".")
        named = [t for t in TYPES if t == pattern or (rest == "*" and t.startswith(f"{kind}."))]
        if not named:
            raise InvalidField(
                f"{field}: no event is of type {pattern}",
                field=field,
                expected="types that docs/events.md lists",
            )
        found.update(named)
    return frozenset(found)


class _CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    sequence: str
    datacontenttype: str
    traceparent: str = ""
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def cloud_event(number: int, event: Event) -> bytes:
    """Return an event as JSON in the form of CloudEvents 1.0: the bytes that everyone is sent.

    Args:
        number: in the log.
        event: of it.
    """
    return _encode(
        _CloudEvent(
            specversion="1.0",
            id=event.id,
            source=SOURCE,
            type=event.type,
            subject=event.subject,
            time=instant(event.at),
            sequence=str(number),
            datacontenttype="application/json",
            traceparent=event.traceparent,
            data=msgspec.Raw(event.data.encode()),
        )
    )


def instant(at: datetime) -> str:
    """Return an instant as RFC 3339 has it, in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
