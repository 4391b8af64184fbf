"""Twins of `services/guard/queries.sql`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final, cast

import psycopg

from tradingtools.domain.money import to_text
from tradingtools.domain.trigger_states import FINAL
from tradingtools.testing.memory_database import building, functions, money_path
from tradingtools.testing.memory_database.router import control_seq, free_shares, halts, reserving
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin, given

_LOT = ("follower_proxy", "asset_id", "origin")
_UNDECIDED = ("UNKNOWN", "DEAD", "RESURRECTED")
_TRIGGER = (
    "id", "follower_proxy", "asset_id", "origin", "trigger_type", "price_micros", "size_micros",
    "status", "version", "callback_micros", "callback_ppm", "peak_micros",
    "fire_at_ms", "sold_micros", "rungs", "rungs_done", "rungs_fired", "basis_micros",
    "two_ticks", "made_for", "generation",
)  # fmt: skip
_OWNED = (
    *_TRIGGER, "condition_id", "user_id", "wallet_id", "leader", "subscription_version",
)  # fmt: skip


def live_triggers(tx: Transaction, _values: Row) -> list[Row]:
    """Everything that may still fire or is closing."""
    return [_owned(tx, row) for row in tx.rows("trigger") if row["status"] not in FINAL]


def changed_triggers(tx: Transaction, values: Row) -> list[Row]:
    """Triggers that the control surface has touched, whatever their state."""
    touched = {
        row["subject_id"]
        for row in tx.where("control_change", subject_kind="trigger")
        if row["seq"] > values["after"]
    }
    return [_owned(tx, row) for row in tx.rows("trigger") if row["id"] in touched]


def manual_lots(tx: Transaction, values: Row) -> list[Row]:
    """Return what callers have said of lots that were bought by hand."""
    touched = {row["id"] for row in changed_triggers(tx, values)}
    lots = {
        (row["follower_proxy"], row["asset_id"])
        for row in tx.where("trigger", origin="manual")
        if row["id"] in touched
    }
    names = ("follower_proxy", "asset_id", "origin", "shares_micros")
    return [
        _pick(row, names)
        for row in tx.where("lot", origin="manual")
        if (row["follower_proxy"], row["asset_id"]) in lots
    ]


def triggers_of_lots(tx: Transaction, values: Row) -> list[Row]:
    """Return what may still fire or is closing of some lots, oldest first."""
    keys = zip(values["proxies"], values["assets"], values["origins"], strict=True)
    rows = [row for key in keys for row in tx.where("trigger", **dict(zip(_LOT, key, strict=True)))]
    live = [row for row in rows if row["status"] not in FINAL]
    return [_owned(tx, row) for row in sorted(live, key=lambda r: (r["created_at"], r["id"]))]


def unsettled(tx: Transaction, values: Row) -> list[Row]:
    """Return whether a sale of a lot, but for those of one trigger, may still be undone."""
    key = {"follower_proxy": values["follower_proxy"], "asset_id": values["asset_id"]}
    sales = {
        row["order_key"]
        for row in tx.where("orders", side="SELL", **key)
        if (row["subscription_id"] or "manual") == values["origin"]
        and row["trigger_id"] != values["besides"]
    }
    found = any(row["order_key"] in sales for row in tx.where("fill", status="MATCHED"))
    return [{"unsettled": found}]


def incoming(tx: Transaction, values: Row) -> list[Row]:
    """Return whether a purchase of a wallet and asset may still bring shares."""
    key = {"follower_proxy": values["follower_proxy"], "asset_id": values["asset_id"]}
    keys = [row["order_key"] for row in tx.where("reservation", released_at=None, **key)]
    orders = filter(None, (tx.get("orders", order_key) for order_key in keys))
    return [{"incoming": any(order["side"] == "BUY" for order in orders)}]


def begun_anew(tx: Transaction, values: Row) -> list[Row]:
    """Return whether the lot of a default trigger has a live one of its kind for a newer
    position."""
    row = tx.get("trigger", values["id"]) or {"made_for": ""}
    started = row["made_for"] != "" and any(
        other["made_for"] not in ("", row["made_for"])
        and other["status"] not in FINAL
        and other["created_at"] > row["created_at"]
        for other in tx.where("trigger", **_pick(row, (*_LOT, "trigger_type")))
    )
    return [{"begun": started}]


def held_lots(tx: Transaction, _values: Row) -> list[Row]:
    """Lots that hold something."""
    names = ("follower_proxy", "asset_id", "origin", "shares_micros")
    return [_pick(row, names) for row in tx.rows("lot") if row["shares_micros"] > 0]


def lot_shares(tx: Transaction, values: Row) -> list[Row]:
    """Return what a lot holds by now."""
    row = tx.get("lot", values["follower_proxy"], values["asset_id"], values["origin"])
    return [{"shares_micros": 0 if row is None else row["shares_micros"]}]


def booked_to(tx: Transaction, _values: Row) -> list[Row]:
    """The newest booking."""
    return [{"seq": max((row["fill_seq"] for row in tx.rows("booking")), default=0)}]


def lock_triggers(tx: Transaction, values: Row) -> list[Row]:
    """Triggers, locked in the order of their ids, with whose they are."""
    found = [tx.get("trigger", identifier) for identifier in sorted(set(values["ids"]))]
    rows = [row for row in found if row is not None]
    for row in rows:
        tx.lock_row("trigger", row)
    return [_with_owner(tx, row) for row in rows]


def _with_owner(tx: Transaction, row: Row) -> Row:
    mine = {
        "leader": "",
        "version": 0,
        "exiting": False,
        **_pick(row, ("follower_user_id", "follower_wallet_id")),
    }
    whose = tx.get("subscription", row["origin"]) or mine
    return {
        **row,
        "user_id": whose["follower_user_id"],
        "wallet_id": whose["follower_wallet_id"],
        "leader": whose["leader"],
        "subscription_version": whose["version"],
        "exiting": whose["exiting"],
    }


def _owned(tx: Transaction, row: Row) -> Row:
    return _pick(_with_owner(tx, row), _OWNED)


def _lots(tx: Transaction, values: Row) -> list[Row]:
    triggers = [tx.get("trigger", identifier) for identifier in values["ids"]]
    keys = {tuple(row[name] for name in _LOT) for row in triggers if row is not None}
    found = [tx.get("lot", *key) for key in sorted(keys)]
    return [row for row in found if row is not None]


def lock_lots(tx: Transaction, values: Row) -> list[Row]:
    """The lots of triggers, locked in one order for everybody."""
    rows = _lots(tx, values)
    for row in rows:
        tx.lock_row("lot", row)
    return [{"locked": 1} for _ in rows]


def locked_lots(tx: Transaction, values: Row) -> list[Row]:
    """The lots of triggers, with what is free in them."""
    return [
        {
            **_pick(row, (*_LOT, "shares_micros", "cost_micros")),
            "free_micros": free_shares(tx, row),
        }
        for row in _lots(tx, values)
    ]


def hold_foreseen(tx: Transaction, values: Row) -> list[Row]:
    """Lock a trigger and its lot, which are as somebody thinks."""
    row = tx.get("trigger", values["id"])
    if row is not None and _as_foreseen(_with_owner(tx, row), values):
        tx.lock_row("trigger", row)
        lot = tx.get("lot", *(row[name] for name in _LOT))
        if lot is not None and _untouched(tx, lot, values["shares_micros"]):
            tx.lock_row("lot", lot)
            return [{"held": True}]
    raise psycopg.errors.SerializationFailure(f"{values['id']} is not as it was foreseen")


def _as_foreseen(row: Row, values: Row) -> bool:
    names = ("version", "condition_id", "user_id", "wallet_id", "leader", "subscription_version")
    same = all(row[name] == values[name] for name in names)
    return same and (row["peak_micros"] or 0) <= (values["peak_micros"] or 0)


def _untouched(tx: Transaction, lot: Row, shares_micros: int) -> bool:
    reserved = any(held["shares_micros"] > 0 for held, _ in reserving(tx, lot))
    return lot["shares_micros"] == shares_micros and not reserved


def claim_exits(tx: Transaction, values: Row) -> list[Row]:
    """One journal record, as rows at once."""
    if not functions.holds_lease(tx, "guard", values["partition"], values["epoch"]):
        raise psycopg.errors.NoDataFound("the lease of guard has run out")
    rows = money_path.claim(tx, {**values, "role": "guard"})
    if not rows:
        raise psycopg.errors.UniqueViolation(f"record {values['record_key']} is there already")
    building.build_rows(tx, rows[0]["seq"])
    return rows


def as_owner(tx: Transaction, values: Row) -> list[Row]:
    """Check that whoever changes triggers holds the lease."""
    if not functions.holds_lease(tx, "guard", values["partition"], values["epoch"]):
        raise psycopg.errors.NoDataFound("guard is another's by now")
    return [{"held": True}]


def fire_foreseen(tx: Transaction, values: Row) -> list[Row]:
    """A trigger that is as somebody thinks fires, and its order is claimed."""
    (order,) = json.loads(values["payload"])["orders"]
    owner = {"user_id": order["follower_user_id"], "wallet_id": order["follower_wallet_id"]}
    hold_foreseen(tx, {**order, **values, **owner, "id": order["trigger_id"]})
    record = {name: values[name] for name in ("record_key", "partition", "epoch", "payload")}
    rows = claim_exits(tx, {**record, "order_count": 1})
    row = cast(Row, tx.get("trigger", order["trigger_id"]))
    kept = {name: row[name] for name in ("version", "sold_micros", "rungs_done")}
    given = {name: values[name] for name in ("rungs_fired", "basis_micros")}
    _move(tx, row, {
        **kept, **given, "status": "TRIGGERED", "generations": 0, "slice": 0,
        "order_key": order["order_key"], "fired": json.loads(values["fired"]),
        "next_slice_ms": None,
    })  # fmt: skip
    tx.insert("trigger_event", {
        "trigger_id": row["id"], "from_status": values["status"], "to_status": "TRIGGERED",
        "detail": values["detail"], "order_key": order["order_key"],
    })  # fmt: skip
    return rows


def exit_order(tx: Transaction, values: Row) -> list[Row]:
    """Return how a trigger's order stands."""
    row = tx.get("orders", values["order_key"])
    names = ("state", "failed_kind", "reason", "ordinal", "copy_key")
    return [] if row is None else [_pick(row, names)]


