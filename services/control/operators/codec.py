"""Halts and breakers as messages."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from services.control.messages import timestamp
from services.control.store import Row
from tradingtools.v1 import operator_service_pb2 as operator


def breaker(row: Row) -> operator.Breaker:
    """A circuit breaker's row."""
    retry_at = Timestamp()
    retry_at.FromMilliseconds(row["retry_at_ms"])
    return operator.Breaker(
        dependency=row["dependency"],
        state=operator.BreakerState.Value(f"BREAKER_STATE_{row['state']}"),
        reason=row["reason"],
        openings=row["openings"],
        retry_at=retry_at if row["retry_at_ms"] else None,
        prober=row["prober"],
        changed_at=timestamp(row["changed_at"]),
    )


def halt(row: Row) -> operator.Halt:
    """A halt's row."""
    return operator.Halt(
        scope=operator.HaltScope.Value(f"HALT_SCOPE_{row['scope']}"),
        subject=row["subject"],
        mode=operator.HaltMode.Value(f"HALT_MODE_{row['mode']}"),
        reason=row["reason"],
        set_at=timestamp(row["set_at"]),
    )
