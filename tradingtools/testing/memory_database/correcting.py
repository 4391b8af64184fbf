"""Twins of the statements by which confirm corrects lots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tradingtools.testing.memory_database import functions
from tradingtools.testing.memory_database.paying import unbuilt_orders
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin

_LOT = ("follower_proxy", "asset_id", "origin")
_TOLD = (
    "asset_id", "condition_id", "origin", "shares_micros", "cost_micros", "bought_size_micros",
    "sold_size_micros", "resolved_size_micros", "by_hand_micros", "elsewhere_micros",
    "elsewhere_cost_micros",
)  # fmt: skip


def _pick(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


def _busy(tx: Transaction, proxy: str, asset: str, conditions: set[str]) -> bool:
    key = {"follower_proxy": proxy, "asset_id": asset}
    redeemed = tx.where("redemption", follower_proxy=proxy)
    return (
        any(tx.where("reservation", released_at=None, **key))
        or any(r["state"] != "CONFIRMED" and r["condition_id"] in conditions for r in redeemed)
        or any(_same(order, key) for order in unbuilt_orders(tx))
    )


def _same(row: Row, key: Row) -> bool:
    return all(row[name] == value for name, value in key.items())


def lots_at_rest(tx: Transaction, values: Row) -> list[Row]:
    """Return what a wallet's lots hold of assets of which nothing is under way."""
    proxy = values["follower_proxy"]
    found = [
        {**_pick(row, _TOLD), "vouched": _vouched(tx, row)}
        for row in tx.where("lot", follower_proxy=proxy)
        if row["shares_micros"] > 0 and not _busy(tx, proxy, row["asset_id"], {row["condition_id"]})
    ]
    return sorted(found, key=lambda row: (row["asset_id"], row["origin"]))


def _vouched(tx: Transaction, lot: Row) -> bool:
    message = {"shares_micros": lot["shares_micros"], "left_micros": lot["cost_micros"]}
    of_lot = tx.where("lot_correction", reason="OPERATOR", **_pick(lot, _LOT))
    return any(_same(row, message) for row in of_lot)


def lock_control(tx: Transaction, _values: Row) -> list[Row]:
    """Before whoever appends to the audit locks a row."""
    tx.lock(functions.CONTROL_LOCK)
    return [{"locked": 1}]


def _lots(tx: Transaction, values: Row) -> list[Row]:
    key = _pick(values, ("follower_proxy", "asset_id"))
    return sorted(tx.where("lot", **key), key=lambda row: row["origin"])


def lock_asset(tx: Transaction, values: Row) -> list[Row]:
    """All lots of a wallet and asset, locked."""
    rows = _lots(tx, values)
    for row in rows:
        tx.lock_row("lot", row)
    return [{**_pick(row, _TOLD), **_guard(tx, row["origin"])} for row in rows]


def _guard(tx: Transaction, origin: str) -> Row:
    of = tx.get("subscription", origin)
    if of is None:
        return {"triggers": {}, "exiting_since": None}
    since = of["performance_actions"] if of["exiting"] else None
    return {"triggers": of["triggers"], "exiting_since": since}


def asset_busy(tx: Transaction, values: Row) -> list[Row]:
    """Return whether anything of a wallet and asset is under way."""
    conditions = {row["condition_id"] for row in _lots(tx, values)}
    return [{"busy": _busy(tx, values["follower_proxy"], values["asset_id"], conditions)}]


def asset_entries(tx: Transaction, values: Row) -> list[Row]:
    """Return what is left in lots of a wallet and asset, oldest first."""
    names = ("origin", "entry_seq", "order_key", "trade_id", "size_micros", "cost_micros")
    key = _pick(values, ("follower_proxy", "asset_id"))
    rows = (row for row in tx.where("lot_entry", **key) if row["size_micros"] > 0)
    return sorted((_pick(row, names) for row in rows), key=lambda row: row["entry_seq"])


