"""Twins of `services/confirm/queries.sql`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from tradingtools.testing.memory_database import functions
from tradingtools.testing.memory_database.balances import BALANCES
from tradingtools.testing.memory_database.paying import PAYING
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import (
    Transaction,
    Twin,
    microseconds,
    nanoseconds,
)

WATCH_IS_OVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""When an order is asked for that is not asked for again."""
_LOT = ("follower_proxy", "asset_id", "origin")


def lock_order(tx: Transaction, values: Row) -> list[Row]:
    """One order, locked."""
    row = tx.get("orders", values["order_key"])
    if row is None:
        return []
    tx.lock_row("orders", row)
    return [dict(row)]


def fills(tx: Transaction, values: Row) -> list[Row]:
    """What is booked of an order."""
    names = (
        "trade_id", "status", "size_micros", "notional_micros", "fee_micros", "cost_micros",
    )  # fmt: skip
    return [_pick(row, names) for row in tx.where("fill", order_key=values["order_key"])]


def make_lot(tx: Transaction, values: Row) -> list[Row]:
    """The lot, if it is not there yet."""
    tx.insert_unless_there("lot", values)
    return []


def lock_lot(tx: Transaction, values: Row) -> list[Row]:
    """One lot, locked."""
    row = _lot(tx, values)
    if row is None:
        return []
    tx.lock_row("lot", row)
    return [dict(row)]


def lot_entries(tx: Transaction, values: Row) -> list[Row]:
    """What a lot was bought for, oldest first."""
    found = tx.where("lot_entry", **{name: values[name] for name in _LOT})
    return _entries(list(found))


def entries_of_trade(tx: Transaction, values: Row) -> list[Row]:
    """What is left of a trade's shares."""
    found = tx.where("lot_entry", order_key=values["order_key"], trade_id=values["trade_id"])
    return _entries(list(found))


def _entries(rows: list[Row]) -> list[Row]:
    names = ("entry_seq", "size_micros", "cost_micros")
    found = [_pick(row, names) for row in rows if row["size_micros"] > 0]
    return sorted(found, key=lambda row: row["entry_seq"])


def add_entry(tx: Transaction, values: Row) -> list[Row]:
    """Shares that came into a lot."""
    tx.insert("lot_entry", values)
    return []


def set_entry(tx: Transaction, values: Row) -> list[Row]:
    """What is left of them."""
    row = tx.get("lot_entry", values["entry_seq"])
    if row is not None:
        size, cost = values["size_micros"], values["cost_micros"]
        tx.update("lot_entry", row, size_micros=size, cost_micros=cost)
    return []


_MOVED = {
    "shares_micros": "shares",
    "cost_micros": "cost",
    "bought_size_micros": "bought_size",
    "bought_notional_micros": "bought_notional",
    "sold_size_micros": "sold_size",
    "sold_notional_micros": "sold_notional",
    "fee_micros": "fee",
    "realised_micros": "realised",
    "resolved_size_micros": "resolved_size",
    "payout_micros": "payout",
}


def move_lot(tx: Transaction, values: Row) -> list[Row]:
    """Move a lot's sums."""
    row = _lot(tx, values)
    if row is None:
        return []
    changes = {column: row[column] + values[name] for column, name in _MOVED.items()}
    after = tx.update("lot", row, **changes, updated_at=tx.now)
    return [_pick(after, ("shares_micros", "cost_micros"))]


def default_triggers(tx: Transaction, values: Row) -> list[Row]:
    """What a subscription guards a new position with."""
    row = tx.get("subscription", values["id"])
    return [{"triggers": row["triggers"]}] if row is not None and row["triggers"] else []


def add_trigger(tx: Transaction, values: Row) -> list[Row]:
    """A trigger of a new position."""
    rungs = values["rungs"] if values["rungs"] is None else json.loads(values["rungs"])
    tx.insert("trigger", {**values, "rungs": rungs, "status": "ARMED"})
    return []


def add_trigger_event(tx: Transaction, values: Row) -> list[Row]:
    """The first entry of its history."""
    tx.insert("trigger_event", {**values, "from_status": "", "to_status": "ARMED"})
    return []


def add_fill(tx: Transaction, values: Row) -> list[Row]:
    """A trade of an order."""
    tx.insert("fill", {**values, "status": "MATCHED"})
    return []


def end_fill(tx: Transaction, values: Row) -> list[Row]:
    """A trade is final or undone."""
    row = tx.get("fill", values["order_key"], values["trade_id"])
    if row is not None:
        tx.update("fill", row, status=str(values["status"]), final_at=tx.now)
    return []


