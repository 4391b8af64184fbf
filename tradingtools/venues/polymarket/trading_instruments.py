"""Instruments of Polymarket as bots know them, and what their orders and fees need beside.

Prices, sizes and money are micros here. Before: `clob_api`. After: `trading_gateway`,
`trading_accounts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradingtools.domain import errors, ids
from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase
from tradingtools.domain.money import MICROS
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.instruments import (
    HIGHEST_FEE_RATE_MICROS,
    ClobMarket,
    GammaMarket,
)
from tradingtools.venues.trading import ReadError

VENUE = "polymarket"
_DIGITS = 6
_LOT = 10_000
_FEE_STEP = 10
"""Fees have five decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """Facts of an asset that orders and fees depend on, beside its instrument."""

    asset_id: str
    condition_id: str
    neg_risk: bool
    fee_rate_micros: int
    game_start_ms: int | None = None
    """When all resting orders of its market are wiped; None: never."""

    @staticmethod
    def unknown(asset_id: str) -> MarketFacts:
        """Return what is assumed of an asset that nobody looked up: the dearest fee."""
        return MarketFacts(
            asset_id=asset_id,
            condition_id="",
            neg_risk=False,
            fee_rate_micros=HIGHEST_FEE_RATE_MICROS,
        )

    def taker_fee(self, price: int, size: int) -> int:
        """Return the fee of a taker in micros of USDC, rounded up; a maker pays none."""
        exact = size * self.fee_rate_micros * price * (MICROS - price)
        return -(-exact // (MICROS**3 * _FEE_STEP)) * _FEE_STEP


def instrument_id(asset_id: str) -> str:
    """Return the id of an asset's instrument."""
    return f"{VENUE}:{asset_id}"


def instrument_of(asset_id: str, clob: ClobMarket, gamma: GammaMarket) -> Instrument:
    """Return the instrument of an asset from what the CLOB and Gamma say of its market.

    Raises:
        UnitError: the venue's steps are not above zero.
    """
    ended = gamma.closed or bool(gamma.payouts)
    return Instrument(
        id=instrument_id(asset_id),
        kind=InstrumentKind.BINARY,
        base=asset_id,
        quote="USDC",
        settle="USDC",
        price_digits=_DIGITS,
        size_digits=_DIGITS,
        money_digits=_DIGITS,
        tick_size=clob.tick_micros,
        lot_size=_LOT,
        minimum_size=clob.min_size_micros,
        group=gamma.condition_id,
        ends_ms=gamma.end_ms,
        phase=TradingPhase.ENDED if ended else TradingPhase.OPEN,
        payout=gamma.payouts.get(asset_id),
    )


class PolymarketInstruments:
    """Finds instruments, and remembers what their orders need."""

    def __init__(self, api: ClobApi) -> None:
        self._api = api
        self._facts: dict[str, MarketFacts] = {}

    def facts(self, asset_id: str) -> MarketFacts | None:
        """Return what is known of an asset that was found before."""
        return self._facts.get(asset_id)

    def game_start_ms(self, asset_id: str) -> int | None:
        """Return when a market's game starts; None: it is about none, or was not looked up."""
        facts = self._facts.get(asset_id)
        return None if facts is None else facts.game_start_ms

    async def find(self, symbols: Sequence[str]) -> Sequence[Instrument]:
        """Return those that exist; a symbol is an asset's id. Raises ReadError."""
        found = [await self._find(symbol) for symbol in symbols]
        return [each for each in found if each is not None]

    def restore(self, instruments: Iterable[Instrument]) -> None:
        """Do nothing: markets that have ended are found as others are."""

    async def _find(self, symbol: str) -> Instrument | None:
        try:
            asset_id = ids.asset(symbol)
            condition_id = await self._api.condition(asset_id)
            gamma = await self._api.gamma(asset_id)
            if condition_id is None or gamma is None:
                return None
            clob = await self._api.market(condition_id)
        except ids.IdError:
            return None
        except (errors.Unavailable, errors.NotFound) as error:
            raise ReadError(str(error)) from error
        rates = [rate for rate in (clob.fee_rate_micros, gamma.fee_rate_micros) if rate is not None]
        self._facts[asset_id] = MarketFacts(
            asset_id=asset_id,
            condition_id=condition_id,
            neg_risk=gamma.neg_risk,
            # A fee that is not said is taken to be the dearest one.
            fee_rate_micros=max(rates, default=HIGHEST_FEE_RATE_MICROS),
            game_start_ms=clob.game_start_ms,
        )
        return instrument_of(asset_id, clob, gamma)
