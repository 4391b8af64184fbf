"""Books and markets by REST. Before: `http`. After: bookfeed."""

from __future__ import annotations

from tradingtools.adapters.polymarket.http import Http
from tradingtools.adapters.polymarket.market_channel import (
    BookMessage,
    MessageError,
    decode_rest_book,
)
from tradingtools.adapters.polymarket.markets import (
    ClobMarket,
    GammaMarket,
    MarketError,
    decode_clob_market,
    decode_condition,
    decode_gamma_markets,
)
from tradingtools.domain import errors


class ClobApi:
    """Asks the CLOB and Gamma. Every call raises Unavailable when the answer is of no use."""

    def __init__(self, clob: Http, gamma: Http) -> None:
        self._clob = clob
        self._gamma = gamma

    async def book(self, asset_id: str) -> BookMessage | None:
        """The book; None when the venue has none of this asset."""
        try:
            body = await self._clob.get("/book", {"token_id": asset_id})
            found = decode_rest_book(body)
        except errors.NotFound:
            return None
        except MessageError as error:
            raise _unreadable("/book", str(error)) from error
        if found.asset_id != asset_id:
            raise _unreadable("/book", "the answer is about another asset")
        return found

    async def condition(self, asset_id: str) -> str | None:
        """The condition that an asset belongs to; None when the venue knows no such asset."""
        try:
            return decode_condition(await self._clob.get(f"/markets-by-token/{asset_id}"))
        except errors.NotFound:
            return None
        except MarketError as error:
            raise _unreadable("/markets-by-token", str(error)) from error

    async def market(self, condition_id: str) -> ClobMarket:
        """A market's rules. Raises NotFound too."""
        try:
            return decode_clob_market(await self._clob.get(f"/clob-markets/{condition_id}"))
        except MarketError as error:
            raise _unreadable("/clob-markets", str(error)) from error

    async def gamma(self, asset_id: str) -> GammaMarket | None:
        """What Gamma knows of the asset's market, open or closed; None when it knows nothing."""
        for closed in ("false", "true"):
            params = {"clob_token_ids": asset_id, "closed": closed}
            try:
                markets = decode_gamma_markets(await self._gamma.get("/markets", params))
            except errors.NotFound:
                continue
            except MarketError as error:
                raise _unreadable("/markets", str(error)) from error
            for market in markets:
                if asset_id in market.outcomes:
                    return market
        return None


def _unreadable(path: str, detail: str) -> errors.Unavailable:
    return errors.Unavailable(f"venue: {path}: {detail}", dependency="venue", retry_after_ms="1000")