def move_order(tx: Transaction, values: Row) -> list[Row]:
    """Move an order's totals."""
    row = tx.get("orders", values["order_key"])
    if row is None:
        return []
    after = tx.update(
        "orders",
        row,
        filled_size_micros=row["filled_size_micros"] + values["size"],
        filled_notional_micros=row["filled_notional_micros"] + values["notional"],
        fee_micros=row["fee_micros"] + values["fee"],
    )
    return [{"filled_size_micros": after["filled_size_micros"]}]


def add_booking(tx: Transaction, values: Row) -> list[Row]:
    """What the stream of fills carries, once."""
    given = {**values, "order_state": str(values["order_state"]), "reason": str(values["reason"])}
    tx.insert_unless_there("booking", given, ("order_key", "kind", "trade_id"))
    return []


def postpone(tx: Transaction, values: Row) -> list[Row]:
    """When an order is looked at again."""
    row = _as_it_was(tx, values)
    if row is not None:
        later = tx.now + timedelta(milliseconds=values["milliseconds"])
        count = values["not_found_count"]
        tx.update("orders", row, next_check_at=later, not_found_count=count)
    return []


def send_again(tx: Transaction, values: Row) -> list[Row]:
    """Want another attempt."""
    row = _as_it_was(tx, {**values, "state": "UNKNOWN"})
    if row is not None:
        later = tx.now + timedelta(milliseconds=values["milliseconds"])
        tx.update("orders", row, send_again_epoch=row["epoch"], next_check_at=later)
    return []


def _as_it_was(tx: Transaction, values: Row) -> Row | None:
    row = tx.get("orders", values["order_key"])
    if row is None or (row["state"], row["epoch"]) != (str(values["state"]), values["epoch"]):
        return None
    return row


def stop_watching(tx: Transaction, values: Row) -> list[Row]:
    """Never ask for an order again."""
    row = _as_it_was(tx, values)
    if row is not None:
        tx.update("orders", row, next_check_at=WATCH_IS_OVER)
    return []


def _last_event(tx: Transaction, order: Row) -> Row:
    events = tx.where("order_event", order_key=order["order_key"])
    return max(events, key=lambda event: event["event_seq"])


_LOOKED_AT = ("order_key", "state", "epoch", "not_after_ms", "not_found_count", "traceparent")
_WATCHED = (
    *_LOOKED_AT, "failed_kind", "side", "asset_id", "follower_proxy", "size_micros",
    "venue_order_id", "since_ms",
)  # fmt: skip


_ENDED = ("DEAD", "RESURRECTED", "CONFIRMED", "FAILED", "LOST")


def watched(tx: Transaction, values: Row) -> list[Row]:
    """Orders that the engine is done with and that are to be asked for again now."""
    found = []
    for row in tx.rows("orders"):
        next_at = row["next_check_at"]
        if row["state"] not in _ENDED or (next_at is not None and next_at > tx.now):
            continue
        since = _last_event(tx, row)["occurred_at"]
        if next_at is not None or since + timedelta(milliseconds=values["first_ms"]) <= tx.now:
            found.append({**row, "since_ms": round(microseconds(since) / 1000)})
    found.sort(key=_next_check)
    return [_pick(row, _WATCHED) for row in found[: values["limit"]]]


def _next_check(row: Row) -> int:
    return 0 if row["next_check_at"] is None else microseconds(row["next_check_at"])


def reduce_wallet(tx: Transaction, values: Row) -> list[Row]:
    """Let a wallet only sell."""
    changed = functions.reduce_wallet(tx, values["wallet"], values["actor"], values["reason"])
    return [{"changed": changed}]


def wallet(tx: Transaction, values: Row) -> list[Row]:
    """Whose an order is."""
    row = tx.get("orders", values["order_key"])
    return [] if row is None else [_pick(row, ("follower_proxy",))]


def reserve_again(tx: Transaction, values: Row) -> list[Row]:
    """Hold an order's reservation again."""
    row = tx.get("reservation", values["order_key"])
    if row is not None:
        tx.update("reservation", row, released_at=None)
    return []


def release(tx: Transaction, values: Row) -> list[Row]:
    """Let go of an order's reservation."""
    row = tx.get("reservation", values["order_key"])
    if row is None or row["released_at"] is not None:
        return []
    tx.update("reservation", row, released_at=tx.now)
    return [_pick(row, ("order_key",))]


def unresolved(tx: Transaction, _values: Row) -> list[Row]:
    """What a person has to know of: how many, and the age of the oldest."""
    ages: dict[str, list[int]] = {}
    for row in tx.rows("orders"):
        over = row["state"] == "LOST" and row["next_check_at"] == WATCH_IS_OVER
        if row["state"] in ("UNKNOWN", "DEAD", "LOST", "RESURRECTED") and not over:
            age_us = tx.now_us - microseconds(_last_event(tx, row)["occurred_at"])
            ages.setdefault(row["state"], []).append(round(age_us / 1000))
    return [
        {"state": state, "orders": len(found), "oldest_ms": max(found)}
        for state, found in ages.items()
    ]


