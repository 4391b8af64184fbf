"""A subscription as the router sees it. Amounts in micros; an absent limit does not limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tradingtools.domain.copy_settings import CopySettings
from tradingtools.domain.order import Follower
from tradingtools.domain.performance import UNSCALED_MICROS

DEFAULT_SLIPPAGE_MICROS = 30_000
DEFAULT_MAX_AGE_MS = 60_000


class SubscriptionState(StrEnum):
    """The state of a subscription, which decides whether entries are made; exits go on in every
    state."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DELETED = "DELETED"


class SizingMode(StrEnum):
    """The rule for the size of a copy before any limit."""

    FIXED = "FIXED"
    RATIO = "RATIO"
    PROPORTIONAL = "PROPORTIONAL"
    """The leader's notional x follower equity / leader equity."""
    TIERS = "TIERS"
    """Fixed or ratio by the leader's notional; the tiers are in the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One follower follows one leader."""

    id: str
    follower: Follower
    leader: str
    state: SubscriptionState
    version: int
    sizing_mode: SizingMode
    sizing_micros: int
    """USDC per copy for FIXED, factor for RATIO, 0 for the others."""
    max_per_trade_micros: int | None = None
    max_per_market_micros: int | None = None
    max_slippage_micros: int | None = None
    """Fraction of the leader's price; None: the default."""
    max_age_ms: int | None = None
    """Of an entry; None: the default."""
    settings: CopySettings = field(default_factory=CopySettings)
    """Everything else."""
    scale_micros: int = UNSCALED_MICROS
    """Factor that its performance rules put on what it copies, beside the multiplier."""
    created_ms: int = 0
    """When it was created, milliseconds since the epoch."""

    @property
    def slippage_micros(self) -> int:
        """Return the slippage limit in force."""
        given = self.max_slippage_micros
        return DEFAULT_SLIPPAGE_MICROS if given is None else given

    @property
    def age_ms(self) -> int:
        """Return the maximum age in force."""
        return DEFAULT_MAX_AGE_MS if self.max_age_ms is None else self.max_age_ms
