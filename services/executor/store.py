"""Writes of the executor: SUBMITTING before the POSTs, rows and answers behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from psycopg.rows import DictRow

from services.executor.core.breaker import Breaker
from services.executor.core.pre_trade_limits import Halt
from tradingtools import clock
from tradingtools.domain.order import Order
from tradingtools.domain.order_states import OrderState
from tradingtools.runtime import instruments
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_log = structlog.get_logger("executor.store")
_late = instruments.counter(
    "tradingtools.executor",
    "late_acceptances",
    "answers after the fence, by the state they found",
    instruments.each(state=OrderState),
)
_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer of the SUBMITTING statement."""

    seq: int = 0
    """The committed record; 0: nothing may be sent."""
    denied: dict[str, str] | None = None
    """Reason by order key; nothing of the batch was committed."""
    duplicate: bool = False
    """This record was there already: somebody may have sent it."""
    gates_checked_ns: int = 0
    """The gates were looked at after it, `monotonic_ns`."""


async def submit_batch(
    pool: Pool, lease: Lease, orders: Sequence[Order], control_seq: int, lease_ms: int
) -> Admission:
    """Make a batch durable as SUBMITTING, or learn why not.

    Raises:
        Fenced: this process does not own the partition any more.
    """
    payload = _encode(
        {
            "orders": [
                {"order_key": o.order_key, "body_hash": o.body_hash, "epoch": 1} for o in orders
            ],
            "lease_ms": lease_ms,
        }
    )
    # One value instead of an array a column: psycopg writes arrays item by item.
    gated = _encode([_gated(o) for o in orders])
    async with pool.connection() as connection:
        requested_ns = clock.monotonic_ns()
        row = await connection.fetch_row(
            _QUERIES["submit_batch"],
            {
                "record_key": _record_key(orders, lease),
                "partition": lease.partition,
                "epoch": lease.epoch,
                "payload": payload,
                "control_seq": control_seq,
                "keys": ",".join([o.order_key for o in orders]),
                "not_after": min(o.not_after_ms for o in orders),
                "orders": gated.decode(),
            },
        )
    answer: dict[str, Any] = row["answer"] if row is not None else {}
    if answer.get("fenced"):
        raise Fenced(f"the lease of executor {lease.partition} has run out")
    return Admission(
        seq=answer.get("seq", 0),
        denied=answer.get("denied"),
        duplicate=bool(answer.get("duplicate")),
        gates_checked_ns=requested_ns,
    )


def _gated(order: Order) -> dict[str, Any]:
    """Return what the gates examine of an order."""
    return {
        "order_key": order.order_key,
        "purpose": order.purpose,
        "subscription_id": order.subscription_id,
        "version": order.subscription_version,
        "wallet": order.follower.proxy,
        "leader": order.leader,
        "condition_id": order.condition_id,
        "not_after_ms": order.not_after_ms,
    }


async def held_back(pool: Pool, orders: Sequence[tuple[Order, int]]) -> tuple[dict[str, str], int]:
    """Return why orders that are SUBMITTING at these epochs may not be sent, by order key.

    And after which instant the gates were looked at, `monotonic_ns`.
    """
    records = _encode([_gated(order) | {"epoch": epoch} for order, epoch in orders]).decode()
    async with pool.connection() as connection:
        requested_ns = clock.monotonic_ns()
        cursor = await connection.execute(_QUERIES["held_back"], {"orders": records})
        return {row["order_key"]: row["reason"] for row in await cursor.fetchall()}, requested_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Resubmission:
    """A committed UNKNOWN -> SUBMITTING."""

    epoch: int
    number: int
    """Of the attempt, from 2."""
    gates_checked_ns: int
    """The gates were looked at after it, `monotonic_ns`."""


