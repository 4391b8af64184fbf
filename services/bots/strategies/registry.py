"""The strategies by name, and how their settings are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.bots.core.strategy import Strategy
from services.bots.strategies.market_making import (
    MarketMaking,
    MarketMakingConfig,
    MarketMakingState,
)


class ConfigError(ValueError):
    """Settings that a strategy cannot have; the text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One strategy with the types of its settings and its state."""

    make: type[Any]
    config: type[Any]
    state: type[Any]


KINDS: Mapping[str, Kind] = {
    "market_making": Kind(make=MarketMaking, config=MarketMakingConfig, state=MarketMakingState),
}


def strategy(name: str) -> Strategy[Any, Any]:
    """Return a strategy.

    Raises:
        ConfigError: there is none of this name.
    """
    return _kind(name).make()  # type: ignore[no-any-return]


def config(name: str, values: Mapping[str, Any]) -> Any:
    """Read the settings of a strategy.

    Raises:
        ConfigError: a field is missing, unknown, or of another type.
    """
    kind = _kind(name)
    known = set(kind.config.__dataclass_fields__)
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"config.{unknown[0]}: {name} has no such setting")
    try:
        return msgspec.convert(dict(values), kind.config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"config: {error}") from None


def state(name: str, values: Any) -> Any:
    """Read a snapshot of a strategy's state; None: it has none yet."""
    return None if values is None else msgspec.convert(values, _kind(name).state, strict=False)


def snapshot(values: Any) -> bytes:
    """Write a strategy's state as JSON."""
    return msgspec.json.encode(values)


def _kind(name: str) -> Kind:
    try:
        return KINDS[name]
    except KeyError:
        raise ConfigError(f"strategy: there is no {name!r}; there are {', '.join(KINDS)}") from None
