"""Twins of `services/executor/queries.sql`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from tradingtools.testing.memory_database import functions, submitting
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin, nanoseconds


def submit_batch(tx: Transaction, values: Row) -> list[Row]:
    """Durable before the first byte leaves."""
    return [{"answer": submitting.submit_batch(tx, values)}]


def submit_again(tx: Transaction, values: Row) -> list[Row]:
    """Durable before the first byte of another attempt leaves."""
    return [{"answer": submitting.submit_again(tx, values)}]


def held_back(tx: Transaction, values: Row) -> list[Row]:
    """Return what was let out and may not leave any more."""
    found = submitting.held_back(tx, msgspec.json.decode(values["orders"]))
    return [{"order_key": key, "reason": reason} for key, reason in found.items()]


def to_send_again(tx: Transaction, values: Row) -> list[Row]:
    """Unanswered orders that confirm wants to be sent again."""
    found = []
    for order in tx.where("orders", state="UNKNOWN", partition=values["partition"]):
        held = tx.get("reservation", order["order_key"])
        if held is not None and order["send_again_epoch"] == order["epoch"]:
            found.append(_with_reservation(order, held))
    return sorted(found, key=lambda row: (row["purpose"] == "ENTRY", row["journal_seq"]))[:100]


def drop_send_again(tx: Transaction, values: Row) -> list[Row]:
    """One key is not one order any more: confirm decides again at once."""
    order, epoch = tx.get("orders", values["order_key"]), values["epoch"]
    desired = ("UNKNOWN", epoch, epoch)
    names = ("state", "epoch", "send_again_epoch")
    if order is not None and tuple(order[name] for name in names) == desired:
        tx.update("orders", order, send_again_epoch=None, next_check_at=tx.now)
    return []


def _with_reservation(order: Row, held: Row) -> Row:
    return {
        **order,
        "reserved_money_micros": held["money_micros"],
        "reserved_shares_micros": held["shares_micros"],
    }


def left_lately(tx: Transaction, values: Row) -> list[Row]:
    """Entries whose SUBMITTING was committed within the last minute."""
    names = (
        "order_key", "follower_proxy", "condition_id", "size_micros", "limit_micros",
        "submitting_ns",
    )  # fmt: skip
    found = [
        {name: order[name] for name in names}
        for order in tx.where("orders", partition=values["partition"], purpose="ENTRY")
        if order["created_at"] >= tx.now - timedelta(minutes=11)
        and order["submitting_ns"] >= values["since_ns"]
    ]
    return sorted(found, key=lambda row: (row["submitting_ns"], row["order_key"]))


def halt(tx: Transaction, values: Row) -> list[Row]:
    """Have no entries leave, durably."""
    desired = {name: values[name] for name in ("scope", "subject", "reason")}
    changed = functions.halt_by_engine(tx, desired | {"mode": "REDUCING"}, values["actor"])
    return [{"changed": changed}]


def breaker(tx: Transaction, values: Row) -> list[Row]:
    """Return how a circuit breaker stands, and whether nobody has taken over from its prober."""
    leased = {
        f"executor-{lease['partition']}@{lease['epoch']}"
        for lease in tx.where("partition_lease", role="executor")
    }
    return [
        {**row, "prober_lives": not row["prober"] or row["prober"] in leased}
        for row in tx.where("breaker", **values)
    ]


def add_breaker(tx: Transaction, values: Row) -> list[Row]:
    """A closed one, unless there is one."""
    tx.insert_unless_there("breaker", values)
    return []


def move_breaker(tx: Transaction, values: Row) -> list[Row]:
    """One of the executors moves it."""
    row = tx.get("breaker", values["dependency"])
    if row is None or row["version"] != values["version"]:
        return []
    version = row["version"] + 1
    changes = {**values, "state": str(values["state"]), "version": version, "changed_at": tx.now}
    tx.update("breaker", row, **changes)
    return [{"version": version}]


def last_record(tx: Transaction, _values: Row) -> list[Row]:
    """The newest journal record."""
    return [{"seq": max((row["seq"] for row in tx.rows("journal")), default=0)}]


def claimed_orders(tx: Transaction, values: Row) -> list[Row]:
    """Orders that are durable and not sent."""
    until = tx.now - timedelta(seconds=values["older_than_seconds"])
    found = []
    for order in tx.where("orders", state="CLAIMED", partition=values["partition"]):
        held = tx.get("reservation", order["order_key"])
        if held is not None and order["created_at"] <= until:
            found.append(_with_reservation(order, held))
    return sorted(found, key=lambda row: (row["purpose"] == "ENTRY", row["journal_seq"]))[:500]


def abandoned(tx: Transaction, values: Row) -> list[Row]:
    """Orders of an earlier life."""
    return [
        {"order_key": row["order_key"], "epoch": row["epoch"]}
        for row in tx.where("orders", state="SUBMITTING", partition=values["partition"])
    ]


def last_event(tx: Transaction, _values: Row) -> list[Row]:
    """The newest transition."""
    return [{"seq": max((row["event_seq"] for row in tx.rows("order_event")), default=0)}]


def events_after(tx: Transaction, values: Row) -> list[Row]:
    """Return what confirm may have missed, oldest first."""
    found = []
    for event in tx.rows("order_event"):
        step = (event["from_state"], event["to_state"])
        if event["event_seq"] <= values["after"]:
            continue
        order = tx.get("orders", event["order_key"])
        if order is not None and (step[0] == "SUBMITTING" or step == ("CLAIMED", "FAILED")):
            found.append(
                {
                    "event_seq": event["event_seq"],
                    "order_key": event["order_key"],
                    "to_state": event["to_state"],
                    "reason": event["reason"],
                    "detail": event["detail"],
                    "venue_order_id": order["venue_order_id"],
                    "traceparent": order["traceparent"],
                    "occurred_ns": nanoseconds(event["occurred_at"]),
                }
            )
    return sorted(found, key=lambda row: row["event_seq"])[: values["limit"]]


def note_late_acceptances(tx: Transaction, values: Row) -> list[Row]:
    """Keep acceptances of orders that were fenced meanwhile, and have confirm look at once."""
    late = []
    for acceptance in msgspec.json.decode(values["accepted"]):
        order = tx.get("orders", acceptance["order_key"])
        if order is None or order["state"] not in ("UNKNOWN", "LOST", "DEAD", "FAILED"):
            continue
        tx.insert_unless_there("late_acceptance", {**acceptance, "found_state": order["state"]})
        if order["state"] == "UNKNOWN":
            tx.update("orders", order, next_check_at=tx.now, send_again_epoch=None)
        late.append({"order_key": order["order_key"], "state": order["state"]})
    return late


EXECUTOR: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        submit_batch, last_record, claimed_orders, abandoned, last_event, events_after,
        note_late_acceptances, submit_again, held_back, to_send_again, left_lately, halt, breaker,
        add_breaker, move_breaker, drop_send_again,
    )
}  # fmt: skip
