"""Books and markets by REST. Before: `http`. After: bookfeed."""

from __future__ import annotations

from collections.abc import Sequence

from tradingtools.domain import errors
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.instruments import (
    ClobMarket,
    GammaMarket,
    MarketError,
    decode_clob_market,
    decode_condition,
    decode_gamma_markets,
)
from tradingtools.venues.polymarket.market_channel import (
    BookMessage,
    MessageError,
    decode_rest_book,
)
from tradingtools.venues.polymarket.market_listing import Page, decode_page
from tradingtools.venues.polymarket.unreadable import Answers


class ClobApi:
    """Asks the CLOB and Gamma. Every call raises Unavailable when the answer is of no use."""

    def __init__(self, clob: Http, gamma: Http, answers: Answers | None = None) -> None:
        self._clob = clob
        self._gamma = gamma
        self._answers = Answers() if answers is None else answers

    async def book(self, asset_id: str) -> BookMessage | None:
        """Return the book; None when the venue has none of this asset."""
        try:
            body = await self._clob.get("/book", {"token_id": asset_id})
            found = decode_rest_book(body)
        except errors.NotFound:
            return None
        except MessageError as error:
            raise self._unreadable("/book", asset_id, str(error)) from error
        if found.asset_id != asset_id:
            raise self._unreadable("/book", asset_id, "the answer is about another asset")
        self._answers.note("/book", asset_id, read=1)
        return found

    async def condition(self, asset_id: str) -> str | None:
        """Return the condition that an asset belongs to; None when the venue knows no such
        asset."""
        try:
            found = decode_condition(await self._clob.get(f"/markets-by-token/{asset_id}"))
        except errors.NotFound:
            return None
        except MarketError as error:
            raise self._unreadable("/markets-by-token", asset_id, str(error)) from error
        self._answers.note("/markets-by-token", asset_id, read=1)
        return found

    async def market(self, condition_id: str) -> ClobMarket:
        """Return a market's rules. Raises NotFound too."""
        try:
            found = decode_clob_market(await self._clob.get(f"/clob-markets/{condition_id}"))
        except MarketError as error:
            raise self._unreadable("/clob-markets", condition_id, str(error)) from error
        self._answers.note("/clob-markets", condition_id, read=1)
        return found

    async def page(self, after_cursor: str, *, size: int = 100) -> Page:
        """Return a page of Gamma's list of open markets; an empty cursor begins it."""
        params = {"limit": str(size), "closed": "false"}
        if after_cursor:
            params["after_cursor"] = after_cursor
        path = "/markets/keyset"
        try:
            page = decode_page(await self._gamma.get(path, params))
        except (MarketError, errors.NotFound) as error:
            raise self._unreadable(path, "", str(error)) from error
        # What takes no orders was read, too.
        refused = page.unreadable
        self._answers.note(path, "", read=page.rows - refused, refused=refused, why=page.why)
        return page

    async def gamma(self, asset_id: str) -> GammaMarket | None:
        """Return what Gamma knows of the asset's market, open or closed; None when it knows
        nothing."""
        for closed in ("false", "true"):
            params = {"clob_token_ids": asset_id, "closed": closed}
            try:
                markets = decode_gamma_markets(await self._gamma.get("/markets", params))
            except errors.NotFound:
                continue
            except MarketError as error:
                raise self._unreadable("/markets", asset_id, str(error)) from error
            self._answers.note("/markets", asset_id, read=1)
            for market in markets:
                if asset_id in market.outcomes:
                    return market
        return None

    async def gamma_of(self, condition_ids: Sequence[str]) -> dict[str, GammaMarket]:
        """Return what Gamma knows of markets, open or closed, by condition; at most 50 at once.

        Raises:
            Unavailable: there is no answer, or one of them cannot be read.
        """
        found: dict[str, GammaMarket] = {}
        for closed in ("false", "true"):
            desired = [each for each in condition_ids if each not in found]
            if not desired:
                break
            params = {"condition_ids": desired, "closed": closed, "limit": str(len(desired))}
            try:
                markets = decode_gamma_markets(await self._gamma.get("/markets", params))
            except errors.NotFound:
                continue
            except MarketError as error:
                raise self._unreadable("/markets", desired[0], str(error)) from error
            self._answers.note("/markets", desired[0], read=len(markets))
            found |= {m.condition_id: m for m in markets if m.condition_id in desired}
        return found

    def _unreadable(self, path: str, about: str, detail: str) -> errors.Unavailable:
        self._answers.note(path, about, refused=1, why=detail)
        return errors.Unavailable(
            f"venue: {path}: {detail}", dependency="venue", retry_after_ms="1000"
        )
