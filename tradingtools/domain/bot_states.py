"""The states of a bot, and every transition: shared by engine, database, REST and documents."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class BotState(StrEnum):
    """Where a bot stands. Values are what the database stores and REST tells."""

    IDLE = "IDLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    RISK_STOPPED = "RISK_STOPPED"
    ERROR = "ERROR"


_S = BotState

_BREACH = "an order came back after its end, or the exchange closed what it held"
_LOSS = "what it holds reaches a limit of losses; or " + _BREACH
_DEFECT = "it failed: its orders are cancelled, the others of its wallet go on"

TRANSITIONS: Final[Mapping[tuple[BotState | None, BotState], str]] = {
    (None, _S.IDLE): "a person creates it",
    (_S.IDLE, _S.STARTING): "a person starts it",
    (_S.PAUSED, _S.STARTING): "a person resumes it",
    (_S.STOPPED, _S.STARTING): "a person starts it again",
    (_S.RISK_STOPPED, _S.STARTING): "a person resumes it, and says why",
    (_S.ERROR, _S.STARTING): "a person starts it again",
    (_S.STARTING, _S.RUNNING): "its wallet is leased, orders and positions are reconciled",
    (_S.STARTING, _S.ERROR): "it cannot be reconciled, or its settings do not fit",
    (_S.STARTING, _S.STOPPING): "a person stops it",
    (_S.STARTING, _S.RISK_STOPPED): _BREACH,
    (_S.RUNNING, _S.PAUSING): "a person pauses it: its orders are cancelled",
    (_S.RUNNING, _S.STOPPING): "a person stops it, or its strategy has finished",
    (_S.RUNNING, _S.RISK_STOPPED): "a limit is reached: its orders are cancelled; or " + _BREACH,
    (_S.RUNNING, _S.STARTING): "another engine takes it over",
    (_S.RUNNING, _S.ERROR): _DEFECT,
    (_S.PAUSING, _S.PAUSED): "no order of it may fill any more",
    (_S.PAUSING, _S.STOPPING): "a person stops it",
    (_S.PAUSING, _S.RISK_STOPPED): _LOSS,
    (_S.PAUSING, _S.ERROR): _DEFECT,
    (_S.PAUSED, _S.STOPPING): "a person stops it",
    (_S.PAUSED, _S.RISK_STOPPED): _LOSS,
    (_S.STOPPING, _S.STOPPED): "no order of it may fill any more",
    (_S.STOPPING, _S.RISK_STOPPED): _LOSS,
    (_S.STOPPING, _S.ERROR): _DEFECT,
    (_S.STOPPED, _S.RISK_STOPPED): _LOSS,
}
"""From and to, and what leads there."""

ACTIVE: Final = frozenset({_S.STARTING, _S.RUNNING, _S.PAUSING, _S.STOPPING})
"""States that an engine has to leave or keep up; in the others nothing is placed."""
