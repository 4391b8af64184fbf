"""Limits of many bots and kill switches in PostgreSQL, as people set and see them.

No copy is decided by a bot, so nothing here takes the lock of the copies' settings.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from psycopg.types.json import Jsonb

from services.control.store import Row, Store, queries
from tradingtools.domain.errors import NotFound
from tradingtools.domain.portfolio_risk import (
    Ledger,
    Result,
    RiskScope,
    ScopeLimit,
    Share,
)
from tradingtools.storage.postgres.risk_ledger import QUERIES, limits_of

_SQL = queries("risk/queries")
_ONE = _SQL["kills"] + "\n" + _SQL["one"]
_PAGE = _SQL["kills"] + "\n" + _SQL["page"]


class Risk:
    """Risk of many bots in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def limits(self, tenant: str) -> list[Row]:
        """Return the limits of a tenant, by scope and subject."""
        return await self._store.rows(QUERIES["limits"], tenant=tenant)

    async def set(
        self,
        actor: str,
        tenant: str,
        scope: RiskScope,
        subject: str,
        instruments: Sequence[str],
        values: Mapping[ScopeLimit, int],
    ) -> Row | None:
        """Set the limits of a scope in the place of those before; return them, None: none any more.

        Raises:
            NotFound: the tenant has no such wallet.
        """
        if scope is RiskScope.WALLET:
            rows = await self._store.rows(_SQL["wallet"], id=subject)
            if not rows or rows[0]["tenant"] != tenant:
                raise NotFound(f"{tenant} has no wallet {subject}", kind="wallet", id=subject)
        named = {str(name): micros for name, micros in values.items()}
        summary = ", ".join(f"{name} {micros}" for name, micros in sorted(named.items())) or "none"
        key = {
            "tenant": tenant,
            "scope": scope,
            "subject": subject,
            "detail": f"{actor}: {summary}",
        }
        if not named:
            await self._store.write(_SQL["remove"], **key)
            return None
        rows = await self._store.write(
            _SQL["set"], **key, limits=Jsonb(named), instruments=list(instruments), actor=actor
        )
        return rows[0]

    async def ledger(self, tenant: str) -> tuple[list[Row], Ledger]:
        """Return limits as rows, and everything that they are judged by, as of one instant."""
        async with self._store.snapshot() as seen:
            rows = await seen.rows(QUERIES["limits"], tenant=tenant)
            shares = await seen.rows(QUERIES["shares"], tenant=tenant)
            results = await seen.rows(QUERIES["results"], tenant=tenant)
            beside = any(ScopeLimit.MAX_WITH_COPIES in row["limits"] for row in rows)
            copies = await seen.rows(QUERIES["copies"]) if beside else []
        return rows, Ledger(
            limits=[limits_of(row) for row in rows],
            shares=[Share(**row) for row in shares],
            results=[Result(**row) for row in results],
            copies={row["market"]: row["micros"] for row in copies},
            copies_age_ms=copies[0]["age_ms"] if copies else None,
        )

    async def wallets(self, tenant: str) -> dict[str, str]:
        """Return the exchanges of a tenant's wallets, by id."""
        rows = await self._store.rows(_SQL["wallets"], tenant=tenant)
        return {row["id"]: row["exchange"] for row in rows}

    async def breaches(
        self, tenant: str, before: int | None, limit: int, among: frozenset[str] | None
    ) -> list[Row]:
        """Return limits that were reached, the newest first.

        Args:
            tenant: whose.
            before: the number of the last of the page before; None: the first page.
            limit: at most so many.
            among: exchanges that there are for the caller; None: all.
        """
        exchanges = None if among is None else sorted(among)
        return await self._store.rows(
            _SQL["breaches"], tenant=tenant, before=before, limit=limit, exchanges=exchanges
        )

    async def kill(self, actor: str, tenant: str, exchange: str, reason: str) -> Row:
        """Set a kill switch; return it, or the one that stands."""
        made = await self._store.write(
            _SQL["kill"],
            id=f"kil_{secrets.token_hex(16)}", tenant=tenant, exchange=exchange, reason=reason,
            actor=actor,
        )  # fmt: skip
        if not made:
            # Another request was faster.
            standing = await self.kills(tenant)
            return next(one for one in standing if one["exchange"] == exchange)
        return await self.kill_switch(made[0]["id"])

    async def clear(self, actor: str, kill_id: str) -> Row:
        """Clear a kill switch; return it. Raises NotFound."""
        await self._store.write(_SQL["clear"], id=kill_id, actor=actor)
        return await self.kill_switch(kill_id)

    async def kill_switch(self, kill_id: str) -> Row:
        """Return a kill switch with its progress. Raises NotFound."""
        rows = await self._store.rows(_ONE, id=kill_id)
        if not rows:
            raise NotFound(f"no kill switch {kill_id}", kind="kill switch", id=kill_id)
        return rows[0]

    async def kills(self, tenant: str) -> list[Row]:
        """Return kill switches that stand, and the last ones, the newest first."""
        return await self._store.rows(_PAGE, tenant=tenant)
