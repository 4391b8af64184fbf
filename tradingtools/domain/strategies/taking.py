"""Settings of strategies that take a position in one instrument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from tradingtools.domain.strategies.bounds import (
    ConfigError,
    InstrumentId,
    Money,
    Ppm,
    Size,
    WholePpm,
)


class FinishWhen(StrEnum):
    """The end of a plan that buys at intervals."""

    NEVER = "NEVER"
    """What was sold is bought again."""
    SOLD = "SOLD"
    """The take-profit has sold all."""
    BUDGET = "BUDGET"
    """The budget is spent; what was bought is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DcaConfig:
    """Settings of one plan that buys at intervals; money in units of the settle currency."""

    instrument_id: InstrumentId
    """It is bought."""
    amount: Money
    """Money of one buy, before fees."""
    interval_s: Annotated[int, Meta(ge=10, extra={"unit": "seconds"})]
    """From one buy to the next."""
    max_slippage: WholePpm = 1_000
    """How far above the best ask a buy may go, in parts of a million."""
    budget: Money | None = None
    """Largest cost of what is held, before fees; None: no bound."""
    take_profit: Annotated[int, Meta(gt=0, extra={"unit": "parts of a million"})] | None = None
    """How far above the average cost all is sold, in parts of a million; None: it is kept."""
    finish_when: FinishWhen = FinishWhen.NEVER
    """The end of the plan."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.budget is not None and self.budget < self.amount:
            raise ConfigError("budget", "at least amount")
        if self.finish_when is FinishWhen.SOLD and self.take_profit is None:
            raise ConfigError("take_profit", "a value, since finish_when is SOLD")
        if self.finish_when is FinishWhen.BUDGET and self.budget is None:
            raise ConfigError("budget", "a value, since finish_when is BUDGET")
        if self.finish_when is FinishWhen.BUDGET and self.take_profit is not None:
            raise ConfigError("take_profit", "no value, since finish_when is BUDGET")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfig:
    """Settings of a position by signals; sizes in the instrument's units."""

    instrument_id: InstrumentId
    """Signals of others are not heard."""
    position: Size
    """Held, long or short, when a signal says so."""
    min_confidence: WholePpm = 600_000
    """Least confidence of a signal that counts, in parts of a million."""
    max_age_ms: Annotated[int, Meta(ge=100, le=86_400_000, extra={"unit": "milliseconds"})] = 10_000
    """An older signal is not heard, and a position grows no longer than this."""
    hold_s: Annotated[int, Meta(gt=0, extra={"unit": "seconds"})] = 3_600
    """When a position is closed that no signal has renewed."""
    reverse: bool = False
    """An opposite signal turns the position; otherwise it only closes it."""
    max_slippage: Ppm = 1_000
    """How far beyond the best price an order may go, in parts of a million."""
    half_life_s: Annotated[int, Meta(ge=0, le=86_400, extra={"unit": "seconds"})] = 0
    """In so many seconds a signal's confidence halves; 0: it stays."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id}

    def check(self) -> None:
        """Accept all settings: each is bounded by itself."""
