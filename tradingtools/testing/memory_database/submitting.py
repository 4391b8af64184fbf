"""`submit_batch`, `submit_again` and `denials` of the migrations, as twins.

May these orders be sent now?
"""

from __future__ import annotations

from typing import Any

import msgspec

from tradingtools.testing.memory_database.building import build_rows
from tradingtools.testing.memory_database.functions import (
    CONTROL_LOCK,
    SUBMITTING_LOCK,
    apply_transitions,
    holds_lease,
)
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction


def submit_batch(tx: Transaction, values: Row) -> Row:
    """Make a batch durable as SUBMITTING, or say why not."""
    keys = [key for key in values["keys"].split(",") if key]
    tx.lock(CONTROL_LOCK, shared=True)
    tx.lock((*SUBMITTING_LOCK, values["partition"]))
    if not holds_lease(tx, "executor", values["partition"], values["epoch"]):
        return {"fenced": True}
    _build_what_has_these_keys(tx, values["partition"], set(keys))
    if _something_has_changed(tx, values, keys):
        denied = denials(tx, msgspec.json.decode(values["orders"]))
        if denied:
            return {"denied": denied}
    row = tx.insert_unless_there(
        "journal",
        {
            "kind": "SUBMITTING",
            "role": "executor",
            "record_key": values["record_key"],
            "partition": values["partition"],
            "epoch": values["epoch"],
            "payload": values["payload"],
            "order_count": len(keys),
        },
        ("record_key",),
    )
    return {"duplicate": True} if row is None else {"seq": row["seq"]}


_OF_ROW = (
    "order_key", "purpose", "subscription_id", "subscription_version", "follower_proxy", "leader",
    "condition_id", "not_after_ms",
)  # fmt: skip


def submit_again(tx: Transaction, values: Row) -> Row:
    """UNKNOWN -> SUBMITTING of one order that confirm wants to be sent again."""
    tx.lock(CONTROL_LOCK, shared=True)
    if not holds_lease(tx, "executor", values["partition"], values["epoch"]):
        return {"fenced": True}
    order = tx.get("orders", values["order_key"])
    expected = values["expected_epoch"]
    desired = (values["partition"], "UNKNOWN", expected, expected)
    columns = ("partition", "state", "epoch", "send_again_epoch")
    if order is None or tuple(order[name] for name in columns) != desired:
        return {}
    tx.lock_row("orders", order)
    denied = _held_back(tx, tuple(order[name] for name in _OF_ROW))
    if denied:
        tx.update("orders", order, send_again_epoch=None)
        return {"denied": denied}
    step = {
        "order_key": order["order_key"], "from_state": "UNKNOWN", "to_state": "SUBMITTING",
        "expected_epoch": expected, "epoch": expected + 1, "attempt": order["attempt"] + 1,
        "lease_ms": values["lease_ms"],
    }  # fmt: skip
    apply_transitions(tx, [step])
    return {"epoch": step["epoch"], "attempt": step["attempt"]}


def _build_what_has_these_keys(tx: Transaction, partition: int, keys: set[str]) -> None:
    """A key that an open record has becomes a row, and is refused as such."""
    desired = {"partition": partition, "rows_built_at": None, "set_aside": None}
    records = sorted(tx.where("journal", **desired), key=lambda row: row["seq"])
    meeting = [
        record["seq"]
        for record in records
        if record["kind"] == "SUBMITTING"
        and keys
        & {order["order_key"] for order in msgspec.json.decode(record["payload"])["orders"]}
    ]
    for record in records:
        if meeting and record["seq"] <= meeting[-1]:
            build_rows(tx, record["seq"])


def _something_has_changed(tx: Transaction, values: Row, keys: list[str]) -> bool:
    """The cheap question that comes before `denials`."""
    if tx.rows("halt"):
        return True
    if any(
        c["seq"] > values["control_seq"] and c["subject_kind"] == "subscription"
        for c in tx.rows("control_change")
    ):
        return True
    if values["not_after"] * 1000 <= tx.now_us:
        return True
    orders = (tx.get("orders", key) for key in keys)
    if any(order is not None and order["state"] != "CLAIMED" for order in orders):
        return True
    return any(record["set_aside"] is not None for record in tx.rows("journal"))


_COLUMNS = (
    "order_key", "purpose", "subscription_id", "version", "wallet", "leader", "condition_id",
    "not_after_ms",
)  # fmt: skip


def denials(tx: Transaction, orders: list[Row]) -> dict[str, str]:
    """Return why each of these orders may not be sent now; not named: it may."""
    aside = quarantined_keys(tx)
    found: dict[str, str] = {}
    for order in (tuple(fields[name] for name in _COLUMNS) for fields in orders):
        reason = _denial(tx, order, aside)
        if reason:
            found[order[0]] = reason
    return found


def held_back(tx: Transaction, orders: list[Row]) -> dict[str, str]:
    """Return why each of these orders, which were let out, may not leave any more; not named: it
    may."""
    found: dict[str, str] = {}
    for fields in orders:
        row = tx.get("orders", fields["order_key"])
        fenced = row is not None and row["epoch"] > fields["epoch"]
        why = _held_back(tx, tuple(fields[name] for name in _COLUMNS))
        if fenced or why:
            found[fields["order_key"]] = "HANDLED_BEFORE" if fenced else why
    return found


def quarantined_keys(tx: Transaction) -> set[str]:
    """Orders of records that cannot become rows: they may have been sent."""
    return {
        key
        for record in tx.rows("journal")
        if record["set_aside"] is not None
        for key in record["aside_keys"] or ()
    }


def _denial(tx: Transaction, order: tuple[Any, ...], aside: set[str]) -> str:
    row = tx.get("orders", order[0])
    if (row is not None and row["state"] != "CLAIMED") or order[0] in aside:
        return "HANDLED_BEFORE"
    return _held_back(tx, order)


def _held_back(tx: Transaction, order: tuple[Any, ...]) -> str:
    _, purpose, subscription_id, version, wallet, leader, condition_id, not_after_ms = order
    if not_after_ms * 1000 <= tx.now_us:
        return "EXPIRED"
    subjects = {"GLOBAL": None, "WALLET": wallet, "LEADER": leader, "MARKET": condition_id}
    modes = {
        halt["mode"]
        for halt in tx.rows("halt")
        if halt["scope"] == "GLOBAL" or halt["subject"] == subjects[halt["scope"]]
    }
    entry = purpose == "ENTRY"
    if "HALTED" in modes or (entry and modes):
        return "HALTED"
    return _entry_denial(tx, subscription_id, version) if entry else ""


def _entry_denial(tx: Transaction, subscription_id: str, version: int) -> str:
    subscription = tx.get("subscription", subscription_id)
    if subscription is None or subscription["state"] != "ACTIVE":
        return "PAUSED"
    return "SUBSCRIPTION_CHANGED" if subscription["version"] != version else ""