def sold(tx: Transaction, values: Row) -> list[Row]:
    """Return what a trigger's exits have sold, and how many slices of the last one the venue has
    tried."""
    rows = list(tx.where("orders", trigger_id=values["trigger_id"]))
    last = [row for row in rows if row["copy_key"] == values["copy_key"]]
    return [
        {
            "sold_micros": sum(row["filled_size_micros"] for row in rows),
            "exit_sold_micros": sum(row["filled_size_micros"] for row in last),
            "exit_notional_micros": sum(row["filled_notional_micros"] for row in last),
            "tried": sum(
                row["state"] == "CONFIRMED" or row["failed_kind"] == "KILLED" for row in last
            ),
        }
    ]


def move_triggers(tx: Transaction, values: Row) -> list[Row]:
    """Change triggers, all of which are at the version that was read."""
    moves = [(tx.get("trigger", move["id"]), move) for move in given(values, "moves")]
    moved = [
        _move(tx, row, move)
        for row, move in moves
        if row is not None and row["version"] == move["version"]
    ]
    if len(moved) < len(moves):
        raise psycopg.errors.RaiseException("a trigger changed under its lock")
    return moved


def _move(tx: Transaction, row: Row, move: Row) -> Row:
    pause = move["next_slice_ms"]
    _keep_rungs(row, move)
    after = tx.update(
        "trigger",
        row,
        status=str(move["status"]),
        generation=row["generation"] + move["generations"],
        slice=move["slice"],
        sold_micros=move["sold_micros"],
        rungs_done=move["rungs_done"],
        rungs_fired=move["rungs_fired"],
        basis_micros=move["basis_micros"],
        order_key=move["order_key"],
        fired=row["fired"] if move["fired"] is None else move["fired"],
        next_slice_at=None if pause is None else tx.now + timedelta(milliseconds=pause),
        version=row["version"] + 1,
        updated_at=tx.now,
    )
    return _pick(after, _TRIGGER)


