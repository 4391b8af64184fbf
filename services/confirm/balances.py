"""Query insiders-api what followers' wallets hold: cash and shares, one wallet after the other.

An answer counts only when nothing of the wallet was under way from before the question until it is
stored; between two answers each booking moves the cash in its own transaction. So what is stored is
exact but for what others do with the wallet, and what was never reported stays unknown. After it:
the router's free cash and equity, the drift that control shows, and `shortfalls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from services.confirm import store
from services.confirm.queries import QUERIES, one
from services.confirm.shortfalls import Shortfalls
from services.confirm.venue_gateway import body_of
from tradingtools import clock
from tradingtools.storage.postgres.pool import Pool
from tradingtools.venues.insiders.order_gateway import InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.schemas import WireError
from tradingtools.venues.insiders.wallets import Position, parse_balance, parse_positions

_log = structlog.get_logger("confirm.balances")
_PAUSE_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_PAGE = 200


class Balances:
    """Keeps what wallets hold.

    Args:
        pool: of the deciding database.
        client: of insiders-api.
        timeout_ms: of one question.
        every_ms: how often each wallet is asked for.
        spacing_ms: between two wallets.
        behind: whether answers wait to be booked; nothing is asked for then.
        shortfalls: gets each answer; None: nobody does.
    """

    def __init__(
        self,
        pool: Pool,
        client: InsidersClient,
        *,
        timeout_ms: int,
        every_ms: int,
        spacing_ms: int,
        behind: Callable[[], bool],
        shortfalls: Shortfalls | None = None,
    ) -> None:
        self._pool = pool
        self._client = client
        self._timeout_ms = timeout_ms
        self._every_ms = every_ms
        self._spacing = spacing_ms / 1000
        self._behind = behind
        self._shortfalls = shortfalls
        self._later: dict[str, float] = {}
        """When a wallet that could not be asked for is due again, monotonic seconds."""

    async def run(self) -> None:
        """Ask for wallets that are due, for ever."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("balances wait", error=str(error))

    async def poll(self) -> None:
        """Ask for each wallet that is due now."""
        now = clock.monotonic()
        self._later = {proxy: due for proxy, due in self._later.items() if due > now}
        desired = {"every_ms": self._every_ms, "but": list(self._later), "limit": _PAGE}
        for row in await store.fetch(self._pool, "wallets_to_poll", **desired):
            if self._behind():
                return
            proxy = row["follower_proxy"]
            if not await self.poll_wallet(proxy):
                self._later[proxy] = clock.monotonic() + _AGAIN_SECONDS
            await asyncio.sleep(self._spacing)

    async def poll_wallet(self, proxy: str) -> bool:
        """Ask for one wallet; returns whether the answer could be stored."""
        await store.execute(self._pool, "add_balance", follower_proxy=proxy)
        (before,) = await store.fetch(self._pool, "wallet_quiet", follower_proxy=proxy)
        if not before["quiet"]:
            if self._shortfalls is not None:
                # What of it is at rest is compared all the same.
                await self._shortfalls.poll_occasionally(proxy, self._every_ms / 1000)
            return False
        shortfalls = self._shortfalls
        at_rest = await shortfalls.at_rest(proxy) if shortfalls is not None else None
        try:
            cash = parse_balance(
                body_of(await self._client.balance(proxy, self._timeout_ms)), proxy
            )
            positions = parse_positions(
                body_of(await self._client.positions(proxy, self._timeout_ms)), proxy
            )
        except (NotSent, Unanswered, WireError) as error:
            _log.warning("wallet not told", wallet=proxy, error=str(error))
            return False
        if shortfalls is not None and at_rest is not None:
            await shortfalls.observe(at_rest, positions)
        return await self._keep(proxy, before["moves"], cash, positions)

    async def _keep(
        self, proxy: str, moves: int, cash: int, positions: tuple[Position, ...]
    ) -> bool:
        values: dict[str, Any] = {"follower_proxy": proxy, "moves": moves, "cash_micros": cash}
        async with self._pool.connection() as connection, connection.transaction():
            now = await one(connection, "wallet_quiet", values)
            if not now["quiet"] or now["moves"] != moves:
                return False
            kept = await connection.execute(QUERIES["put_balance"], values)
            if kept.rowcount != 1:
                return False
            await connection.execute(QUERIES["clear_positions"], values)
            await connection.execute(
                QUERIES["add_positions"],
                {
                    "follower_proxy": proxy,
                    "assets": [p.asset_id for p in positions],
                    "conditions": [p.condition_id for p in positions],
                    "shares": [p.shares_micros for p in positions],
                },
            )
        return True
