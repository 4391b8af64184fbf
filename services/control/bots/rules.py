"""Commands of a person to a bot, and the states in which they fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradingtools.domain.bot_states import TRANSITIONS, BotState
from tradingtools.domain.errors import WrongState

_S = BotState


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a person."""

    word: str
    """As the bot's events tell it."""
    desired: str
    states: frozenset[BotState]
    """In which it may be given."""
    restarts: BotState | None = None
    """A state that only a person ends: the command itself moves the bot to STARTING."""
    reasoned: bool = False
    """It restarts for a reason alone."""
    otherwise: str = ""
    """What to do in the other states."""


START: Final = Command(
    word="started",
    desired="RUNNING",
    states=frozenset({_S.IDLE, _S.STARTING, _S.RUNNING, _S.STOPPING, _S.STOPPED, _S.ERROR}),
    restarts=_S.ERROR,
    otherwise="resume it",
)
STOP: Final = Command(word="stopped", desired="STOPPED", states=frozenset(_S))
PAUSE: Final = Command(
    word="paused",
    desired="PAUSED",
    states=frozenset({_S.STARTING, _S.RUNNING, _S.PAUSING, _S.PAUSED}),
    otherwise="it does not run",
)
RESUME: Final = Command(
    word="resumed",
    desired="RUNNING",
    states=frozenset({_S.STARTING, _S.RUNNING, _S.PAUSING, _S.PAUSED, _S.RISK_STOPPED}),
    restarts=_S.RISK_STOPPED,
    reasoned=True,
    otherwise="start it",
)
WISHES: Final[Mapping[str, Command]] = {one.word: one for one in (START, STOP, PAUSE, RESUME)}

assert all(  # noqa: S101 - the table of states has to know them
    one.restarts is None or (one.restarts, _S.STARTING) in TRANSITIONS for one in WISHES.values()
)


def refused(command: Command, bot_id: str, state: str) -> WrongState:
    """Return the error of a command that does not fit the bot's state."""
    return WrongState(
        f"bot {bot_id} is {state}: {command.otherwise}", kind="bot", id=bot_id, state=state
    )
