"""Judge whether a halt holds an exit back, as the executor's last gate does. Pure.

While it does, nothing is claimed: a trigger stays ARMED, a leader's sell waits as HALTED, and both
are judged again when the halt ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

Halt = tuple[str, str]
"""Scope (GLOBAL, WALLET, LEADER, MARKET) and its subject."""


def halts_of(rows: Iterable[Mapping[str, str]]) -> frozenset[Halt]:
    """Rows with a scope and a subject; of a global one the subject says nothing."""
    return frozenset(
        (row["scope"], "" if row["scope"] == "GLOBAL" else row["subject"]) for row in rows
    )


def held(halts: AbstractSet[Halt], *, wallet: str, leader: str, condition_id: str) -> bool:
    """Return whether nothing may be sent for this wallet, leader and market."""
    return bool(halts) and not halts.isdisjoint(
        (("GLOBAL", ""), ("WALLET", wallet), ("LEADER", leader), ("MARKET", condition_id))
    )
