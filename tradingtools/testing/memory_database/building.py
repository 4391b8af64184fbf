"""`build_rows` and `build_claimed` of the migrations, as twins: journal records become rows."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import psycopg

from tradingtools.testing.memory_database.functions import apply_transitions
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, nanoseconds

_ORDER = (
    "order_key", "copy_key", "ordinal", "purpose", "subscription_version", "follower_user_id",
    "follower_wallet_id", "follower_proxy", "leader", "leader_tx", "condition_id", "asset_id",
    "side", "size_micros", "limit_micros", "time_in_force", "not_after_ms", "body_hash",
    "control_seq", "traceparent", "received_ns", "routed_ns",
)  # fmt: skip
_DECISION = (
    "leader_tx", "leader", "asset_id", "side", "subscription_id", "condition_id",
    "follower_proxy", "copied", "reason", "detail", "leader_size_micros",
    "leader_notional_micros", "frozen", "ordered_size_micros", "order_keys", "title",
)  # fmt: skip
_DECISION_KEPT = (
    "leader_tx", "leader", "asset_id", "side", "subscription_id", "condition_id",
    "follower_proxy", "title",
)  # fmt: skip
_LEADER_ROW = (
    "leader_tx", "leader", "asset_id", "side", "price_text", "size_micros", "source", "count",
    "price_micros", "condition_id", "traded_ms", "held_before_micros",
)  # fmt: skip
_LEADER_ROW_KEY = (*_LEADER_ROW[:4], "partition", *_LEADER_ROW[4:7])


def build_rows(tx: Transaction, seq: int) -> bool:
    """Turn one journal record into rows. Idempotent; False: they were there already."""
    record = tx.get("journal", seq)
    if record is None or record["rows_built_at"] is not None:
        return False
    tx.lock_row("journal", record)
    payload = msgspec.json.decode(record["payload"])
    committed_ns = nanoseconds(record["committed_at"])
    if record["kind"] == "CLAIMED":
        _build_claimed(tx, record, payload, committed_ns)
    else:
        for order in payload["orders"]:
            if tx.get("orders", order["order_key"]) is None:
                raise psycopg.errors.ForeignKeyViolation(f"{order['order_key']} has no row")
        apply_transitions(
            tx,
            [
                {
                    "order_key": order["order_key"],
                    "from_state": "CLAIMED",
                    "to_state": "SUBMITTING",
                    "expected_epoch": order["epoch"] - 1,
                    "epoch": order["epoch"],
                    "attempt": 1,
                    "lease_ms": payload["lease_ms"],
                    "submitting_ns": committed_ns,
                }
                for order in payload["orders"]
            ],
        )
    tx.update("journal", record, rows_built_at=tx.now)
    return True


def set_aside_record(tx: Transaction, seq: int, reason: str) -> None:
    """Leave a record to a person; what was to be sent becomes SUBMITTING, where it can."""
    record = tx.get("journal", seq)
    if record is None:
        return
    keys = [order["order_key"] for order in msgspec.json.decode(record["payload"])["orders"]]
    tx.update("journal", record, set_aside=reason, aside_keys=keys)
    if record["kind"] != "SUBMITTING":
        return
    for key in keys:
        step = {
            "order_key": key, "from_state": "CLAIMED", "to_state": "SUBMITTING",
            "expected_epoch": 0, "epoch": 1, "attempt": 1, "lease_ms": 15_000,
            "submitting_ns": nanoseconds(record["committed_at"]),
        }  # fmt: skip
        apply_transitions(tx, [step])


def _build_claimed(tx: Transaction, record: Row, payload: Row, committed_ns: int) -> None:
    for order in payload["orders"]:
        _build_order(tx, record, order, committed_ns)
    for decision in payload.get("decisions") or ():
        _build_decision(tx, record["seq"], decision)
    for row in payload.get("rows") or ():
        _build_leader_row(tx, record["partition"], row)


def _build_order(tx: Transaction, record: Row, order: Row, committed_ns: int) -> None:
    text = f"{order['order_key']}|CLAIMED|{order['body_hash']}|{record['seq']}"
    head = hashlib.sha256(text.encode()).digest()
    row = tx.insert_unless_there(
        "orders",
        {
            **_pick(order, _ORDER),
            "subscription_id": order["subscription_id"] or None,
            "trigger_id": order["trigger_id"] or None,
            "partition": record["partition"],
            "body": order["body"].encode(),
            "journal_seq": record["seq"],
            "state": "CLAIMED",
            "claimed_ns": committed_ns,
            "chain_head": head,
        },
        ("order_key",),
    )
    if row is None:
        return
    tx.insert(
        "order_event",
        {
            "order_key": row["order_key"],
            "from_state": "",
            "to_state": "CLAIMED",
            "reason": "",
            "epoch": 0,
            "hash": head,
        },
    )
    tx.insert(
        "reservation",
        {
            **_pick(order, ("order_key", "follower_proxy", "condition_id", "asset_id")),
            "subscription_id": order["subscription_id"] or None,
            "money_micros": order["reserved_money_micros"],
            "shares_micros": order["reserved_shares_micros"],
        },
    )


def _build_decision(tx: Transaction, seq: int, given: Row) -> None:
    values = {**_pick(given, _DECISION), "journal_seq": seq}
    if tx.insert_unless_there("decision", values) is not None:
        return
    key = (values[name] for name in _DECISION_KEPT[:5])
    known = tx.get("decision", *key)
    if known is None or known["journal_seq"] >= seq:
        return
    changes = {name: value for name, value in values.items() if name not in _DECISION_KEPT}
    tx.update("decision", known, **changes, updated_at=tx.now)


def _build_leader_row(tx: Transaction, partition: int, given: Row) -> None:
    values = {**_pick(given, _LEADER_ROW), "partition": partition}
    if tx.insert_unless_there("leader_row", values) is not None:
        return
    known = tx.get("leader_row", *(values[name] for name in _LEADER_ROW_KEY))
    if known is None:
        return
    held = known["held_before_micros"]
    tx.update(
        "leader_row",
        known,
        count=max(known["count"], values["count"]),
        held_before_micros=values["held_before_micros"] if held is None else held,
    )


def _pick(given: Row, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names}
