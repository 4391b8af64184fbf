"""Twins of `services/router/resync.sql`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin, microseconds

_OPEN = ("REQUESTED", "EXECUTING")


def open_resyncs(tx: Transaction, _values: Row) -> list[Row]:
    """Return what waits for the router, oldest first."""
    found = [row for row in tx.rows("resync") if row["state"] in _OPEN]
    found.sort(key=lambda row: (row["requested_at"], row["id"]))
    names = ("id", "subscription_id", "follower_proxy", "kind", "state")
    return [
        {
            **{name: row[name] for name in names},
            "waits_ms": round((tx.now - row["requested_at"]).total_seconds() * 1000),
        }
        for row in found
    ]


def leader_holdings(tx: Transaction, values: Row) -> list[Row]:
    """Return what a leader is worth, and when that was reported."""
    account, resync = tx.get("leader_account", values["leader"]), tx.get("resync", values["id"])
    if account is None or resync is None:
        return []
    at = account["asked_at"]
    return [
        {
            "equity_micros": account["equity_micros"],
            "asked_at": at,
            "lately": at > tx.now - timedelta(milliseconds=values["age_ms"]),
            "since": at > resync["requested_at"],
        }
    ]


def resync_outcomes(tx: Transaction, values: Row) -> list[Row]:
    """Outcomes that the leader holds or the lot does."""
    account = tx.get("leader_account", values["leader"])
    if account is None:
        return []
    held = {row["asset_id"]: row for row in tx.where("leader_holding", leader=values["leader"])}
    lots = {row["asset_id"]: row for row in tx.where("lot", origin=values["origin"])}
    known = [*held.values(), *(lot for lot in lots.values() if lot["shares_micros"] > 0)]
    since = microseconds(account["asked_at"]) // 1000 - values["lag_ms"]
    moved = {
        row["asset_id"]
        for row in tx.rows("leader_row")
        if row["leader"] == values["leader"] and row["traded_ms"] > since
    }

    def of(rows: dict[str, Row], asset: str, name: str) -> int:
        return int(rows[asset][name]) if asset in rows else 0

    found = [
        {
            "asset_id": asset,
            "condition_id": max(r["condition_id"] for r in known if r["asset_id"] == asset),
            "leader_micros": of(held, asset, "shares_micros"),
            "cost_micros": of(lots, asset, "cost_micros"),
            "moved": asset in moved,
        }
        for asset in {row["asset_id"] for row in known}
    ]
    found.sort(
        key=lambda row: (
            -of(lots, row["asset_id"], "shares_micros"), -row["leader_micros"], row["asset_id"],
        )
    )  # fmt: skip
    return found


def put_preview(tx: Transaction, values: Row) -> list[Row]:
    """Answer with the lines."""
    row = tx.get("resync", values["id"])
    if row is not None and row["state"] == "REQUESTED":
        tx.update(
            "resync", row, state=values["state"], version=row["version"] + 1,
            subscription_version=values["subscription_version"],
            lines=msgspec.json.decode(values["lines"]), omitted=values["omitted"],
            leader_told_at=values["told_at"], previewed_at=tx.now,
        )  # fmt: skip
    return []


def lock_resync(tx: Transaction, values: Row) -> list[Row]:
    """A resync, held until the transaction ends."""
    row = tx.get("resync", values["id"])
    if row is None:
        return []
    tx.lock_row("resync", row)
    at = row["previewed_at"]
    oldest = tx.now - timedelta(milliseconds=values["ttl_ms"])
    names = ("state", "subscription_version", "lines")
    return [{**{n: row[n] for n in names}, "expired": None if at is None else at < oldest}]


def end_resync(tx: Transaction, values: Row) -> list[Row]:
    """Done, or stale."""
    row = tx.get("resync", values["id"])
    if row is not None and row["state"] in _OPEN:
        tx.update(
            "resync", row, state=values["state"], version=row["version"] + 1,
            detail=values["detail"], ended_at=tx.now,
        )  # fmt: skip
    return []


RESYNC: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        open_resyncs, leader_holdings, resync_outcomes, put_preview, lock_resync, end_resync,
    )
}  # fmt: skip
