"""Twins of `services/confirm/queries.sql`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from tradingtools.testing.memory_database import functions
from tradingtools.testing.memory_database.balances import BALANCES
from tradingtools.testing.memory_database.correcting import CORRECTING
from tradingtools.testing.memory_database.paying import PAYING
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import (
    Transaction,
    Twin,
    given,
    microseconds,
    nanoseconds,
)

WATCH_IS_OVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""When an order is asked for that is not asked for again."""
_LOT = ("follower_proxy", "asset_id", "origin")


def may_book(tx: Transaction, values: Row) -> list[Row]:
    """Return whether confirm may book; nobody else does until the transaction ends."""
    tx.lock(functions.BOOKING_LOCK)
    return [{"held": functions.holds_lease(tx, "confirm", 0, values["epoch"])}]


def lock_orders(tx: Transaction, values: Row) -> list[Row]:
    """Orders, locked."""
    found = [tx.get("orders", key) for key in sorted(set(values["keys"]))]
    rows = [row for row in found if row is not None]
    for row in rows:
        tx.lock_row("orders", row)
    names = (
        "order_key", "subscription_id", "follower_proxy", "condition_id", "asset_id", "side",
        "size_micros", "state", "failed_kind", "reason", "epoch", "venue_order_id",
        "filled_size_micros", "filled_notional_micros", "fee_micros",
    )  # fmt: skip
    return [_pick(row, names) for row in rows]


def fills(tx: Transaction, values: Row) -> list[Row]:
    """Return what is booked of orders."""
    names = (
        "order_key", "trade_id", "status", "size_micros", "notional_micros", "fee_micros",
        "cost_micros",
    )  # fmt: skip
    return [_pick(row, names) for key in set(values["keys"])
            for row in tx.where("fill", order_key=key)]  # fmt: skip


def _lot_key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in _LOT)


def _lots_of(tx: Transaction, values: Row) -> set[tuple[str, ...]]:
    """The keys of the lots that orders move."""
    orders = filter(None, (tx.get("orders", key) for key in values["keys"]))
    return {(o["follower_proxy"], o["asset_id"], o["subscription_id"] or "manual") for o in orders}


def lock_lots(tx: Transaction, values: Row) -> list[Row]:
    """The lots that orders move, locked."""
    found = (tx.get("lot", *key) for key in sorted(_lots_of(tx, values)))
    rows = [row for row in found if row is not None]
    for row in rows:
        tx.lock_row("lot", row)
    names = (
        *_LOT, "shares_micros", "cost_micros", "bought_size_micros", "sold_size_micros",
        "resolved_size_micros",
    )  # fmt: skip
    return [_pick(row, names) for row in rows]


def lot_entries(tx: Transaction, values: Row) -> list[Row]:
    """Return what is left in them, oldest first."""
    lots = _lots_of(tx, values)
    names = (*_LOT, "entry_seq", "order_key", "trade_id", "size_micros", "cost_micros")
    found = [
        _pick(row, names)
        for row in tx.rows("lot_entry")
        if row["size_micros"] > 0 and _lot_key(row) in lots
    ]
    return sorted(found, key=lambda row: row["entry_seq"])


def add_entries(tx: Transaction, values: Row) -> list[Row]:
    """Shares that came into lots."""
    names = (*_LOT, "order_key", "trade_id", "size_micros", "cost_micros")
    for row in given(values, "entries"):
        tx.insert("lot_entry", _pick(row, names))
    return []


def set_entries(tx: Transaction, values: Row) -> list[Row]:
    """Return what is left of them."""
    for one in given(values, "entries"):
        row = tx.get("lot_entry", one["entry_seq"])
        if row is not None:
            size, cost = one["size_micros"], one["cost_micros"]
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


def add_lots(tx: Transaction, values: Row) -> list[Row]:
    """Lots that were not there."""
    for one in given(values, "lots"):
        sums = {column: one[name] for column, name in _MOVED.items()}
        tx.insert("lot", {**_pick(one, (*_LOT, "condition_id")), **sums})
    return []


def move_lots(tx: Transaction, values: Row) -> list[Row]:
    """Move lots' sums."""
    for one in given(values, "moves"):
        row = _lot(tx, one)
        if row is not None:
            changes = {column: row[column] + one[name] for column, name in _MOVED.items()}
            tx.update("lot", row, **changes, updated_at=tx.now)
    return []


