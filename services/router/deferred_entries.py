"""Judge entries again that wait for a good book, when it is there in time.

They were durably skipped with ``BOOK_STALE`` at first: after a crash they stay skipped. The worker
judges their leader trade once more for them alone. No other trade waits, and no exit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import psycopg
import structlog

from services.router.core import doubtful_book
from services.router.core.router_state import RouterState
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.tasks import cancel_all

_log = structlog.get_logger("router.deferred_entries")
_POLL_SECONDS = 0.02


class DeferredEntries:
    """Of one partition.

    Args:
        state: what the router knows.
        known: an asset's newest book, if it is in memory.
        judge: judges a leader trade for these subscriptions alone.
    """

    def __init__(
        self,
        state: RouterState,
        known: Callable[[str], Book | None],
        judge: Callable[[LeaderTrade, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._state = state
        self._known = known
        self._judge = judge
        self._since: dict[TradeKey, float] = {}
        """Leader trades that somebody waits for, and since when (monotonic seconds)."""
        self._some = asyncio.Event()

    def follow(self, trade: LeaderTrade) -> None:
        """Have a buy judged again if somebody waits for its book."""
        if trade.key.side is Side.BUY and self._waiting(trade.key, 0.0):
            self._since.setdefault(trade.key, clock.monotonic())
            self._some.set()

    async def run(self) -> None:
        """Judge entries again whose book has become good, for ever.

        Raises:
            Fenced: the partition is another's.
        """
        judging: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self._some.wait()
                for task in [task for task in judging if task.done()]:
                    judging.remove(task)
                    task.result()
                for key, ids in self._due():
                    judging.add(asyncio.create_task(self._again(key, ids)))
                if not self._since and not judging:
                    self._some.clear()
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await cancel_all(judging)

    def _due(self) -> list[tuple[TradeKey, list[str]]]:
        """Return entries whose book is good; drop those that nobody waits for any more."""
        found, now = [], clock.monotonic()
        for key, since in list(self._since.items()):
            book = self._known(key.asset_id)
            ids = self._waiting(key, now - since)
            if ids and (book is None or not book.usable):
                continue
            del self._since[key]
            if ids:
                found.append((key, ids))
        return found

    def _waiting(self, key: TradeKey, waited: float) -> list[str]:
        """Return subscriptions whose copy may wait longer than so many seconds."""
        return [
            identifier
            for identifier, copy in self._state.copies.get(key, {}).items()
            if copy.reason is Reason.BOOK_STALE
            and doubtful_book.wait_ms(copy.frozen.settings) > waited * 1000
        ]

    async def _again(self, key: TradeKey, ids: Sequence[str]) -> None:
        trade = self._state.trade(key)
        if trade is None:
            return
        try:
            await self._judge(trade, ids)
        except Fenced:
            raise
        except psycopg.Error as error:
            # They stay as they were judged: skipped.
            _log.warning("entries that waited are not judged again", error=str(error).strip())
        except Exception as error:  # noqa: BLE001 - one of them must not stop all copying
            _log.error("entries that waited cannot be judged", alert=True,
                       asset=key.asset_id, leader_tx=key.leader_tx, exc_info=error)  # fmt: skip
