"""Query the venue about one asset: what is worth failing for, and what is not.

Before it: `fetcher`, which puts the answers together.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from services.bookfeed.hub import now_ms
from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.instruments import ClobMarket, GammaMarket
from tradingtools.venues.polymarket.market_channel import BookMessage

_CONDITION = re.compile(r"0x[0-9a-f]{64}")


class RequestSlots(NamedTuple):
    """The venue's REST over two sets of connections, of which none waits for the other."""

    behind: ClobApi
    """For what is kept up to date."""
    on_demand: ClobApi
    """For what somebody waits for."""


class RestReply(NamedTuple):
    """REST's answer about a book (None: there is none), and when, on both clocks."""

    book: BookMessage | None
    at_ms: int
    received_ns: int


async def book(api: ClobApi, asset_id: str) -> RestReply:
    """Return the book. Raises Unavailable."""
    found = await api.book(asset_id)
    # It may have to wait for Gamma, and grows older.
    return RestReply(found, now_ms(), clock.now_ns())


async def gamma(api: ClobApi, asset_id: str) -> GammaMarket | None:
    """Return what Gamma knows; None also when it does not answer.

    Title, category and end are worth having and not worth failing for.
    """
    try:
        return await api.gamma(asset_id)
    except errors.Unavailable:
        return None


async def condition(api: ClobApi, asset_id: str) -> str | errors.Unavailable | None:
    """Return the condition (None: the venue knows no such asset), or why there is no answer.

    The book names the condition, too: this answer is needed only when there is no book.
    """
    try:
        return await api.condition(asset_id)
    except errors.Unavailable as error:
        return error


async def rules_of(api: ClobApi, asset_id: str, condition_id: str) -> ClobMarket | None:
    """Return the rules of the market that an asset is believed to be in; None: it is in another
    one, or they are asked for again."""
    if not _CONDITION.fullmatch(condition_id):
        return None
    try:
        market = await api.market(condition_id)
    except (errors.NotFound, errors.Unavailable):
        return None
    return market if asset_id in market.outcomes else None
