"""Whether a halt holds an exit back, as the executor's last gate has it. Pure.

While it does, nothing is claimed: a trigger stays ARMED, a leader's sell waits as HALTED, and both
are judged again when the halt ends.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

Halt = tuple[str, str]
"""Scope (GLOBAL, WALLET, LEADER, MARKET) and its subject."""


def held(halts: AbstractSet[Halt], *, wallet: str, leader: str, condition_id: str) -> bool:
    """Whether nothing may be sent for this wallet, leader and market."""
    return any(
        scope == "GLOBAL"
        or (scope == "WALLET" and subject == wallet)
        or (scope == "LEADER" and subject == leader)
        or (scope == "MARKET" and subject == condition_id)
        for scope, subject in halts
    )