def _keep_rungs(row: Row, values: Row) -> None:
    if values["rungs_done"] < row["rungs_done"]:
        raise psycopg.errors.RaiseException(
            f"a rung that has ended does not come back: {row['id']}"
        )
    if values["rungs_fired"] < row["rungs_fired"] and not values["generations"]:
        raise psycopg.errors.RaiseException(f"a rung fires once in a generation: {row['id']}")


def break_even(tx: Transaction, values: Row) -> list[Row]:
    """Move the stops of a lot that want it up to the entry price."""
    key = {name: values[name] for name in ("follower_proxy", "asset_id", "origin")}
    return [
        _pick(
            tx.update(
                "trigger",
                row,
                price_micros=values["price"],
                version=row["version"] + 1,
                updated_at=tx.now,
            ),
            _TRIGGER,
        )
        for row in list(tx.where("trigger", **key))
        if row["break_even"]
        and row["price_micros"] < values["price"]
        and row["status"] in ("WAITING", "ARMED", "SUSPENDED")
    ]


def record_peaks(tx: Transaction, values: Row) -> list[Row]:
    """New peaks as one record, of triggers and lots that are as they were thought to be."""
    partition, epoch = values["partition"], values["epoch"]
    if not functions.holds_lease(tx, "guard", partition, epoch):
        raise psycopg.errors.NoDataFound(f"guard {partition} is another's by now")
    columns = [values[name] for name in ("ids", "versions", "shares", "peaks", "stops")]
    good = [
        (identifier, peak, stop)
        for identifier, version, shares, peak, stop in zip(*columns, strict=True)
        if _as_thought(tx, tx.get("trigger", identifier), version, shares)
    ]
    triggers, peaks, stops = map(list, zip(*good, strict=True)) if good else ([], [], [])
    record = {
        "record_key": values["record_key"], "partition": partition, "epoch": epoch,
        "triggers": triggers, "peaks": peaks, "stops": stops,
    }  # fmt: skip
    row = tx.insert_unless_there("peak_record", record, ("record_key",)) if good else None
    refused = [identifier for identifier in values["ids"] if identifier not in triggers]
    return [{"seq": row and row["seq"], "refused": refused}]


