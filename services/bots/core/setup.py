"""The parts of a bot that change only when a person changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.bots.core.risk import RiskLimits
from services.bots.core.risk.shares import Shares
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.trading import TradingCapabilities

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup(Generic[Config]):
    """The parts of a bot that change only when a person changes them."""

    bot_id: str
    epoch: int
    config: Config
    instruments: Mapping[str, Instrument]
    capabilities: Mapping[str, TradingCapabilities]
    """By venue."""
    limits: RiskLimits = field(default_factory=RiskLimits)
    shares: Shares | None = None
    """Of the limits of its wallet, exchange and tenant; None: there are no such limits."""
    clock_error_ms: int = 500
    version: int = 0
    """Of what people want of the bot, that config and limits are of."""
