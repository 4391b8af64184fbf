"""Settings of each strategy of bots: what REST takes, the database keeps and an engine reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, Final, get_type_hints

import msgspec
from msgspec import Meta

_INSTRUMENT = ("instrument_id", "complement_id")
Positive = Annotated[int, Meta(gt=0)]
NotNegative = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]


class ConfigError(ValueError):
    """Settings that a strategy cannot have.

    Args:
        field: whose value is wrong; empty: the name of the strategy.
        expected: what it should be.
    """

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{f'config.{field}' if field else 'strategy'}: expected {expected}")
        self.field = field
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMakingConfig:
    """Settings of one market maker; sizes and prices in the instrument's units."""

    instrument_id: str
    complement_id: str = ""
    """The other outcome of a binary; empty: none is traded."""
    order_size: Positive
    max_position: Positive
    """Largest holding on either side."""
    risk_aversion: PositiveFloat = 0.1
    horizon_s: PositiveFloat = 60.0
    arrival_decay: PositiveFloat = 100.0
    """How fast arrivals fade with the distance from the mid, by unit of price 1."""
    min_half_spread: NotNegative = 0
    max_half_spread: Positive
    volatility_half_life_s: PositiveFloat = 60.0
    requote_ticks: NotNegative = 1
    """A quote that is nearer than this to where it should be stays, and keeps its queue."""
    toxic_imbalance: Annotated[float, Meta(gt=0, le=1)] = 0.8
    """Part of the recent prints' size on one side from which quotes in their way back off."""
    toxic_half_life_s: PositiveFloat = 10.0
    back_off_ms: NotNegative = 5_000

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

    instrument_id: str
    lower: Positive
    upper: Positive
    """Bounds: the lowest and the highest level."""
    cells: Annotated[int, Meta(ge=1, le=200)]
    """Steps between the bounds; levels are one more."""
    order_size: Positive
    """Of each level."""
    post_only: bool = False
    """Orders that would trade at once are refused, and no taker's fee is paid."""
    opening_slippage: NotNegative = 0
    """How far above the best ask the first inventory may be bought, in units of price."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id}

    def check(self) -> None:
        """Raise ConfigError: two settings do not go together."""
        if self.upper <= self.lower:
            raise ConfigError("upper", "a price above lower")


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

    instrument_id: str
    amount: Positive
    """Money of one buy, before fees."""
    interval_s: Annotated[int, Meta(ge=10)]
    max_slippage: Annotated[int, Meta(ge=0, le=1_000_000)] = 1_000
    """How far above the best ask a buy may go, in parts of a million."""
    budget: Positive | None = None
    """Largest cost of what is held, before fees; None: no bound."""
    take_profit: Positive | None = None
    """How far above the average cost all is sold, in parts of a million; None: it is kept."""
    finish_when: FinishWhen = FinishWhen.NEVER

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

    instrument_id: str
    position: Positive
    """Held, long or short, when a signal says so."""
    min_confidence: Annotated[int, Meta(ge=0, le=1_000_000)] = 600_000
    """Least confidence of a signal that counts, in parts of a million."""
    max_age_ms: Annotated[int, Meta(ge=100, le=86_400_000)] = 10_000
    """An older signal is not heard, and a position grows no longer than this."""
    hold_s: Positive = 3_600
    """When a position is closed that no signal has renewed."""
    reverse: bool = False
    """An opposite signal turns the position; otherwise it only closes it."""
    max_slippage: Annotated[int, Meta(ge=0, lt=1_000_000)] = 1_000
    """How far beyond the best price an order may go, in parts of a million."""

    def traded(self) -> dict[str, str]:
        """Return the instruments that it trades, by field."""
        return {"instrument_id": self.instrument_id}

    def check(self) -> None:
        """Accept all settings: each is bounded by itself."""


PartsPerMillion = Annotated[int, Meta(ge=0, lt=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=100, le=3_600_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArbitrageConfig:
    """Settings of an arbitrage of complete sets within one binary market.

    One share of each outcome pays 1 together: both are bought where they cost less, and sold where
    they bring more, fees taken off.
    """

    instrument_id: str
    complement_id: str
    """The other outcome."""
    order_size: Positive
    """Largest number of sets of one tranche."""
    max_sets: Positive
    """Largest number of sets that are held."""
    min_edge: NotNegative
    """Least gain of a set after fees, in units of price."""
    taker_fee: PartsPerMillion
    """Of both legs, in parts of a million of the notional."""
    max_loss: Positive
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedge_deadline_ms: Milliseconds = 3_000
    """From the first fill of one leg alone: after it, that leg is flattened."""
    max_slippage: PartsPerMillion = 10_000
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

    spot_id: str
    swap_id: str
    order_size: Positive
    """Of spot in one tranche, in its units."""
    max_position: Positive
    """Of spot in all, in its units."""
    horizon_h: Annotated[int, Meta(ge=1, le=8_784)] = 168
    """Hours over which the fees of all four orders are spread."""
    entry_rate: Annotated[int, Meta(ge=0, le=100_000_000)]
    """Least rate a year after fees to open, in parts of a million."""
    exit_rate: Annotated[int, Meta(ge=-100_000_000, le=100_000_000)] = 0
    """Rate a year before fees below which all is closed, in parts of a million."""
    spot_fee: PartsPerMillion
    swap_fee: PartsPerMillion
    """A taker's, in parts of a million of the notional."""
    rebalance_band: PartsPerMillion = 10_000
    """Difference of the legs that is let be, in parts of a million of the position."""
    max_loss: Positive
    """Of one tranche whose second leg fails, at the books of its entry; in units of money."""
    hedge_deadline_ms: Milliseconds = 5_000
    """From the first fill of one leg alone: after it, that leg is flattened."""
    max_slippage: PartsPerMillion = 1_000
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

    binary_id: str
    """Pays 1 when the price ends above the strike, or below it."""
    hedge_id: str
    """A linear swap or future on that price."""
    strike: Positive
    """In the hedge's units of price."""
    pays_above: bool = True
    expires_ms: Positive
    """When the binary is decided, milliseconds since the epoch."""
    volatility: Annotated[float, Meta(gt=0, le=10)]
    """Of the price, a year: 0.5 is 50 %."""
    order_size: Positive
    """Shares of one tranche."""
    max_position: Positive
    """Shares in all."""
    min_edge: NotNegative
    """Least worth above the cost of a share, fees included, in the binary's units of price."""
    exit_edge: NotNegative = 0
    """The shares are sold where the bid, fee taken off, is above their worth by this."""
    stop_before_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 3_600
    """All is closed so long before the end, where delta runs away."""
    rebalance_band: PartsPerMillion = 100_000
    """Difference between hedge and delta that is let be, in parts of a million of the delta."""
    binary_fee: PartsPerMillion
    hedge_fee: PartsPerMillion
    """A taker's, in parts of a million of the notional."""
    max_loss: Positive
    """Of one tranche whose hedge fails, at the book of its entry; in units of its money."""
    hedge_deadline_ms: Milliseconds = 5_000
    """From the first share that is not hedged: after it, the shares are flattened."""
    max_slippage: PartsPerMillion = 10_000
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


