"""Ask what a wallet holds before shares are adopted: nobody adopts what is not there.

Before it: a request that control has recorded. After it: `corrections`, which compares under the
locks of the lots. An answer counts while they are as they were before the question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from services.confirm import store
from services.confirm.core.lot_shrinking import Lot, Wallet, lot
from services.confirm.venue_gateway import body_of
from tradingtools import clock
from tradingtools.storage.postgres.pool import Pool
from tradingtools.venues.insiders.order_gateway import InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.schemas import WireError
from tradingtools.venues.insiders.wallets import Position, parse_positions

_log = structlog.get_logger("confirm.adoptions")
_AGAIN_SECONDS = 5.0

Holdings = Callable[[str], Awaitable[tuple[Position, ...] | None]]
"""The positions of a wallet; None: nobody tells them now."""


class Wallets:
    """Queries insiders-api for positions of wallets; one that got no answer is left alone for a
    while.

    Args:
        client: of insiders-api.
        timeout_ms: of one question.
    """

    def __init__(self, client: InsidersClient, timeout_ms: int) -> None:
        self._client = client
        self._timeout_ms = timeout_ms
        self._due: dict[str, float] = {}
        """When a wallet without an answer may be requested again, monotonic seconds."""

    async def positions(self, proxy: str) -> tuple[Position, ...] | None:
        """Return what a wallet holds; None: nobody tells it now."""
        now = clock.monotonic()
        self._due = {wallet: due for wallet, due in self._due.items() if due > now}
        if proxy in self._due:
            return None
        try:
            answer = await self._client.positions(proxy, self._timeout_ms)
            return parse_positions(body_of(answer), proxy)
        except (NotSent, Unanswered, WireError) as error:
            _log.warning("an adoption waits: wallet not told", wallet=proxy, error=str(error))
            self._due[proxy] = now + _AGAIN_SECONDS
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedHolding:
    """An answer about the asset of a request, and the lots of before the question."""

    lots: tuple[Lot, ...]
    shares_micros: int
    condition_id: str

    def wallet(self) -> Wallet:
        """Return it as the core judges by it."""
        return Wallet(
            wallet_micros=self.shares_micros,
            condition_id=self.condition_id,
            lots_micros=sum(lot.shares_micros for lot in self.lots),
        )


async def fetch_holding(
    pool: Pool, holdings: Holdings, request: Mapping[str, Any]
) -> ReportedHolding | None:
    """Ask what the wallet of a request holds of its asset; None: nobody tells it now."""
    proxy, asset = request["follower_proxy"], request["asset_id"]
    rows = await store.fetch(pool, "lots_at_rest", follower_proxy=proxy)
    positions = await holdings(proxy)
    if positions is None:
        return None
    of_asset = [position for position in positions if position.asset_id == asset]
    return ReportedHolding(
        lots=tuple(lot(row) for row in rows if row["asset_id"] == asset),
        shares_micros=sum(position.shares_micros for position in of_asset),
        condition_id=of_asset[0].condition_id if of_asset else "",
    )
