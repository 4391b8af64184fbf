"""The database functions of the migrations, as twins: leases, gates, transitions.

`building` has the ones that turn journal records into rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from tradingtools.domain.order_states import RELEASING
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction

CONTROL_LOCK = ("advisory", 7305001)
"""Shared by every SUBMITTING commit, exclusive for every control change."""
SUBMITTING_LOCK = ("advisory", 7305002)
"""With the partition: one SUBMITTING commit of it at a time."""
BOOKING_LOCK = ("advisory", 7305003)
"""One transaction that books at a time."""


def holds_lease(tx: Transaction, role: str, partition: int, epoch: int) -> bool:
    """Return whether an owner may write; the row stays locked until its transaction ends."""
    row = tx.get("partition_lease", role, partition)
    if row is None or row["epoch"] != epoch:
        return False
    tx.lock_row("partition_lease", row, shared=True)
    return True


_KEPT_WHEN_ABSENT = (
    "epoch", "attempt", "venue_order_id", "held_ns", "submitting_ns", "first_byte_ns",
    "answered_ns", "confirmed_ns",
)  # fmt: skip


def apply_transitions(tx: Transaction, transitions: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Compare-and-set each order; the keys that changed come back with their event numbers."""
    done: dict[str, Row] = {}
    for step in transitions:
        order = tx.get("orders", step["order_key"])
        if order is None or order["order_key"] in done:
            continue
        if order["state"] != step["from_state"] or order["epoch"] != step["expected_epoch"]:
            continue
        tx.lock_row("orders", order)
        done[order["order_key"]] = _transition(tx, order, step)
    return [{"order_key": key, "event_seq": event["event_seq"]} for key, event in done.items()]


def reduce_wallet(tx: Transaction, wallet: str, actor: str, reason: str) -> bool:
    """Let a wallet only sell from now on; False: a halt of it stands already."""
    halt = {"scope": "WALLET", "subject": wallet, "mode": "REDUCING", "reason": reason}
    return halt_by_engine(tx, halt, actor)


def halt_by_engine(tx: Transaction, halt: Row, actor: str) -> bool:
    """Halt as an operator does; False: what stands already is as strict."""
    tx.lock(CONTROL_LOCK)
    before = tx.get("halt", halt["scope"], halt["subject"])
    if before is not None and before["mode"] in ("HALTED", halt["mode"]):
        return False
    if before is None:
        after = tx.insert("halt", halt)
    else:
        after = tx.update("halt", before, **halt, set_at=tx.now)
    subject = f"{halt['scope']}:{halt['subject']}"
    append_control_change(
        tx, actor, "engine", "halt", "halt", subject, _audit(after), before and _audit(before)
    )
    return True


def _audit(row: Row) -> Row:
    return {**row, "set_at": row["set_at"].isoformat()}


def append_control_change(
    tx: Transaction,
    actor: str,
    source: str,
    action: str,
    kind: str,
    subject: str,
    after: Row,
    before: Row | None = None,
) -> int:
    """Append a change to the chain; returns its number."""
    tx.lock(CONTROL_LOCK)
    last = max(tx.rows("control_change"), key=lambda row: row["seq"], default=None)
    previous = bytes(32) if last is None else last["hash"]
    text = json.dumps([actor, source, action, kind, subject, after], sort_keys=True)
    row = tx.insert(
        "control_change",
        {
            "actor": actor,
            "source": source,
            "action": action,
            "subject_kind": kind,
            "subject_id": subject,
            "before": before,
            "after": after,
            "previous_hash": previous,
            "hash": hashlib.sha256(previous + text.encode()).digest(),
        },
    )
    return int(row["seq"])


def _transition(tx: Transaction, order: Row, step: Mapping[str, Any]) -> Row:
    changes: Row = {name: step[name] for name in _KEPT_WHEN_ABSENT if step.get(name) is not None}
    epoch, reason = changes.get("epoch", order["epoch"]), step.get("reason") or ""
    text = f"{step['from_state']}|{step['to_state']}|{reason}|{epoch}|{tx.now_us}"
    head = hashlib.sha256(order["chain_head"] + text.encode()).digest()
    tx.update(
        "orders",
        order,
        **changes,
        state=str(step["to_state"]),
        reason=str(reason),
        failed_kind=step.get("failed_kind"),
        lease_until=_later(tx, step.get("lease_ms")),
        next_check_at=_later(tx, step.get("next_check_ms")),
        not_found_count=step.get("not_found_count") or 0,
        filled_size_micros=order["filled_size_micros"] + (step.get("size") or 0),
        filled_notional_micros=order["filled_notional_micros"] + (step.get("notional") or 0),
        fee_micros=order["fee_micros"] + (step.get("fee") or 0),
        chain_head=head,
    )
    detail = step.get("detail")
    event = tx.insert(
        "order_event",
        {
            "order_key": order["order_key"],
            "from_state": step["from_state"],
            "to_state": step["to_state"],
            "reason": reason,
            "epoch": epoch,
            "detail": None if detail is None else detail.encode(),
            "hash": head,
        },
    )
    if step["to_state"] in RELEASING:
        reservation = tx.get("reservation", order["order_key"])
        if reservation is not None and reservation["released_at"] is None:
            tx.update("reservation", reservation, released_at=tx.now)
    return event


def _later(tx: Transaction, milliseconds: int | None) -> Any:
    return None if milliseconds is None else tx.now + timedelta(milliseconds=milliseconds)


def submitting_committed(tx: Transaction, order_key: str, body_hash: str) -> bool:
    """Invariant I5, asked by the venue gateway: is it durable that these bytes may leave?"""
    row = tx.get("orders", order_key)
    if row is not None and row["body_hash"] == body_hash and row["attempt"] >= 1:
        return True
    return any(
        order["order_key"] == order_key and order["body_hash"] == body_hash
        for record in tx.rows("journal")
        if record["kind"] == "SUBMITTING" and record["rows_built_at"] is None
        for order in msgspec.json.decode(record["payload"])["orders"]
    )