def _as_thought(tx: Transaction, row: Row | None, version: int, shares: int) -> bool:
    lot = tx.get("lot", *(row[name] for name in _LOT)) if row else None
    return bool(row and lot and (row["version"], lot["shares_micros"]) == (version, shares))


def unfolded_peaks(tx: Transaction, _values: Row) -> list[Row]:
    """Records of peaks, oldest first."""
    names = ("seq", "triggers", "peaks", "stops")
    rows = sorted(tx.rows("peak_record"), key=lambda row: row["seq"])
    return [_pick(row, names) for row in rows]


def fold_peaks(tx: Transaction, values: Row) -> list[Row]:
    """Rows follow their records, and tell of peaks that are far enough above the last one."""
    columns = values["ids"], values["peaks"], values["stops"]
    folded = 0
    for identifier, peak, stop in sorted(zip(*columns, strict=True)):
        row = tx.get("trigger", identifier)
        if row is not None and (row["peak_micros"] is None or row["peak_micros"] < peak):
            _fold(tx, row, peak, stop, values["reported_micros"])
            folded += 1
    return [{"folded": folded}]


def _fold(tx: Transaction, row: Row, peak: int, stop: int, reported_micros: int) -> None:
    noted, status = row["peak_noted_micros"], row["status"]
    far = noted is None or peak >= noted + reported_micros
    records = far and status in ("ARMED", "SUSPENDED")
    tx.update(
        "trigger",
        row,
        peak_micros=peak,
        peak_noted_micros=peak if records else noted,
        updated_at=tx.now,
    )
    if records:
        detail = f"peak {to_text(peak)}, fires at {to_text(stop)}"
        event = {"trigger_id": row["id"], "from_status": status, "to_status": status}
        tx.insert("trigger_event", {**event, "detail": detail, "order_key": row["order_key"]})


def forget_peaks(tx: Transaction, values: Row) -> list[Row]:
    """Delete records whose peaks are in their rows."""
    for row in list(tx.rows("peak_record")):
        if row["seq"] in values["seqs"]:
            tx.delete("peak_record", row)
    return []


def add_events(tx: Transaction, values: Row) -> list[Row]:
    """Entries of triggers' histories."""
    names = ("trigger_id", "from_status", "to_status", "detail", "order_key")
    for event in given(values, "events"):
        tx.insert("trigger_event", _pick(event, names))
    return []


def _with_order(tx: Transaction) -> list[tuple[Row, Row]]:
    pairs = ((row, tx.get("orders", row["order_key"])) for row in tx.rows("trigger"))
    return [(row, order) for row, order in pairs if order is not None]


def moved_on(tx: Transaction, _values: Row) -> list[Row]:
    """Triggers whose exit has ended, or whose next slice is due, and those whose shown status does
    not say yet how their exit stands."""
    found = []
    for row, order in _with_order(tx):
        status, ended = row["status"], order["state"] in ("CONFIRMED", "FAILED", "LOST")
        if status in ("TRIGGERED", "CLOSING", "NEEDS_CONFIRM") and (
            (ended and _is_due(row["next_slice_at"], tx.now))
            or (status != "NEEDS_CONFIRM" and order["state"] in _UNDECIDED)
            or (status != "CLOSING" and order["state"] == "SUBMITTED")
        ):
            found.append({**_pick(row, ("id", "follower_proxy")), "ended": ended})
    return sorted(found, key=lambda row: not row["ended"])


def _is_due(at: datetime | None, now: datetime) -> bool:
    """Return whether it is time; not long before it either, as when the clock has stepped back."""
    return at is None or not now < at <= now + timedelta(seconds=80)


def _pick(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


GUARD: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        live_triggers, manual_lots, triggers_of_lots, unsettled, incoming, begun_anew,
        changed_triggers, control_seq, halts, held_lots, lot_shares, booked_to, lock_triggers,
        lock_lots, locked_lots, hold_foreseen, fire_foreseen, as_owner, claim_exits, exit_order,
        sold, move_triggers,
        break_even, record_peaks, unfolded_peaks, fold_peaks, forget_peaks, add_events, moved_on,
    )
}  # fmt: skip