def default_triggers(tx: Transaction, values: Row) -> list[Row]:
    """Return what new positions of lots are guarded with, and whether their newest set has sold
    out."""
    orders = filter(None, (tx.get("orders", key) for key in values["keys"]))
    found = []
    for lot in {(o["follower_proxy"], o["asset_id"], o["subscription_id"] or "")
                for o in orders if o["side"] == "BUY"}:  # fmt: skip
        key, subscription = dict(zip(_LOT, lot, strict=True)), tx.get("subscription", lot[2])
        if subscription is not None and (subscription["triggers"] or subscription["exiting"]):
            made = [row for row in tx.where("trigger", **key) if row["made_for"]]
            newest = max(made, key=lambda row: row["created_at"], default={"made_for": ""})
            sold_out = any(
                row["status"] == "DONE" and row["size_micros"] is None
                for row in made
                if row["made_for"] == newest["made_for"]
            )
            found.append(
                {
                    **key,
                    "triggers": subscription["triggers"],
                    "exiting_since": (
                        subscription["performance_actions"] if subscription["exiting"] else None
                    ),
                    "sold_out": sold_out,
                }
            )
    return found


def add_triggers(tx: Transaction, values: Row) -> list[Row]:
    """Triggers of new positions, and the first entry of their histories."""
    made = given(values, "triggers")
    for row in made:
        columns = {name: row[name] for name in row if name not in ("place", "detail")}
        tx.insert("trigger", {**columns, "status": "ARMED"})
    for row in made:
        event = {"trigger_id": row["id"], "detail": row["detail"]}
        tx.insert("trigger_event", {**event, "from_status": "", "to_status": "ARMED"})
    return []


def add_fills(tx: Transaction, values: Row) -> list[Row]:
    """Trades of orders."""
    names = (
        "order_key", "subscription_id", "trade_id", "status", "size_micros", "notional_micros",
        "fee_micros", "cost_micros",
    )  # fmt: skip
    for one in given(values, "fills"):
        tx.insert("fill", {**_pick(one, names), "final_at": _final_at(tx, one)})
    return []


def set_fills(tx: Transaction, values: Row) -> list[Row]:
    """Where they stand now."""
    for one in given(values, "fills"):
        row = tx.get("fill", one["order_key"], one["trade_id"])
        if row is not None:
            tx.update("fill", row, status=one["status"], final_at=_final_at(tx, one))
    return []


def _final_at(tx: Transaction, fill: Row) -> datetime | None:
    return None if fill["status"] == "MATCHED" else tx.now


def move_orders(tx: Transaction, values: Row) -> list[Row]:
    """Move orders' totals, and when they are asked for again."""
    for one in given(values, "moves"):
        row = tx.get("orders", one["order_key"])
        if row is None:
            continue
        again_ms = one.get("next_check_ms")
        again: Row = {}
        if again_ms is not None:
            again["next_check_at"] = tx.now + timedelta(milliseconds=again_ms)
            again["not_found_count"] = 0
        tx.update(
            "orders",
            row,
            filled_size_micros=row["filled_size_micros"] + one["size"],
            filled_notional_micros=row["filled_notional_micros"] + one["notional"],
            fee_micros=row["fee_micros"] + one["fee"],
            **again,
        )
    return []


def add_bookings(tx: Transaction, values: Row) -> list[Row]:
    """Return what the stream of fills carries, once."""
    for row in given(values, "bookings"):
        columns = {name: row[name] for name in row if name != "place"}
        tx.insert_unless_there("booking", columns, ("order_key", "kind", "trade_id"))
    return []


def postpone(tx: Transaction, values: Row) -> list[Row]:
    """When orders are looked at again."""
    for one in given(values, "orders"):
        row, at = _as_it_was(tx, one), one["next_check_at"]
        at = None if at is None else datetime.fromisoformat(at)
        if row is not None and row["next_check_at"] == at:
            later = tx.now + timedelta(milliseconds=one["milliseconds"])
            count = one["not_found_count"]
            tx.update("orders", row, next_check_at=later, not_found_count=count)
    return []


def send_again(tx: Transaction, values: Row) -> list[Row]:
    """Want another attempt."""
    row = _as_it_was(tx, {**values, "state": "UNKNOWN"})
    if row is not None and row["next_check_at"] == values["next_check_at"]:
        later = tx.now + timedelta(milliseconds=values["milliseconds"])
        wish = {"send_again_epoch": row["epoch"], "send_again_by_settings": values["by_settings"]}
        tx.update("orders", row, **wish, next_check_at=later)
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
    "venue_order_id", "next_check_at", "since_ms",
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
    """Return whose an order is."""
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


def unresolved(tx: Transaction, values: Row) -> list[Row]:
    """Return what a person has to know of: how many, and the age of the oldest."""
    states = ("UNKNOWN", "DEAD", "LOST", "RESURRECTED", "SUBMITTED")
    ages: dict[str, list[int]] = {}
    for row in tx.rows("orders"):
        over = row["state"] == "LOST" and row["next_check_at"] == WATCH_IS_OVER
        if row["state"] in states and not over:
            age_us = tx.now_us - microseconds(_last_event(tx, row)["occurred_at"])
            if row["state"] == "SUBMITTED" and age_us <= values["submitted_ms"] * 1000:
                continue
            ages.setdefault(row["state"], []).append(round(age_us / 1000))
    return [
        {"state": state, "orders": len(found), "oldest_ms": max(found)}
        for state, found in ages.items()
    ]


