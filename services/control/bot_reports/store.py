"""Reports on bots, read from PostgreSQL."""

from __future__ import annotations

from datetime import datetime

from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound

_SQL = queries("bot_reports/queries")


class BotReports:
    """Reports on bots in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def bot(self, bot_id: str) -> Row:
        """Return a bot with its positions and reasons. Raises NotFound, Unavailable."""
        rows = await self._store.rows(_SQL["bot"], id=bot_id)
        if not rows:
            raise NotFound(f"no bot {bot_id}", kind="bot", id=bot_id)
        return rows[0]

    async def pnl(
        self,
        bot_id: str,
        *,
        step: str,
        since: datetime | None,
        until: datetime | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Row]:
        """Return the last point of each step and currency, the newest first.

        Args:
            bot_id: whose points.
            step: "minute", "hour" or "day", UTC.
            since: from this instant on; None: from the oldest.
            until: before this instant; None: up to the newest.
            before: step and currency of the last row of the page before; None: the first page.
            limit: at most so many.

        Raises:
            NotFound: there is no such bot.
        """
        await self.bot(bot_id)
        at, currency = before or (None, "")
        return await self._store.rows(
            _SQL["pnl"], bot=bot_id, step=step, since=since, until=until, before=at,
            currency=currency, limit=limit,
        )  # fmt: skip

    async def events(self, bot_id: str, before: int | None, limit: int) -> list[Row]:
        """Return events of a bot before a number, the newest first. Raises NotFound."""
        await self.bot(bot_id)
        return await self._store.rows(
            _SQL["events"], subject=f"bots/{bot_id}", before=before, limit=limit
        )

    async def unsettled(self, bot_id: str) -> list[Row]:
        """Return the orders of a bot that may still fill."""
        return await self._store.rows(_SQL["unsettled"], id=bot_id)

    async def portfolio(self, tenant: str, among: frozenset[str] | None) -> list[Row]:
        """Return the positions of all bots.

        Args:
            tenant: whose bots; empty: of all tenants.
            among: exchanges whose bots there are for the caller; None: all.
        """
        exchanges = None if among is None else sorted(among)
        return await self._store.rows(_SQL["portfolio"], tenant=tenant, exchanges=exchanges)
