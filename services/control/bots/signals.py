"""Signals for bots: what a client tells, checked, and as the contract has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from services.control import parsing
from services.control.messages import Fields, timestamp
from services.control.paging import Key
from services.control.store import Row, Store, queries
from tradingtools.domain.errors import Conflict
from tradingtools.v1 import bot_service_pb2 as pb

LONGEST = timedelta(days=1)
"""From a signal's making to its arrival, and to its end."""
CLOCK_ERROR = timedelta(seconds=10)
_SQL = queries("bots/queries")
_MILLION = 1_000_000
_DIRECTIONS = {
    pb.SIGNAL_DIRECTION_UP: 1,
    pb.SIGNAL_DIRECTION_DOWN: -1,
    pb.SIGNAL_DIRECTION_NEUTRAL: 0,
}
_NAMES = {value: pb.SignalDirection.Name(one) for one, value in _DIRECTIONS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """The signal that a client tells."""

    id: str
    tenant: str
    instrument_id: str
    direction: int
    confidence: int
    """In parts of a million."""
    made_at: datetime
    expires_at: datetime
    dated: bool
    """The sender said when it was made."""


def new_signal(request: pb.CreateSignalRequest, tenant: str, now: datetime) -> NewSignal:
    """Return the signal that a client tells.

    Args:
        request: of the client.
        tenant: of the request, or the default one.
        now: the instant at which it came.

    Raises:
        InvalidField: it was made too long ago, or later than now; it ends before that, or later
            than a day after it.
    """
    dated = request.HasField("made_at")
    made = _instant(request.made_at, "madeAt") if dated else now
    if not now - LONGEST <= made <= now + CLOCK_ERROR:
        raise parsing.refuse("madeAt", "an instant within the day before now")
    ends = _instant(request.expires_at, "expiresAt") if request.HasField("expires_at") else None
    ends = made + LONGEST if ends is None else ends
    if not made < ends <= made + LONGEST:
        raise parsing.refuse("expiresAt", "an instant after madeAt, by at most a day")
    return NewSignal(
        id=request.id,
        tenant=tenant,
        instrument_id=request.instrument_id,
        direction=_DIRECTIONS[request.direction],
        confidence=int(Decimal(request.confidence) * _MILLION),
        made_at=made,
        expires_at=ends,
        dated=dated,
    )


def _instant(at: Timestamp, field: str) -> datetime:
    try:
        return at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise parsing.refuse(field, "an instant") from None


def signal(row: Row) -> Fields:
    """Return a signal's fields."""
    confidence = f"{Decimal(row['confidence']) / _MILLION:f}"
    return {
        "id": row["id"],
        "tenant": row["tenant"],
        "instrument_id": row["instrument_id"],
        "direction": _NAMES[row["direction"]],
        "confidence": confidence.rstrip("0").rstrip(".") if "." in confidence else confidence,
        "made_at": timestamp(row["made_at"]),
        "expires_at": timestamp(row["expires_at"]),
        "received_at": timestamp(row["received_at"]),
    }


class Signals:
    """Signals in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, new: NewSignal, actor: str) -> Row:
        """Keep a signal, once; return it as it is kept.

        Args:
            new: what is reported.
            actor: the id of the caller's token.

        Raises:
            Conflict: another signal of the tenant has its id.
        """
        (row,) = await self._store.write(
            _SQL["tell_signal"],
            tenant=new.tenant, id=new.id, instrument=new.instrument_id, direction=new.direction,
            confidence=new.confidence, made_at=new.made_at, expires_at=new.expires_at, actor=actor,
        )  # fmt: skip
        same = (row["instrument_id"], row["direction"], row["confidence"]) == (
            new.instrument_id,
            new.direction,
            new.confidence,
        )
        if not same or (new.dated and row["made_at"] != new.made_at):
            raise Conflict(f"another signal is called {new.id}", kind="signal", field="id")
        return row

    async def page(self, instrument: str, before: Key | None, limit: int) -> list[Row]:
        """Return signals before a place, the last received first.

        Args:
            instrument: of them; empty: any.
            before: the last one of the page before; None: from the newest one on.
            limit: at most so many.
        """
        at, (tenant, name) = before or (None, ["", ""])
        return await self._store.rows(
            _SQL["signals"], instrument=instrument, at=at, tenant=tenant, id=name, limit=limit
        )
