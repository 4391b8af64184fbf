"""Values that copies on paper are made of, and what comes of them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tradingtools.domain.book import Book, Level
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.domain.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTrade:
    """A leader's trade as a follower's router would have seen it."""

    trade: LeaderTrade
    at_ms: int
    """When it is judged, since 1970."""
    book: Book | None
    """Book for the judgement; None: the market is not known."""
    levels: tuple[Level, ...] | None
    """Levels on the other side, asks of a buy and bids of a sell; None: nobody recorded them."""
    leader: LeaderFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An outcome that has paid out."""

    asset_id: str
    at_ms: int
    payout_micros: int
    """USDC per share."""


@dataclass(slots=True, kw_only=True)
class Sums:
    """The sums of following. USDC and shares in micros."""

    buys: int = 0
    sells: int = 0
    """Trades of the leader that were judged."""
    copied: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    """Trades by why they led to no order."""
    orders: int = 0
    unfilled: int = 0
    """Orders of which nothing was filled."""
    desired_micros: int = 0
    """USDC that entries would have spent at their limits."""
    spent_micros: int = 0
    """Of entries, fees included."""
    received_micros: int = 0
    """Of exits and resolutions, fees taken off."""
    fees_micros: int = 0
    realised_micros: int = 0
    """Received less the cost of what left."""
    resolved: int = 0
    """Outcomes that were held when they paid out."""
    leader_micros: int = 0
    """USDC that the leader paid for what the entries bought, at his prices."""
    assumed_buys: int = 0
    assumed_sells: int = 0
    """Orders whose levels nobody recorded: filled whole, at the worst that the slippage admits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings of the router that decide with a subscription's own."""

    entry_ttl_ms: int = 5_000
    entry_least_ms: int = 100
    exit_ttl_ms: int = 15_000
    holding_age_ms: int = 900_000