async def submit_again(
    pool: Pool, lease: Lease, order_key: str, expected_epoch: int, lease_ms: int
) -> Resubmission | None:
    """Make another attempt durable before its first byte leaves; None: it must not be sent.

    Raises:
        Fenced: this process does not own the partition any more.
    """
    async with pool.connection() as connection:
        requested_ns = clock.monotonic_ns()
        cursor = await connection.execute(
            _QUERIES["submit_again"],
            {
                "partition": lease.partition,
                "epoch": lease.epoch,
                "order_key": order_key,
                "expected_epoch": expected_epoch,
                "lease_ms": lease_ms,
            },
        )
        row = await cursor.fetchone()
    answer: dict[str, Any] = row["answer"] if row is not None else {}
    if answer.get("fenced"):
        raise Fenced(f"the lease of executor {lease.partition} has run out")
    if "denied" in answer:
        _log.info("not sent again", order=order_key, reason=answer["denied"])
    if "attempt" not in answer:
        return None
    return Resubmission(
        epoch=answer["epoch"], number=answer["attempt"], gates_checked_ns=requested_ns
    )


async def halt(pool: Pool, desired: Halt, actor: str) -> bool:
    """Have no entries leave, durably; False: a halt of it stands already."""
    (row,) = await fetch(
        pool,
        "halt",
        scope=desired.scope,
        subject=desired.subject,
        actor=actor,
        reason=desired.reason,
    )
    return bool(row["changed"])


async def move_breaker(pool: Pool, dependency: str, version: int, target: Breaker) -> bool:
    """Compare-and-set a breaker's row; False: somebody was first."""
    moved = await fetch(
        pool,
        "move_breaker",
        dependency=dependency,
        version=version,
        state=target.state,
        openings=target.openings,
        retry_at_ms=target.retry_at_ms,
        prober=target.prober,
        reason=target.reason,
    )
    return bool(moved)


def _record_key(orders: Sequence[Order], lease: Lease) -> str:
    digest = hashlib.sha256("".join(sorted(o.order_key for o in orders)).encode()).hexdigest()
    return f"executor:{digest}:{lease.epoch}"


async def record(
    pool: Pool, lease: Lease, records: Sequence[int], transitions: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """Build the rows of journal records and apply transitions on them, in one transaction.

    Returns:
        The event number of each order that changed. An acceptance that changed nothing, because
        its order was fenced meanwhile, is kept as evidence and confirm looks at once.

    Raises:
        Fenced: orders were to fail unsent, and this process does not own the partition any more:
            the present owner may have sent them. An answer may be stored by anyone who has it.
    """
    async with pool.connection() as connection, connection.transaction():
        if any(t["from_state"] == OrderState.CLAIMED for t in transitions):
            await journal.check_lease(connection, lease)
        for seq in records:
            await journal.build_rows(connection, seq)
        changed = await journal.apply_transitions(connection, transitions)
        await _note_late(connection, [t for t in transitions if t["order_key"] not in changed])
    return changed


async def _note_late(connection: Connection, dropped: Sequence[dict[str, Any]]) -> None:
    accepted = [
        {name: t[name] for name in ("order_key", "venue_order_id", "answered_ns", "detail")}
        for t in dropped
        if t["to_state"] == OrderState.SUBMITTED
    ]
    if not accepted:
        return
    cursor = await connection.execute(
        _QUERIES["note_late_acceptances"], {"accepted": json.dumps(accepted)}
    )
    for row in await cursor.fetchall():
        _late.add(1, {"state": row["state"]})
        _log.error("accepted after it was fenced", order=row["order_key"], state=row["state"])


async def build_or_quarantine(pool: Pool, seq: int) -> None:
    """Build one record's rows, or set it aside when they cannot be built."""
    async with pool.connection() as connection:
        await journal.build_rows_or_quarantine(connection, seq)


async def execute(pool: Pool, name: str, **values: Any) -> None:
    """Run one named statement."""
    async with pool.connection() as connection:
        await connection.execute(_QUERIES[name], values)


async def fetch(pool: Pool, name: str, **values: Any) -> list[DictRow]:
    """Return all rows of one named query."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()
