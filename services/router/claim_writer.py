"""Commit one claim of a partition at a time, and retry until it is committed.

The worker says what to claim; `claimer` and `batch_claimer` make one try. Memory and journal never
disagree: nobody plans with a state that may miss a committed claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import psycopg
import structlog

from services.router.batch_claimer import BatchClaimer
from services.router.claim_records import BatchableBuy
from services.router.claim_scheduler import MIN_PART, ClaimScheduler, PartProgress
from services.router.claimer import Claimer
from services.router.core.records import Part, StaleEntry
from services.router.core.router_state import RouterState
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Fenced

_log = structlog.get_logger("router")
_RETRY_SECONDS = 0.2


class ClaimWriter:
    """Claims under the partition's lock.

    Args:
        claimer: one try.
        batch_claimer: one try of several buys.
        state: what the router knows.
        lock: held by whoever claims.
        catch_up: takes over what is durable.
        claimed_together: copies that are claimed with one commit, at most.
    """

    def __init__(
        self,
        claimer: Claimer,
        batch_claimer: BatchClaimer,
        state: RouterState,
        lock: asyncio.Lock,
        catch_up: Callable[[], Awaitable[None]],
        claimed_together: int,
    ) -> None:
        self.claimer = claimer
        self._batch_claimer = batch_claimer
        self._state = state
        self._scheduler = ClaimScheduler(lock)
        self._catch_up = catch_up
        self._claimed_together = claimed_together

    async def claim(
        self,
        trade: LeaderTrade,
        book: Book | None,
        cause: str,
        *,
        brief: bool,
        stale: StaleEntry | None = None,
        progress: PartProgress | None = None,
    ) -> None:
        """Claim what one leader trade leads to; returns when it is committed.

        Args:
            trade: as far as it is known.
            book: the newest of its asset.
            cause: what the claim is for.
            brief: it is soon done; a fan-out gives way to it.
            stale: the entry that is decided again, alone.
            progress: of the part that is claimed now; None: all followers.

        Raises:
            Fenced: the partition is another's.
        """
        async with self._scheduler.turn(brief=brief):
            await self._claim(trade, book, cause, stale=stale, progress=progress)

    async def _claim(
        self,
        trade: LeaderTrade,
        book: Book | None,
        cause: str,
        *,
        stale: StaleEntry | None = None,
        progress: PartProgress | None = None,
    ) -> None:
        trade, unsure = self._state.with_known_rows(trade), False
        while True:
            try:
                await self.claimer.claim(
                    trade, book, cause, stale=stale, progress=progress, unsure=unsure
                )
                break
            except journal.AlreadyClaimed:
                _log.warning("claimed before; catching up with the journal", cause=cause)
                await self.know_what_is_durable()
                break
            except psycopg.OperationalError as error:
                # The commit may have happened: the same record again is refused, never doubled.
                _log.warning("claim not committed; trying again", error=str(error).strip())
                unsure = True
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:
                if unsure:
                    raise _ended(error) from error
                raise
        if stale is None and (progress is None or progress.part.last):
            # Known only now: what could not be claimed counts as never seen. An entry that is
            # decided again says nothing of the rest of its fan-out.
            self._state.know(trade)

    async def claim_in_parts(
        self,
        trade: LeaderTrade,
        book: Book | None,
        cause: str,
        ids: Sequence[str],
        *,
        last: bool = True,
    ) -> None:
        """Claim a buy for these followers; between two parts other claims have their turn.

        Args:
            trade: as far as it is known.
            book: the newest of its asset.
            cause: what the claim is for.
            ids: of the subscriptions.
            last: False: others of the trade's followers are claimed after these.

        Raises:
            Fenced: the partition is another's.
        """
        brief = len(ids) <= MIN_PART
        with self._state.under_way(trade):
            droppable = True
            while ids:
                part = Part.of(ids, self._claimed_together, last=last)
                progress = PartProgress(part, self._scheduler.brief_waiting, droppable=droppable)
                await self.claim(trade, book, cause, brief=brief, progress=progress)
                # Dropped once, it is claimed the next time: a fan-out comes to its end, too.
                droppable = bool(progress.part.ids)
                ids = ids[len(progress.part.ids) :]

    async def claim_batch(self, buys: Sequence[BatchableBuy]) -> None:
        """Claim buys that have come together with as few commits as others leave room for.

        Raises:
            Fenced: the partition is another's.
            ExceptionGroup: some could not be claimed; the others are.
        """
        while buys:
            # Kept until all is known: nobody else judges by a memory without what may be committed.
            async with self._scheduler.turn(brief=True):
                try:
                    claimed = await self._batch_claimer.claim(buys, self._scheduler.brief_waiting)
                except Fenced:
                    raise
                except Exception as error:  # noqa: BLE001 - one trade must not hold up the others
                    _log.warning("buys not claimed together; one by one", error=str(error).strip())
                    await self._claim_each(buys)
                    return
                buys = buys[claimed:]

    async def _claim_each(self, buys: Sequence[BatchableBuy]) -> None:
        """Claim buys one by one, but for those that were committed after all."""
        failed: list[Exception] = []
        durable = await self.know_what_is_durable(buys)
        for entries in buys:
            if entries in durable:
                self._state.know(self._state.with_known_rows(entries.trade))
                continue
            # Of the same followers, whoever has come since, and all of them: it has the same name.
            progress = PartProgress(entries.part, lambda: False, droppable=False)
            try:
                with self._state.under_way(entries.trade):
                    await self._claim(
                        entries.trade, entries.newest_book(), entries.cause, progress=progress
                    )
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - one trade must not hold up the others
                failed.append(error)
        if failed:
            raise ExceptionGroup("leader trades that could not be routed", failed)

    async def know_what_is_durable(
        self, buys: Sequence[BatchableBuy] | None = None
    ) -> list[BatchableBuy]:
        """Catch up with the journal; of ``buys`` those that are in it, and only if there are some.

        Raises:
            Fenced: it cannot be known here.
        """
        try:
            durable: list[BatchableBuy] = []
            if buys is not None:
                durable = await while_database_is_away(lambda: self._batch_claimer.durable(buys))
            if durable or buys is None:
                await while_database_is_away(self._catch_up)
        except Exception as error:
            raise _ended(error) from error
        return durable


def _ended(error: Exception) -> Fenced:
    """Return the error that ends this process: its state may miss a commit, and a restart reads
    it."""
    return error if isinstance(error, Fenced) else Fenced("it is not known what is committed")