CONFIGS: Final[Mapping[str, type[Any]]] = {
    "arbitrage": ArbitrageConfig,
    "dca": DcaConfig,
    "delta_hedge": DeltaHedgeConfig,
    "funding_arbitrage": FundingArbitrageConfig,
    "grid": GridConfig,
    "market_making": MarketMakingConfig,
    "signal": SignalConfig,
}
"""The types of settings by the names of their strategies."""


_FIXED: Final[Mapping[str, frozenset[str]]] = {
    "dca": frozenset(),
    # Its position says what each cell holds: other cells would hold something else.
    "grid": frozenset({"lower", "upper", "cells", "order_size"}),
    "market_making": frozenset(),
    "signal": frozenset(),
}
"""Settings on which the meaning of a bot's state or position depends, besides its instruments."""


def fixed(strategy: str) -> frozenset[str]:
    """Return the settings that cannot change once a bot has begun.

    Raises:
        KeyError: there is no such strategy.
    """
    kind = CONFIGS[strategy]
    traded = {one.name for one in fields(kind) if one.name.endswith(_INSTRUMENT)}
    # Of one that says nothing, nothing may change.
    return _FIXED.get(strategy, frozenset(one.name for one in fields(kind))) | traded


def config(strategy: str, values: Mapping[str, Any], *, texts: bool = False) -> Any:
    """Read the settings of a strategy.

    Args:
        strategy: its name.
        values: by field; what is not there has its default.
        texts: numbers may be decimal texts.

    Raises:
        ConfigError: a field is missing, unknown, out of its range or of another type.
    """
    kind = CONFIGS.get(strategy)
    if kind is None:
        raise ConfigError("", f"one of {', '.join(CONFIGS)}")
    types = get_type_hints(kind, include_extras=True)
    for name in values:
        if name not in types:
            raise ConfigError(name, f"no such setting of {strategy}")
    found: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in values:
            found[field.name] = _value(field.name, values[field.name], types[field.name], texts)
        elif field.default is MISSING:
            raise ConfigError(field.name, "a value")
    made = kind(**found)
    made.check()
    return made


def _value(name: str, value: Any, kind: Any, texts: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=not texts)
    except msgspec.ValidationError as error:
        raise ConfigError(name, str(error).removeprefix("Expected ").replace("`", "")) from None
