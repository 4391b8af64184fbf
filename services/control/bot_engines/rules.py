"""States of engines, by what is written of them. Pure."""

from __future__ import annotations

from enum import StrEnum


class EngineState(StrEnum):
    """Where an engine stands."""

    LIVE = "LIVE"
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"
    LEAVING = "LEAVING"
    GONE = "GONE"


def state(*, live: bool, leaving: bool, draining: bool, wallets: int) -> EngineState:
    """Return where an engine stands.

    Args:
        live: its process has reported within its lease.
        leaving: its process is about to end.
        draining: a person wants it drained.
        wallets: that it has.
    """
    if not live:
        return EngineState.GONE
    if leaving:
        return EngineState.LEAVING
    if not draining:
        return EngineState.LIVE
    return EngineState.DRAINING if wallets else EngineState.DRAINED
