"""Settings of each strategy of bots: what REST takes, the database keeps and an engine reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final, get_type_hints

import msgspec

from tradingtools.domain.strategies.bounds import ConfigError
from tradingtools.domain.strategies.pairs import (
    ArbitrageConfig,
    DeltaHedgeConfig,
    FundingArbitrageConfig,
)
from tradingtools.domain.strategies.quoting import GridConfig, MarketMakingConfig
from tradingtools.domain.strategies.taking import DcaConfig, FinishWhen, SignalConfig

__all__ = [
    "CONFIGS",
    "ArbitrageConfig",
    "ConfigError",
    "DcaConfig",
    "DeltaHedgeConfig",
    "FinishWhen",
    "FundingArbitrageConfig",
    "GridConfig",
    "MarketMakingConfig",
    "SignalConfig",
    "config",
    "fixed",
]

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


_INSTRUMENTS: Final = (
    "instrument_id",
    "complement_id",
    "spot_id",
    "swap_id",
    "binary_id",
    "hedge_id",
)
_FIXED: Final[Mapping[str, frozenset[str]]] = {
    "arbitrage": frozenset(),
    "dca": frozenset(),
    # What is bet on, and when it ends.
    "delta_hedge": frozenset({"strike", "pays_above", "expires_ms"}),
    "funding_arbitrage": frozenset(),
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
    traded = {one.name for one in fields(kind) if one.name in _INSTRUMENTS}
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
