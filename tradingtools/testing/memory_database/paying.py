"""Twins of the statements by which confirm pays out resolved markets and redeems."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import msgspec

from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin

_LOT = ("follower_proxy", "asset_id", "origin")
_MARKET = ("follower_proxy", "condition_id")


def _same(row: Row, other: Row, names: tuple[str, ...]) -> bool:
    return all(row[name] == other[name] for name in names)


def _open(tx: Transaction, market: Row) -> bool:
    rows = tx.where("reservation", released_at=None)
    return any(_same(row, market, _MARKET) for row in rows)


def payable(tx: Transaction, values: Row) -> list[Row]:
    """Markets of which wallets hold resolved assets and no others, where no order is open."""
    held: dict[tuple[str, str], list[Row]] = {}
    for lot in tx.rows("lot"):
        if lot["shares_micros"] > 0:
            held.setdefault((lot["follower_proxy"], lot["condition_id"]), []).append(lot)
    after = (values["after_proxy"], values["after_condition"])
    found = sorted(
        key
        for key, lots in held.items()
        if key > after
        and all(lot["asset_id"] in values["assets"] for lot in lots)
        and not _open(tx, lots[0])
    )
    return [{"follower_proxy": w, "condition_id": c} for w, c in found[: values["limit"]]]


def lock_market(tx: Transaction, values: Row) -> list[Row]:
    """Everything that a wallet holds in one market, locked."""
    held = [r for r in tx.rows("lot") if _same(r, values, _MARKET) and r["shares_micros"] > 0]
    held.sort(key=lambda row: (row["asset_id"], row["origin"]))
    for row in held:
        tx.lock_row("lot", row)
    names = ("asset_id", "origin", "shares_micros", "cost_micros")
    return [{name: row[name] for name in names} for row in held]


def market_busy(tx: Transaction, values: Row) -> list[Row]:
    """Return whether an order may still move it."""
    unbuilt = (order for order in unbuilt_orders(tx) if _same(order, values, _MARKET))
    return [{"busy": any(True for _ in unbuilt) or _open(tx, values)}]


def unbuilt_orders(tx: Transaction) -> Iterator[Row]:
    """Orders that are claimed and no rows yet."""
    for record in tx.where("journal", kind="CLAIMED", rows_built_at=None, set_aside=None):
        yield from msgspec.json.decode(record["payload"])["orders"]


def redemptions_made(tx: Transaction, values: Row) -> list[Row]:
    """Return how often a wallet's shares of a market were redeemed."""
    return [{"made": sum(_same(row, values, _MARKET) for row in tx.rows("redemption"))}]


def owner(tx: Transaction, values: Row) -> list[Row]:
    """Whom a wallet belongs to, as its last order had it, or else its last trigger."""
    orders = sorted(_held(tx, "orders", values), key=lambda row: row["order_key"])
    triggers = [row for row in _held(tx, "trigger", values) if row["follower_wallet_id"]]
    triggers.sort(key=lambda row: row["id"])
    for found in (orders, triggers):
        found.sort(key=lambda row: row["created_at"], reverse=True)
    kept = ("follower_user_id", "follower_wallet_id")
    return [{name: row[name] for name in kept} for row in (*orders, *triggers)[:1]]


def _held(tx: Transaction, table: str, values: Row) -> list[Row]:
    rows = tx.where(table, follower_proxy=values["follower_proxy"])
    return [row for row in rows if row["asset_id"] in values["assets"]]


def add_redemption(tx: Transaction, values: Row) -> list[Row]:
    """A redemption that is to be asked for."""
    tx.insert("redemption", {**values, "state": "REQUESTED"})
    return []


def empty_lot(tx: Transaction, values: Row) -> list[Row]:
    """Take everything out of a lot."""
    for row in list(tx.rows("lot_entry")):
        if _same(row, values, _LOT) and row["size_micros"] > 0:
            tx.update("lot_entry", row, size_micros=0, cost_micros=0)
    return []


def add_payout(tx: Transaction, values: Row) -> list[Row]:
    """Return what a lot was paid."""
    return [{"id": tx.insert("payout", values)["id"]}]


def add_payout_booking(tx: Transaction, values: Row) -> list[Row]:
    """The same for the stream of fills."""
    nothing = ("fee_micros", "order_filled_micros", "lot_shares_micros", "lot_cost_micros")
    about = {"kind": "RESOLVED", "trade_id": "", "order_state": ""}
    tx.insert("booking", {**values, **about, **dict.fromkeys(nothing, 0)})
    return []


def due_redemptions(tx: Transaction, _values: Row) -> list[Row]:
    """Redemptions that are to be asked for now."""
    found = [
        dict(row)
        for row in tx.rows("redemption")
        if row["state"] != "CONFIRMED" and row["next_at"] <= tx.now
    ]
    return sorted(found, key=lambda row: (row["next_at"], row["redeem_key"]))[:20]


def move_redemption(tx: Transaction, values: Row) -> list[Row]:
    """Return what was received of a redemption."""
    row = tx.get("redemption", values["redeem_key"])
    if row is not None and row["state"] == str(values["before"]):
        paid = values["paid_micros"]
        tx.update(
            "redemption",
            row,
            state=str(values["state"]),
            paid_micros=row["paid_micros"] if paid is None else paid,
            detail=values["detail"],
            attempts=row["attempts"] + 1,
            next_at=tx.now + timedelta(milliseconds=values["pause_ms"]),
            updated_at=tx.now,
        )
        return [{"redeem_key": row["redeem_key"]}]
    return []


PAYING: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        payable, lock_market, market_busy, redemptions_made, owner, add_redemption, empty_lot,
        add_payout, add_payout_booking, due_redemptions, move_redemption,
    )
}  # fmt: skip
