"""Settings of strategies that quote on one market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from tradingtools.domain.strategies.bounds import (
    ConfigError,
    Count,
    InstrumentId,
    PositiveFloat,
    Price,
    PriceOrZero,
    SecondsFloat,
    Size,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMakingConfig:
    """Settings of one market maker; sizes and prices in the instrument's units."""

    instrument_id: InstrumentId
    """It is quoted on both sides."""
    complement_id: InstrumentId = ""
    """The other outcome of a binary; empty: none is traded."""
    order_size: Size
    """Of each quote."""
    max_position: Size
    """Largest holding on either side."""
    risk_aversion: PositiveFloat = 0.1
    """The paper's gamma, for inventory in orders."""
    horizon_s: SecondsFloat = 60.0
    """Over which a price may move against the inventory."""
    arrival_decay: PositiveFloat = 100.0
    """How fast arrivals fade with the distance from the mid, by unit of price 1."""
    min_half_spread: PriceOrZero = 0
    """Least distance of a quote from the reservation price."""
    max_half_spread: Price
    """Greatest distance of a quote from the reservation price."""
    volatility_half_life_s: SecondsFloat = 60.0
    """By which moves of the mid fade."""
    requote_ticks: Count = 1
    """A quote that is nearer than this to where it should be stays, and keeps its queue."""
    toxic_imbalance: Annotated[float, Meta(gt=0, le=1, extra={"unit": "number"})] = 0.8
    """Part of the recent prints' size on one side from which quotes in their way back off."""
    toxic_half_life_s: SecondsFloat = 10.0
    """By which prints fade."""
    back_off_ms: Annotated[int, Meta(ge=0, extra={"unit": "milliseconds"})] = 5_000
    """For how long quotes in their way are taken back."""
    markout_s: SecondsFloat = 10.0
    """From a fill to the mid that judges it."""
    adverse_weight: Annotated[float, Meta(ge=0, le=10, extra={"unit": "number"})] = 1.0
    """How much wider quotes are by the mean loss of fills within that time; 0: they are not."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        both = {"instrument_id": self.instrument_id, "complement_id": self.complement_id}
        return {field: one for field, one in both.items() if one}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.max_half_spread < self.min_half_spread:
            raise ConfigError("max_half_spread", "at least the smallest half of the spread")
        if self.complement_id == self.instrument_id:
            raise ConfigError("complement_id", "another instrument")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """Settings of one grid; sizes and prices in the instrument's units."""

    instrument_id: InstrumentId
    """The grid's market."""
    lower: Price
    """The lowest level."""
    upper: Price
    """The highest level."""
    cells: Annotated[int, Meta(ge=1, le=200, extra={"unit": "count"})]
    """Steps between the bounds; levels are one more."""
    order_size: Size
    """Of each level."""
    post_only: bool = False
    """Orders that would trade at once are refused, and no taker's fee is paid."""
    opening_slippage: PriceOrZero = 0
    """How far above the best ask the first inventory may be bought, in units of price."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.upper <= self.lower:
            raise ConfigError("upper", "a price above lower")
