"""Engines as the contract has them."""

from __future__ import annotations

from services.control.bot_engines.rules import state
from services.control.messages import Fields, timestamp
from services.control.store import Row


def engine(row: Row) -> Fields:
    """Return an engine's fields."""
    stands = state(
        live=row["live"],
        leaving=row["leaving"],
        draining=row["draining"],
        wallets=len(row["wallets"]),
    )
    found: Fields = {name: row[name] for name in ("name", "capacity", "draining")}
    found |= {
        "state": f"BOT_ENGINE_STATE_{stands}",
        "exchanges": row["venues"],
        "bots": row["bots"] if row["live"] else 0,
        "program_version": row["version"],
        "loop_lag_ms": row["lag_ms"],
        "wallets": row["wallets"],
        "drain_actor": row["drain_actor"],
        "started_at": timestamp(row["started_at"]),
        "seen_at": timestamp(row["seen_at"]),
    }
    if row["drain_at"] is not None:
        found["drain_at"] = timestamp(row["drain_at"])
    return found
