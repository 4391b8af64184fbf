"""Settings of strategies with two legs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from tradingtools.domain.strategies.bounds import (
    AnnualRate,
    ConfigError,
    EntryRate,
    InstrumentId,
    Milliseconds,
    Money,
    Ppm,
    Price,
    PriceOrZero,
    Size,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageConfig:
    """Settings of an arbitrage of complete sets within one binary market.

    One share of each outcome pays 1 together: both are bought where they cost less, and sold where
    they bring more, fees taken off.
    """

    instrument_id: InstrumentId
    """One outcome."""
    complement_id: InstrumentId
    """The other outcome."""
    order_size: Size
    """Largest number of sets of one tranche."""
    max_sets: Size
    """Largest number of sets that are held."""
    min_edge: PriceOrZero
    """Least gain of a set after fees, in units of price."""
    taker_fee: Ppm
    """Of both legs, in parts of a million of the notional."""
    max_loss: Money
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedge_deadline_ms: Milliseconds = 3_000
    """From the first fill of one leg alone: after it, that leg is flattened."""
    max_slippage: Ppm = 10_000
    """Of hedges and of flattening beyond the best price, in parts of a million."""
    sell_sets: bool = True
    """Sets that are held are sold where bids bring more than 1 by the least gain."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id, "complement_id": self.complement_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.complement_id == self.instrument_id:
            raise ConfigError("complement_id", "another instrument")
        if self.max_sets < self.order_size:
            raise ConfigError("max_sets", "at least order_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingArbitrageConfig:
    """Settings of a funding-rate arbitrage: long spot, short the swap, for the rate longs pay."""

    spot_id: InstrumentId
    """It is bought."""
    swap_id: InstrumentId
    """A linear swap of the same coin; it is sold."""
    order_size: Size
    """Of spot in one tranche, in its units."""
    max_position: Size
    """Of spot in all, in its units."""
    horizon_h: Annotated[int, Meta(ge=1, le=8_784, extra={"unit": "hours"})] = 168
    """Hours over which the fees of all four orders are spread."""
    entry_rate: EntryRate
    """Least rate a year after fees to open, in parts of a million."""
    exit_rate: AnnualRate = 0
    """Rate a year before fees below which all is closed, in parts of a million."""
    spot_fee: Ppm
    """A taker's, in parts of a million of the notional."""
    swap_fee: Ppm
    """A taker's, in parts of a million of the notional."""
    rebalance_band: Ppm = 10_000
    """Difference of the legs that is let be, in parts of a million of the position."""
    max_loss: Money
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedge_deadline_ms: Milliseconds = 5_000
    """From the first fill of one leg alone: after it, that leg is flattened."""
    max_slippage: Ppm = 1_000
    """Of each order beyond the best price, in parts of a million."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"spot_id": self.spot_id, "swap_id": self.swap_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.swap_id == self.spot_id:
            raise ConfigError("swap_id", "another instrument")
        if self.max_position < self.order_size:
            raise ConfigError("max_position", "at least order_size")
        if self.exit_rate > self.entry_rate:
            raise ConfigError("exit_rate", "at most entry_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaHedgeConfig:
    """Settings of a binary on a price, bought below its model's worth and hedged by its delta.

    This is no riskless arbitrage: the model (lognormal, constant volatility) may be wrong.
    """

    binary_id: InstrumentId
    """Pays 1 when the price ends above the strike, or below it."""
    hedge_id: InstrumentId
    """A linear swap or future on that price."""
    strike: Price
    """In the hedge's units of price."""
    pays_above: bool = True
    """It pays 1 above the strike; otherwise below it."""
    expires_ms: Annotated[int, Meta(gt=0, extra={"unit": "milliseconds since 1970"})]
    """When the binary is decided, milliseconds since the epoch."""
    volatility: Annotated[float, Meta(gt=0, le=10, extra={"unit": "number"})]
    """Of the price, a year: 0.5 is 50 %."""
    order_size: Size
    """Shares of one tranche."""
    max_position: Size
    """Shares in all."""
    min_edge: PriceOrZero
    """Least worth above the cost of a share, fees included, in the binary's units of price."""
    exit_edge: PriceOrZero = 0
    """The shares are sold where the bid, fee taken off, is above their worth by this."""
    stop_before_s: Annotated[int, Meta(ge=60, le=31_536_000, extra={"unit": "seconds"})] = 3_600
    """All is closed so long before the end, where delta runs away."""
    rebalance_band: Ppm = 100_000
    """Difference between hedge and delta that is let be, in parts of a million of the delta."""
    binary_fee: Ppm
    """A taker's, in parts of a million of the notional."""
    hedge_fee: Ppm
    """A taker's, in parts of a million of the notional."""
    max_loss: Money
    """Of one tranche whose hedge fails, at the book of its entry; in units of its money."""
    hedge_deadline_ms: Milliseconds = 5_000
    """From the first share that is not hedged: after it, the shares are flattened."""
    max_slippage: Ppm = 10_000
    """Of each order beyond the best price, in parts of a million."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"binary_id": self.binary_id, "hedge_id": self.hedge_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.hedge_id == self.binary_id:
            raise ConfigError("hedge_id", "another instrument")
        if self.max_position < self.order_size:
            raise ConfigError("max_position", "at least order_size")
