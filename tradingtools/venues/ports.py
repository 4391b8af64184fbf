"""The port to venues: requests and answers, as values that no venue owns.

Cores decide by these values alone. A venue's package reads its own wire and returns them; `app.py`
of a process chooses the venue. Amounts are micros (1e-6) of USDC or shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, Protocol

import msgspec

from tradingtools.domain.order import Follower, TimeInForce
from tradingtools.domain.venue_order import VenueOrder

Side = Literal["BUY", "SELL"]
Action = Literal["TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION"]


class OrderBody(Protocol):
    """Writes the body of an order's POST, as its venue gateway reads it: same inputs, same bytes.

    It is frozen in the order before the claim is durable, so that each attempt sends the same.
    """

    def __call__(
        self,
        *,
        follower: Follower,
        condition_id: str,
        asset_id: str,
        size_micros: int,
        limit_micros: int,
        time_in_force: TimeInForce,
        not_after_ms: int,
    ) -> str: ...


class RowError(ValueError):
    """A row that is no trade.

    Attributes:
        reason: one word for counting: not_json, malformed, unknown_topic, bad_number, bad_id.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One row of one transaction, in canonical spelling.

    ``price_text`` has all its digits and ``price_micros`` is their half-even rounding, because a
    leader's price may be an average; ``size_micros`` is exact. ``traded_ms`` is the venue's clock.
    """

    tx: str
    leader: str
    asset_id: str
    condition_id: str
    side: Side
    price_text: str
    price_micros: int
    size_micros: int
    traded_ms: int
    title: str
    outcome: str
    action: Action = "TRADE"


@dataclass(frozen=True, slots=True)
class Position:
    """Shares of one asset, 1e-6; the condition is empty when the API does not say."""

    size_micros: int
    condition_id: str


class Capabilities(msgspec.Struct, frozen=True):
    """The promises of insiders-api (A to D of the money path), and its longest processing time."""

    idempotency: bool
    not_after: bool
    get_by_key: bool
    void: bool
    longest_processing_ms: int


class CapabilitiesUnknown(Enum):
    """The reason that insiders-api has not said what it promises."""

    NO_ANSWER = auto()
    """It may say so the next time."""
    NOT_OFFERED = auto()
    """It answers, and has no such route: it never says."""


class Meaning(Enum):
    """The conclusion that an answer allows."""

    ACCEPTED = auto()
    REJECTED = auto()
    NOT_ACCEPTED = auto()
    """Provably not taken this time; may be sent again before its deadline."""
    HELD_BACK = auto()
    """Provably not taken, and not let out any more: why is the code."""
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The meaning, the code behind it, and the order when it was accepted."""

    meaning: Meaning
    code: str = ""
    order: VenueOrder | None = None
    retry_after_ms: int | None = None
    first_byte_ns: int | None = None
    """When the first byte left of what was not answered, nanoseconds since the epoch."""


NOT_SENT = Verdict(meaning=Meaning.NOT_ACCEPTED, code="NOT_SENT")
"""Nothing has left this time."""


class RedemptionAnswer(Enum):
    """The answer to a request for a redemption."""

    DONE = auto()
    UNDER_WAY = auto()
    NOTHING_LEFT = auto()
    REFUSED = auto()
    """Definitively not by this request: not resolved there, too often, refused."""
    NOT_SENT = auto()
    NO_ANSWER = auto()
    """Anything that proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionVerdict:
    """An answer, judged."""

    answer: RedemptionAnswer
    paid_micros: int | None = None
    """The amount that insiders-api says it paid."""
    detail: str = ""
    """For a person."""
