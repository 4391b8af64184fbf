"""The limits of many bots together: of a wallet, an exchange, a tenant, a group, a market. Pure.

The unit is the share: the most that one bot may be long and short in one instrument, in micros of
USDC, durable before anything is sent under it. Every limit is judged on sums of shares, so that two
engines never pass one together. What only reduces a holding needs no share.

Shared by the engine, which takes shares, and by REST, which tells what is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tradingtools.domain.bot_risk import RiskAction

PARTS: Final = 1_000_000
"""A ratio of one, in the unit of ratios."""
USAGE_AGE_MS: Final = 30_000
"""What a bot that trades has written of its holdings is stale after so long."""
COPIES_AGE_MS: Final = 10_000
"""What is known of copies is stale after so long."""
EVERY: Final = "*"
"""The subject of a limit that holds for each market by itself."""


class RiskScope(StrEnum):
    """The bots, or the part of their holdings, that a limit is about."""

    WALLET = "WALLET"
    EXCHANGE = "EXCHANGE"
    PORTFOLIO = "PORTFOLIO"
    """All of a tenant."""
    GROUP = "GROUP"
    """Instruments that a person has named."""
    MARKET = "MARKET"
    """An instrument, or both outcomes of a binary; beside copies."""


class ScopeLimit(StrEnum):
    """The limits of scopes. Values are what settings, reasons, events and REST call them."""

    MAX_GROSS = "max_gross"
    MAX_NET = "max_net"
    MAX_CONCENTRATION = "max_concentration"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MAX_WITH_COPIES = "max_with_copies"
    STALE_USAGE = "stale_usage"
    STALE_COPIES = "stale_copies"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRule:
    """One row of the table."""

    action: RiskAction
    scopes: frozenset[RiskScope]
    meaning: str


_S, _L, _A = RiskScope, ScopeLimit, RiskAction
_ALL = frozenset(RiskScope)
_ACCOUNTS = frozenset({_S.WALLET, _S.EXCHANGE, _S.PORTFOLIO})

SCOPE_RULES: Final[Mapping[ScopeLimit, ScopeRule]] = {
    _L.MAX_GROSS: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=_ALL,
        meaning="shares, long and short: all that bots hold and that could still open for them",
    ),
    _L.MAX_NET: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=_ALL - {_S.MARKET},
        meaning="shares of one side, less what is held on the other",
    ),
    _L.MAX_CONCENTRATION: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=_ALL - {_S.MARKET},
        meaning="part of `max_gross` that one market may take; of that market alone",
    ),
    _L.MAX_DAILY_LOSS: ScopeRule(
        action=_A.CANCEL_AND_STOP,
        scopes=_ACCOUNTS,
        meaning="loss of all bots since the day began (UTC), or since the limit was set",
    ),
    _L.MAX_DRAWDOWN: ScopeRule(
        action=_A.CANCEL_AND_STOP,
        scopes=_ACCOUNTS,
        meaning="loss of all bots from their highest result since the limit was set",
    ),
    _L.MAX_WITH_COPIES: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=frozenset({_S.MARKET}),
        meaning="shares of bots and what copies hold and have ordered; it acts on bots alone",
    ),
    _L.STALE_USAGE: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=_ALL,
        meaning="age of what a bot that trades has written of its holdings (30 s)",
    ),
    _L.STALE_COPIES: ScopeRule(
        action=_A.REDUCE_ONLY,
        scopes=frozenset({_S.MARKET}),
        meaning="age of what is known of copies, where `max_with_copies` is set (10 s)",
    ),
}
"""Every limit of many bots, where it may be set, and what reaching it does."""

assert set(SCOPE_RULES) == set(ScopeLimit)  # noqa: S101 - a limit without an action is a defect


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The room of one bot in one instrument. Micros of USDC."""

    bot_id: str
    wallet_id: str
    instrument_id: str
    market: str
    long_micros: int = 0
    short_micros: int = 0
    held_micros: int = 0
    """Worth of what it holds; below zero: short."""
    age_ms: int | None = None
    """Of what it holds, for a bot that trades; None: it does not trade, or holds nothing."""

    @property
    def exchange(self) -> str:
        """Return the exchange of its instrument."""
        return self.instrument_id.partition(":")[0]

    @property
    def gross_micros(self) -> int:
        """Return both sides together: nothing is netted."""
        return self.long_micros + self.short_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimits:
    """The limits of one scope, and from where its losses are counted."""

    scope: RiskScope
    subject: str
    """Wallet, exchange, group or market; empty: of a portfolio."""
    values: Mapping[ScopeLimit, int]
    """Micros of USDC; the concentration in millionths."""
    instruments: frozenset[str] = frozenset()
    """Of a group."""
    day_start_micros: int | None = None
    peak_micros: int | None = None

    def covers(self, share: Share) -> bool:
        """Return whether a share counts here."""
        if self.scope is _S.WALLET:
            return share.wallet_id == self.subject
        if self.scope is _S.EXCHANGE:
            return share.exchange == self.subject
        if self.scope is _S.GROUP:
            return share.instrument_id in self.instruments
        if self.scope is _S.MARKET:
            return self.subject in (EVERY, share.market)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one bot so far. Micros of USDC."""

    bot_id: str
    wallet_id: str
    exchange: str
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All shares and results of a tenant, and its limits, as of one reading."""

    limits: Sequence[ScopeLimits] = ()
    shares: Sequence[Share] = ()
    results: Sequence[Result] = ()
    copies: Mapping[str, int] = field(default_factory=dict)
    """Micros of USDC that copies hold and have ordered, by market."""
    copies_age_ms: int | None = None
    """None: it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached:
    """A limit of a scope that is reached, or that a share would pass."""

    limits: ScopeLimits
    limit: ScopeLimit
    market: str = ""
    """The only one that it is about; empty: all of the scope."""
    detail: str
    """For a person, with numbers."""

    @property
    def action(self) -> RiskAction:
        """Return what the table has for it."""
        return SCOPE_RULES[self.limit].action

    def concerns(self, share: Share) -> bool:
        """Return whether it is about a share."""
        return self.limits.covers(share) and self.market in ("", share.market)
