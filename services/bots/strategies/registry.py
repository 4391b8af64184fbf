"""The strategies by name, and how their state is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.bots.core.strategy import Strategy
from services.bots.strategies import market_making
from services.bots.strategies.arbitrage import Arbitrage
from services.bots.strategies.dca import Dca, DcaState
from services.bots.strategies.delta_hedge import DeltaHedge
from services.bots.strategies.funding_arbitrage import FundingArbitrage
from services.bots.strategies.grid import Grid, GridState
from services.bots.strategies.market_making import MarketMaking, MarketMakingState
from services.bots.strategies.pair import TrancheState
from services.bots.strategies.signal import Signal, SignalState
from tradingtools.domain.strategies import ConfigError

OKX, POLYMARKET = "okx", "polymarket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One strategy with the type of its state."""

    make: type[Any]
    state: type[Any]
    source: str = ""
    """The paper or definition that it follows."""
    venues: tuple[tuple[str, ...], ...] = ((OKX,), (POLYMARKET,))
    """Where it trades; a place with two exchanges is for backtests alone, since a bot has one
    wallet."""


KINDS: Mapping[str, Kind] = {
    "arbitrage": Kind(
        make=Arbitrage,
        state=TrancheState,
        source="Saguillo and others (2025), single-condition arbitrage",
        venues=((POLYMARKET,),),
    ),
    "dca": Kind(make=Dca, state=DcaState, source="Constantinides (1979)"),
    "delta_hedge": Kind(
        make=DeltaHedge,
        state=TrancheState,
        source="Rubinstein and Reiner (1991), cash-or-nothing options",
        venues=((POLYMARKET, OKX),),
    ),
    "funding_arbitrage": Kind(
        make=FundingArbitrage,
        state=TrancheState,
        source="He, Manela, Ross and von Wachter (2022)",
        venues=((OKX,),),
    ),
    "grid": Kind(make=Grid, state=GridState, source="Taranto and Khan (2020)"),
    "market_making": Kind(
        make=MarketMaking, state=MarketMakingState, source="Avellaneda and Stoikov (2008)"
    ),
    "signal": Kind(
        make=Signal, state=SignalState, source="Lopez de Prado (2018), vertical barrier"
    ),
}


def strategy(name: str) -> Strategy[Any, Any]:
    """Return a strategy.

    Raises:
        ConfigError: there is none of this name.
    """
    return _kind(name).make()  # type: ignore[no-any-return]


def state(name: str, values: Any) -> Any:
    """Read a snapshot of a strategy's state; None: it has none yet."""
    return None if values is None else msgspec.convert(values, _kind(name).state, strict=False)


_SOURCES: Mapping[type[Any], Callable[[Any], Mapping[str, int]]] = {
    MarketMakingState: market_making.sources,
}
"""By the type of a state, how its gains are told by source."""


def sources(values: Any) -> Mapping[str, int]:
    """Return gains by source, in units of money; empty: the strategy does not say."""
    reported = _SOURCES.get(type(values))
    return {} if reported is None else reported(values)


def merges_sets(values: Any) -> bool:
    """Return whether a strategy goes on by its holdings alone, so that whole sets of them may be
    merged under it; by its state."""
    return isinstance(values, MarketMakingState)


def snapshot(values: Any) -> bytes:
    """Write a strategy's state as JSON."""
    return msgspec.json.encode(values)


def _kind(name: str) -> Kind:
    try:
        return KINDS[name]
    except KeyError:
        raise ConfigError("", f"one of {', '.join(KINDS)}") from None
