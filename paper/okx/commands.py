"""Bodies of the control port."""

from __future__ import annotations

from typing import Literal

import msgspec

from paper.matching.values import Side
from paper.okx.core.faults import FaultKind
from paper.okx.core.instruments import State


class Command(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A body of the control port; an unknown field is refused."""


class KeyCommand(Command):
    """An API key of an account."""

    apiKey: str
    secret: str
    passphrase: str
    permissions: tuple[Literal["read_only", "trade", "withdraw"], ...] = ("read_only", "trade")
    demo: bool = False
    ip: str = ""


class AccountCommand(Command):
    """A new account, its money by currency, its keys."""

    name: str
    mode: Literal["1", "2"] = "2"
    level: str = "Lv1"
    deposits: dict[str, str] = {}
    keys: list[KeyCommand] = []


class DepositCommand(Command):
    """Money put into an account, below zero taken out."""

    account: str
    ccy: str
    amt: str


class FaultCommand(Command):
    """Misbehaviour toward the requests to come."""

    kind: FaultKind
    op: str = "any"
    times: int = 1
    ms: int = 0
    code: str = "50026"
    status: int = 503
    skip: int = 0


class PushesCommand(Command):
    """Misbehaviour toward an account's private frames."""

    account: str
    hold_ms: int = 0
    repeat: int = 0
    lose: int = 0
    jumble: bool = False
    """Hold them back; once it is false again they come out of order, each twice."""


class DropCommand(Command):
    """Cut the sockets of an account; empty: all."""

    account: str = ""


class BookCommand(Command):
    """The market's whole book, or a flaw in the sequence of its updates."""

    instId: str
    bids: list[tuple[str, str]] | None = None
    asks: list[tuple[str, str]] | None = None
    sequence: Literal["", "gap", "quiet", "reset"] = ""


class PrintCommand(Command):
    """A trade of the market."""

    instId: str
    side: Side
    px: str
    sz: str


class PriceCommand(Command):
    """A mark price, or an index."""

    instId: str
    px: str


class FundingCommand(Command):
    """The rate of a swap; due: settled now."""

    instId: str
    rate: str
    due: bool = False


class StateCommand(Command):
    """Suspend an instrument, let it trade, or end it."""

    instId: str
    state: State


class RunningCommand(Command):
    """Switches: the feed, the rate limits, the parts of a trade."""

    feed: bool | None = None
    limits: bool | None = None
    parts: int | None = None
