"""The port of bots to whole sets of outcomes: made of money, merged into money, redeemed.

A share of each outcome of a binary is a set, which pays 1 however the market resolves. A venue's
package fills the port where sets can be changed without trading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.trading import Receipt


class SetAction(StrEnum):
    """The change of an account's sets."""

    SPLIT = "split"
    """Money becomes sets."""
    MERGE = "merge"
    """Sets become money."""
    REDEEM = "redeem"
    """Shares of a resolved market become what they pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """One change. It is made at most once, however often it is sent: its nonce is used once."""

    change_id: str
    """Ours: letters and digits, at most 32; never used for a second change."""
    action: SetAction
    instrument: Instrument
    """An outcome of the market; of a redemption, the one that is held."""
    size: int
    """Sets, or shares that are redeemed, in units of the instrument's size."""
    nonce: int
    """As `OutcomeSets.nonce` said, before the change was written down."""
    deadline_ms: int
    """The account makes it no later, where the venue can say so; milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetsFound:
    """All that a venue says of one change."""

    done: bool = False
    """It is made, for good."""
    pending: int = 0
    """Requests for it that may still become so."""
    failed: int = 0
    """Requests for it that have ended without it."""
    nonce: int
    """The account's next one, read before the rest: once it is beyond the change's, the change is
    made or never will be."""
    detail: str = ""
    """Why one failed, for a person."""


class OutcomeSets(Protocol):
    """Sets of one wallet at one venue."""

    async def nonce(self) -> int:
        """Return the nonce of the account's next change. Raises ReadError."""
        ...

    async def submit(self, change: SetChange) -> Receipt:
        """Ask for a change, which is durable by then; it may be repeated. Never raises for what the
        venue or network does."""
        ...

    async def find(self, change: SetChange) -> SetsFound:
        """Return what became of a change. Raises ReadError."""
        ...