def due(tx: Transaction, values: Row) -> list[Row]:
    """Open orders that are to be looked at now."""
    found = [
        row
        for row in tx.rows("orders")
        if row["state"] in ("SUBMITTED", "UNKNOWN")
        and (row["next_check_at"] is None or row["next_check_at"] <= tx.now)
    ]
    found.sort(key=_next_check)
    return [
        {
            **_pick(row, (*_LOOKED_AT, "attempt")),
            "since_ms": round(microseconds(_since(tx, row)) / 1000),
        }
        for row in found[: values["limit"]]
    ]


def _since(tx: Transaction, order: Row) -> datetime:
    """Since when an order is in its state; of one without a history, since it was claimed."""
    events = tx.where("order_event", order_key=order["order_key"], to_state=order["state"])
    last = max(events, key=lambda event: event["event_seq"], default=None)
    since: datetime = order["created_at"] if last is None else last["occurred_at"]
    return since


def leaseless(tx: Transaction, _values: Row) -> list[Row]:
    """SUBMITTING orders whose executor has not answered in time."""
    return [
        _pick(row, ("order_key", "epoch"))
        for row in tx.where("orders", state="SUBMITTING")
        if row["lease_until"] is not None and row["lease_until"] < tx.now
    ]


def unclosed(tx: Transaction, _values: Row) -> list[Row]:
    """Orders that have ended without their CLOSED booking."""
    since = tx.now - timedelta(days=1)
    closed = {row["order_key"] for row in tx.where("booking", kind="CLOSED")}
    return [
        {"order_key": row["order_key"]}
        for row in tx.rows("orders")
        if row["state"] in ("CONFIRMED", "FAILED", "LOST")
        and row["created_at"] > since
        and row["order_key"] not in closed
    ][:200]


def last_booking(tx: Transaction, _values: Row) -> list[Row]:
    """The newest booking."""
    return [{"seq": max((row["fill_seq"] for row in tx.rows("booking")), default=0)}]


_OF_LOT = ("subscription_id", "follower_proxy", "condition_id", "asset_id")
_OF_ORDER = ("purpose", "trigger_id", "side", "traceparent")


def bookings_after(tx: Transaction, values: Row) -> list[Row]:
    """Bookings after a number, oldest first."""
    found = [
        {**row, **_subject(tx, row), "booked_ns": nanoseconds(row["booked_at"])}
        for row in tx.rows("booking")
        if row["fill_seq"] > values["after"]
    ]
    return sorted(found, key=lambda row: row["fill_seq"])[: values["limit"]]


def _subject(tx: Transaction, booking: Row) -> Row:
    """What a booking is about: an order, or a payout, which has nothing of an order."""
    order = tx.get("orders", booking["order_key"])
    if order is not None:
        told = _pick(order, (*_OF_LOT, *_OF_ORDER))
        return {**told, "order_size_micros": order["size_micros"]}
    payout = tx.get("payout", booking["payout_id"]) or {}
    origin = payout["origin"]
    told = _pick({**payout, "subscription_id": None if origin == "manual" else origin}, _OF_LOT)
    return {**told, **dict.fromkeys((*_OF_ORDER, "order_size_micros"))}


def _lot(tx: Transaction, values: Row) -> Row | None:
    return tx.get("lot", *(values[name] for name in _LOT))


def _pick(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


def resolutions(tx: Transaction, _values: Row) -> list[Row]:
    """What operators have decided and nobody has carried out yet, oldest first."""
    found = sorted(tx.where("order_resolution", done_at=None), key=lambda row: row["id"])
    return [dict(row) for row in found[:20]]


def end_resolution(tx: Transaction, values: Row) -> list[Row]:
    """A decision was carried out or refused."""
    row = tx.get("order_resolution", values["id"])
    if row is not None and row["done_at"] is None:
        tx.update("order_resolution", row, done_at=tx.now, refused=values["refused"])
    return []


CONFIRM: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        lock_order, fills, make_lot, lock_lot, lot_entries, entries_of_trade, add_entry,
        set_entry, move_lot, default_triggers, add_trigger, add_trigger_event, add_fill,
        end_fill, move_order, add_booking, postpone, send_again, stop_watching, watched,
        reduce_wallet, wallet, reserve_again, release, unresolved, due, leaseless, unclosed,
        resolutions, end_resolution, last_booking, bookings_after,
    )
} | PAYING | BALANCES  # fmt: skip
