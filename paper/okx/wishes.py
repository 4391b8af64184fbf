"""Bodies of the control port."""

from __future__ import annotations

from typing import Literal

import msgspec

from paper.matching.values import Side
from paper.okx.core.faults import FaultKind
from paper.okx.core.instruments import State


class Wish(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A body of the control port; an unknown field is refused."""


class KeyWish(Wish):
    """An API key of an account."""

    apiKey: str
    secret: str
    passphrase: str
    permissions: tuple[Literal["read_only", "trade", "withdraw"], ...] = ("read_only", "trade")
    demo: bool = False
    ip: str = ""


class AccountWish(Wish):
    """A new account, its money by currency, its keys."""

    name: str
    mode: Literal["1", "2"] = "2"
    level: str = "Lv1"
    deposits: dict[str, str] = {}
    keys: list[KeyWish] = []


class DepositWish(Wish):
    """Money put into an account, below zero taken out."""

    account: str
    ccy: str
    amt: str


class FaultWish(Wish):
    """Misbehaviour toward the requests to come."""

    kind: FaultKind
    op: str = "any"
    times: int = 1
    ms: int = 0
    code: str = "50026"
    status: int = 503
    skip: int = 0


class PushesWish(Wish):
    """Misbehaviour toward an account's private frames."""

    account: str
    hold_ms: int = 0
    repeat: int = 0
    lose: int = 0
    jumble: bool = False
    """Hold them back; once it is false again they come out of order, each twice."""


class DropWish(Wish):
    """Cut the sockets of an account; empty: all."""

    account: str = ""


class BookWish(Wish):
    """The market's whole book, or a flaw in the sequence of its updates."""

    instId: str
    bids: list[tuple[str, str]] | None = None
    asks: list[tuple[str, str]] | None = None
    sequence: Literal["", "gap", "quiet", "reset"] = ""


class PrintWish(Wish):
    """A trade of the market."""

    instId: str
    side: Side
    px: str
    sz: str


class PriceWish(Wish):
    """A mark price, or an index."""

    instId: str
    px: str


class FundingWish(Wish):
    """The rate of a swap; due: settled now."""

    instId: str
    rate: str
    due: bool = False


class StateWish(Wish):
    """Suspend an instrument, let it trade, or end it."""

    instId: str
    state: State


class RunningWish(Wish):
    """Switches: the feed, the rate limits, the parts of a trade."""

    feed: bool | None = None
    limits: bool | None = None
    parts: int | None = None