def correct_lot(tx: Transaction, values: Row) -> list[Row]:
    """Take shares from a lot, or give some back."""
    row = tx.get("lot", *(values[name] for name in _LOT))
    if row is not None:
        size, cost = values["size_micros"], values["cost_micros"]
        tx.update(
            "lot", row, shares_micros=row["shares_micros"] - size,
            cost_micros=row["cost_micros"] - cost,
            elsewhere_micros=row["elsewhere_micros"] + size,
            elsewhere_cost_micros=row["elsewhere_cost_micros"] + cost, updated_at=tx.now,
        )  # fmt: skip
    return []


def adopt_lot(tx: Transaction, values: Row) -> list[Row]:
    """Take in shares that the wallet held already, or let them leave again."""
    row = tx.get("lot", *(values[name] for name in _LOT))
    if row is not None:
        size, cost = values["size_micros"], values["cost_micros"]
        more = {
            "shares_micros": size, "cost_micros": cost, "bought_size_micros": size,
            "bought_notional_micros": cost, "by_hand_micros": size, "by_hand_cost_micros": cost,
        }  # fmt: skip
        changed = {name: row[name] + by for name, by in more.items()}
        tx.update("lot", row, **changed, updated_at=tx.now)
    return []


def add_correction(tx: Transaction, values: Row) -> list[Row]:
    """Return what was corrected."""
    return [{"id": tx.insert("lot_correction", {**values, "reason": str(values["reason"])})["id"]}]


def audit_correction(tx: Transaction, values: Row) -> list[Row]:
    """The audit of a correction that no operator has asked for."""
    row = tx.get("lot_correction", values["id"])
    if row is None or row["reason"] != "SOLD_ELSEWHERE":
        return [{"seq": None}]
    before = {
        "shares_micros": row["shares_micros"] + row["size_micros"],
        "cost_micros": row["left_micros"] + row["cost_micros"],
    }
    after = {
        "shares_micros": row["shares_micros"], "cost_micros": row["left_micros"],
        "held_micros": row["held_micros"], "reason": row["reason"], "correction": row["id"],
    }  # fmt: skip
    subject = "/".join(row[name] for name in _LOT)
    seq = functions.append_control_change(
        tx, "confirm", "engine", "correct", "lot", subject, after, before
    )
    return [{"seq": seq}]


def add_correction_booking(tx: Transaction, values: Row) -> list[Row]:
    """The same for the stream of fills."""
    nothing = ("notional_micros", "fee_micros", "realised_micros", "order_filled_micros")
    about = {"kind": "CORRECTED", "trade_id": "", "order_state": ""}
    named = _pick(values, ("correction_id", "size_micros"))
    lot = {
        "lot_shares_micros": values["shares_micros"], "lot_cost_micros": values["left_micros"],
        "reason": str(values["reason"]),
    }  # fmt: skip
    tx.insert("booking", {**named, **lot, **about, **dict.fromkeys(nothing, 0)})
    return []


def lot_requests(tx: Transaction, _values: Row) -> list[Row]:
    """Return operators' decisions about lots that are not carried out yet, oldest first."""
    found = sorted(tx.where("lot_request", done_at=None), key=lambda row: row["id"])
    return [dict(row) for row in found[:20]]


def end_lot_request(tx: Transaction, values: Row) -> list[Row]:
    """A decision was carried out or refused."""
    row = tx.get("lot_request", values["id"])
    if row is not None and row["done_at"] is None:
        tx.update("lot_request", row, done_at=tx.now, refused=values["refused"])
        return [{"id": row["id"]}]
    return []


_TWINS: tuple[Callable[..., Any], ...] = (
    lots_at_rest, lock_control, lock_asset, asset_busy, asset_entries, correct_lot, adopt_lot,
    add_correction,
    audit_correction, add_correction_booking, lot_requests, end_lot_request,
)  # fmt: skip
CORRECTING: Final[dict[str, Twin]] = {twin.__name__: twin for twin in _TWINS}
