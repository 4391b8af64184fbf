"""The worth of currencies in USDC, by the market ``USDC-<currency>`` of a wallet's exchange.

Currencies at par need none. Without a rate, or once its book has been in doubt for too long,
nothing opens in an instrument of that currency.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from services.bots.core.market import TRUSTED
from services.bots.core.risk.worth import ONE, currency_of
from services.bots.wallet.shared import Wallet
from tradingtools import clock
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import MarketEvent, ReadError, TradingBook

RATE_AGE_MS = 5_000
"""A rate whose book is in doubt, or wide, holds for so long."""
WIDEST_PART = 50
"""A book whose sides are further apart than this part of the bid says nothing: 2 %."""
FIND_AGAIN_MS = 60_000
_log = structlog.get_logger("bots")


class MarkedRates:
    """See the module.

    Args:
        wallet: whose rates they are; those that it has already are at par.
    """

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._par = frozenset(wallet.rates)
        self._markets: dict[str, str] = {}
        """Currencies by instrument."""
        self._requested_ms: dict[str, int] = {}
        """When the market of a currency was looked for last, by the monotonic clock."""
        self._doubted_ms: dict[str, int] = {}
        """Since when the book of a currency is in doubt."""

    @property
    def instruments(self) -> frozenset[str]:
        """Return the instruments that are followed for their rate."""
        return frozenset(self._markets)

    async def look(self) -> None:
        """Find the markets of currencies that bots trade in."""
        traded = {
            currency_of(one)
            for bot in self._wallet.bots.values()
            for one in bot.instruments.values()
        }
        now = clock.monotonic_ms()
        for currency in sorted(traded - self._par - set(self._markets.values())):
            if now < self._requested_ms.get(currency, -FIND_AGAIN_MS) + FIND_AGAIN_MS:
                continue
            self._requested_ms[currency] = now
            await self._find(currency)

    async def _find(self, currency: str) -> None:
        try:
            found = await self._wallet.venue.instruments.find([f"USDC-{currency}"])
        except ReadError as error:
            _log.warning("the market of a currency was not read", currency=currency, why=str(error))
            return
        for one in found:
            if _tells(one, currency):
                self._wallet.instruments[one.id] = one
                self._markets[one.id] = currency
                return
        _log.warning("a currency has no market in USDC: nothing opens in it", currency=currency)

    def take(self, event: MarketEvent) -> None:
        """Take a book, if it is one of these."""
        if not isinstance(event, TradingBook):
            return
        currency = self._markets.get(event.instrument_id)
        if currency is None:
            return
        if event.status in TRUSTED and _is_narrow(event):
            digits = self._wallet.instruments[event.instrument_id].price_digits
            # What one unit costs at least: exposure is what limits are mostly about.
            self._wallet.rates[currency] = -(-ONE * 10**digits // event.bids[0][0])
            self._doubted_ms.pop(currency, None)
        else:
            self._doubted_ms.setdefault(currency, clock.monotonic_ms())

    def keep(self, followed: Collection[str]) -> None:
        """Let go of rates whose market is followed no more: nobody would hear of its doubt."""
        for named, currency in self._markets.items():
            if named not in followed:
                self._wallet.rates.pop(currency, None)
                self._doubted_ms.pop(currency, None)

    def check(self) -> None:
        """Let go of rates that are too old."""
        now = clock.monotonic_ms()
        for currency, since in self._doubted_ms.items():
            if now >= since + RATE_AGE_MS and self._wallet.rates.pop(currency, None) is not None:
                _log.warning("the rate of a currency is too old", currency=currency)


def _is_narrow(book: TradingBook) -> bool:
    if not (book.bids and book.asks):
        return False
    bid, ask = book.bids[0][0], book.asks[0][0]
    return 0 < bid <= ask and (ask - bid) * WIDEST_PART <= bid


def _tells(one: Instrument, currency: str) -> bool:
    spot = one.kind is InstrumentKind.SPOT
    return spot and (one.base, one.quote) == ("USDC", currency)