def due(tx: Transaction, values: Row) -> list[Row]:
    """Open orders that are to be looked at now."""
    late = timedelta(milliseconds=values["late_ms"])
    found = [
        row
        for row in tx.rows("orders")
        if row["state"] in ("SUBMITTED", "UNKNOWN")
        and (
            row["next_check_at"] is None
            or row["next_check_at"]
            <= tx.now - (late if row["state"] == "SUBMITTED" else timedelta())
        )
    ]
    found.sort(key=_next_check)
    return [
        {
            **_pick(row, (*_LOOKED_AT, "attempt", "next_check_at")),
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


def unclosed(tx: Transaction, values: Row) -> list[Row]:
    """Orders that have ended, by an event after this one, without their CLOSED booking."""
    ends = ("CONFIRMED", "FAILED", "LOST")
    closed = {row["order_key"] for row in tx.where("booking", kind="CLOSED")}
    ended = {row["order_key"] for row in tx.rows("orders") if row["state"] in ends} - closed
    # In the order of the events, so that a seed repeats itself.
    late = (
        event["order_key"]
        for event in tx.rows("order_event")
        if event["event_seq"] > values["after"] and event["to_state"] in ends
    )
    return [{"order_key": key} for key in dict.fromkeys(late) if key in ended][:200]


def sealed_to(_tx: Transaction, _values: Row) -> list[Row]:
    """Nothing is sealed here; nobody waits for a seal."""
    return [{"to_seq": 0}]


def last_booking(tx: Transaction, _values: Row) -> list[Row]:
    """The newest booking."""
    return [{"seq": max((row["fill_seq"] for row in tx.rows("booking")), default=0)}]


_OF_BOOKING = (
    "fill_seq", "kind", "order_key", "size_micros", "notional_micros", "fee_micros",
    "lot_shares_micros", "lot_cost_micros", "order_state", "reason", "order_filled_micros",
)  # fmt: skip
_OF_LOT = ("subscription_id", "follower_proxy", "condition_id", "asset_id")
_OF_ORDER = ("purpose", "trigger_id", "side", "traceparent", "answered_ns")


def bookings_after(tx: Transaction, values: Row) -> list[Row]:
    """Bookings after a number, oldest first."""
    found = [
        {
            **_pick(row, _OF_BOOKING),
            **_subject(tx, row),
            "booked_ns": nanoseconds(row["booked_at"]),
        }
        for row in tx.rows("booking")
        if row["fill_seq"] > values["after"]
    ]
    return sorted(found, key=lambda row: row["fill_seq"])[: values["limit"]]


def _subject(tx: Transaction, booking: Row) -> Row:
    """Return the order, the payout or the correction that a booking is about."""
    order = tx.get("orders", booking["order_key"])
    if order is not None:
        named = _pick(order, (*_OF_LOT, *_OF_ORDER))
        return {**named, "order_size_micros": order["size_micros"]}
    payout = (
        tx.get("payout", booking["payout_id"])
        or tx.get("lot_correction", booking["correction_id"])
        or {}
    )
    origin = payout["origin"]
    named = _pick({**payout, "subscription_id": None if origin == "manual" else origin}, _OF_LOT)
    return {**named, **dict.fromkeys((*_OF_ORDER, "order_size_micros"))}


def _lot(tx: Transaction, values: Row) -> Row | None:
    return tx.get("lot", *(values[name] for name in _LOT))


def _pick(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


def resolutions(tx: Transaction, _values: Row) -> list[Row]:
    """Return what operators have decided and nobody has carried out yet, oldest first."""
    found = sorted(tx.where("order_resolution", done_at=None), key=lambda row: row["id"])
    return [dict(row) for row in found[:20]]


def end_resolution(tx: Transaction, values: Row) -> list[Row]:
    """A decision was carried out or refused."""
    row = tx.get("order_resolution", values["id"])
    if row is not None and row["done_at"] is None:
        tx.update("order_resolution", row, done_at=tx.now, refused=values["refused"])
        return [{"id": row["id"]}]
    return []


CONFIRM: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        may_book, lock_orders, fills, add_lots, lock_lots, lot_entries, add_entries, set_entries,
        move_lots, default_triggers, add_triggers, add_fills, set_fills, move_orders, add_bookings,
        postpone, send_again, stop_watching, watched,
        reduce_wallet, wallet, reserve_again, release, unresolved, due, leaseless, unclosed,
        sealed_to,
        resolutions, end_resolution, last_booking, bookings_after,
    )
} | PAYING | BALANCES | CORRECTING  # fmt: skip
