"""Limits of many bots in PostgreSQL: their shares, what is reached, and the kill switch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from services.bots.core.risk import Breach, RiskLimit
from services.bots.core.risk.shares import Key, ShareRequest, ShareUpdate
from services.bots.metrics import LIMITS
from tradingtools import clock
from tradingtools.domain import portfolio_usage
from tradingtools.domain.portfolio_risk import (
    Ledger,
    LimitReached,
    Result,
    ScopeLimit,
    ScopeLimits,
    Share,
)
from tradingtools.storage.postgres import risk_ledger
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_SQL = {**risk_ledger.QUERIES, **load_queries(Path(__file__).parent / "risk.sql")}
_DAY_MS = 86_400_000
VIEW_SECONDS = 1.0
"""Time for which a tenant's limits and usage are taken from memory."""
_log = structlog.get_logger("bots")
Row = dict[str, Any]


class DeniedError(Exception):
    """A share that would pass a limit; the text names it with its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """The limits of a tenant that are reached, as of one reading."""

    reached: Sequence[LimitReached] = ()
    read_at: float = 0.0
    """By the monotonic clock."""

    @property
    def age_seconds(self) -> float:
        """Return how long ago it was read."""
        return time.monotonic() - self.read_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A kill switch that a wallet is under."""

    kill_id: str
    reason: str
    phase: str

    @property
    def done(self) -> bool:
        """Return whether the wallet is done with it."""
        return self.phase == "DONE"


class RiskStore:
    """The tables of risk as one engine reads and writes them.

    Args:
        pool: of the deciding database.
        par: currencies that count as one USDC each.
    """

    def __init__(self, pool: Pool, par: Sequence[str]) -> None:
        self._pool = pool
        self.par = tuple(par)
        self._views: dict[str, RiskView] = {}
        self._reading = asyncio.Lock()
        self._copies: tuple[float, Mapping[str, int], int] | None = None

    async def tenant(self, wallet_id: str) -> str:
        """Return whose a wallet is."""
        return str((await self._rows("tenant", wallet=wallet_id))[0]["tenant"])

    async def shares_of(self, bot_id: str) -> dict[Key, int]:
        """Return the shares of a bot, by instrument and side."""
        found: dict[Key, int] = {}
        for row in await self._rows("shares_of", bot=bot_id):
            found[row["instrument_id"], "BUY"] = row["long_micros"]
            found[row["instrument_id"], "SELL"] = row["short_micros"]
        return found

    async def take(
        self,
        connection: Connection,
        tenant: str,
        wallet_id: str,
        desired: Sequence[tuple[str, ShareRequest]],
    ) -> list[int | DeniedError]:
        """Take shares in the caller's transaction; return the whole of each one's side, or why not.

        One is judged after the other, each with what those before it got.

        Args:
            connection: in the transaction that makes their permits durable, too.
            tenant: whose bots they are.
            wallet_id: of the bots.
            desired: bot, and the share that it asks for.
        """
        await connection.execute(_SQL["ledger"], {"tenant": tenant})
        ledger = await self._ledger(connection, tenant)
        answers: list[int | DeniedError] = []
        rows = []
        for bot_id, one in desired:
            requested = Share(
                bot_id=bot_id,
                wallet_id=wallet_id,
                instrument_id=one.instrument_id,
                market=one.market,
            )
            has = portfolio_usage.present(ledger, requested)
            found = portfolio_usage.give(
                ledger, _sided(has, one, one.need), _sided(has, one, one.want)
            )
            if isinstance(found, LimitReached):
                answers.append(DeniedError(reported(found)))
                continue
            ledger = portfolio_usage.taken(ledger, found)
            answers.append(found.long_micros if one.side == "BUY" else found.short_micros)
            rows.append(
                {
                    "bot": bot_id,
                    "instrument": one.instrument_id,
                    "market": one.market,
                    "side": one.side,
                    "long": found.long_micros,
                    "short": found.short_micros,
                }
            )
        if rows:
            # In the order of `keep`, so that two who lock the same rows never wait in a circle.
            rows.sort(key=lambda row: (row["bot"], row["instrument"]))
            await connection.cursor().executemany(_SQL["take_share"], rows)
        return answers

    async def keep(
        self,
        connection: Connection,
        shares: Iterable[tuple[str, ShareUpdate]],
        results: Iterable[tuple[str, int]],
    ) -> None:
        """Write shares and results of bots in the caller's transaction."""
        kept = [
            {
                "bot": bot_id,
                "instrument": one.instrument_id,
                "market": one.market,
                "long": one.long,
                "short": one.short,
                "held": one.held,
                "marked_ms": one.marked_ms,
            }
            for bot_id, one in sorted(shares, key=lambda it: (it[0], it[1].instrument_id))
        ]
        made = [{"bot": bot_id, "micros": micros} for bot_id, micros in results]
        for name, rows in (("keep_share", kept), ("keep_result", made)):
            if rows:
                await connection.cursor().executemany(_SQL[name], rows)

    async def tell_bot(
        self, connection: Connection, bot_id: str, breaches: Iterable[Breach]
    ) -> None:
        """Write that limits of one bot were reached, in the caller's transaction."""
        rows = [
            {"bot": bot_id, "limit": one.limit, "action": one.action, "detail": one.detail}
            for one in breaches
            # The kill switch tells of itself, once for all bots.
            if one.limit is not RiskLimit.KILL_SWITCH and isinstance(one.limit, RiskLimit)
        ]
        if rows:
            await connection.cursor().executemany(_SQL["tell_bot"], rows)

    async def notify_closed(self, bot_id: str, breaches: Iterable[Breach]) -> None:
        """Write that limits of one bot let nothing open any more."""
        async with self._pool.connection() as connection:
            await self.tell_bot(connection, bot_id, breaches)

    async def kill(self, wallet_id: str) -> Kill | None:
        """Return the kill switch that a wallet is under, an unfinished one first."""
        rows = await self._rows("kill", wallet=wallet_id)
        found = [Kill(kill_id=r["kill_id"], reason=r["reason"], phase=r["phase"]) for r in rows]
        return next(iter(found), None)

    async def kill_step(self, connection: Connection, kill: Kill, progress: Row) -> None:
        """Write how far a wallet is with a kill switch; the last wallet ends it."""
        of = {"kill": kill.kill_id}
        await connection.execute(_SQL["kill_hold"], of)
        await connection.execute(_SQL["kill_step"], {**of, **progress})
        if progress["phase"] == "DONE":
            await connection.execute(_SQL["kill_done"], of)
        elif progress["orders"] or progress["holdings"]:
            await connection.execute(_SQL["kill_reopened"], of)

    async def last_permit_ms(self, wallet_id: str) -> int | None:
        """Return when the last permit of a wallet ends; None: it had none."""
        found = (await self._rows("last_permit", wallet=wallet_id))[0]["until_ms"]
        return None if found is None else int(found)

    async def view(self, tenant: str) -> RiskView:
        """Return what is reached, read a second ago at most.

        Raises:
            psycopg.Error: the database does not answer.
        """
        async with self._reading:
            known = self._views.get(tenant)
            if known is not None and known.age_seconds < VIEW_SECONDS:
                return known
            started = time.monotonic()
            async with self._pool.connection() as connection:
                ledger = await self._ledger(connection, tenant)
                reached = await self._counted(connection, tenant, ledger)
            found = self._views[tenant] = RiskView(reached=reached, read_at=started)
            return found

    async def _ledger(self, connection: Connection, tenant: str) -> Ledger:
        """Read what limits are judged by; nothing more than limits where there are none."""
        limits = await _limits(connection, tenant)
        if not limits:
            return Ledger()
        shares = [Share(**row) for row in await _read(connection, "shares", tenant=tenant)]
        results = [Result(**row) for row in await _read(connection, "results", tenant=tenant)]
        copies, age = await self._of_copies(connection, limits)
        return Ledger(
            limits=limits, shares=shares, results=results, copies=copies, copies_age_ms=age
        )

    async def _of_copies(
        self, connection: Connection, limits: Iterable[ScopeLimits]
    ) -> tuple[Mapping[str, int], int | None]:
        """Return what copies have by market, read a second ago at most, and how old that is."""
        if not any(ScopeLimit.MAX_WITH_COPIES in one.values for one in limits):
            return {}, None
        known = self._copies
        if known is None or time.monotonic() - known[0] > VIEW_SECONDS:
            started = time.monotonic()
            rows = await _read(connection, "copies")
            copies = {row["market"]: row["micros"] for row in rows}
            known = self._copies = started, copies, int(rows[0]["age_ms"])
        return known[1], known[2] + int((time.monotonic() - known[0]) * 1000)

    async def _counted(
        self, connection: Connection, tenant: str, ledger: Ledger
    ) -> list[LimitReached]:
        """Count losses on, and tell of each limit that is newly reached."""
        day = clock.now_ms() // _DAY_MS
        for limits in ledger.limits:
            result = portfolio_usage.usage(limits, ledger).result_micros
            if {ScopeLimit.MAX_DAILY_LOSS, ScopeLimit.MAX_DRAWDOWN} & set(limits.values):
                key = {"tenant": tenant, "scope": limits.scope, "subject": limits.subject}
                await connection.execute(_SQL["count"], {**key, "day": day, "result": result})
        if any(limits.day_start_micros is None for limits in ledger.limits):
            ledger = replace(ledger, limits=await _limits(connection, tenant))
        reached = portfolio_usage.reached(ledger)
        await self._notify(connection, tenant, reached)
        return reached

    async def _notify(
        self, connection: Connection, tenant: str, reached: Sequence[LimitReached]
    ) -> None:
        for row in await _read(connection, "limits", tenant=tenant):
            now = {
                _name(one): one
                for one in reached
                if (one.limits.scope, one.limits.subject) == (row["scope"], row["subject"])
            }
            before: Mapping[str, str] = row["reached"]
            if set(before) == set(now):
                continue
            key = {"tenant": tenant, "scope": row["scope"], "subject": row["subject"]}
            kept = {name: before.get(name, one.detail) for name, one in now.items()}
            values = {**key, "before": Jsonb(before), "reached": Jsonb(kept)}
            async with connection.transaction():
                if await (await connection.execute(_SQL["reach"], values)).fetchone() is None:
                    continue
                for name in sorted(set(now) - set(before)):
                    one = now[name]
                    about = {"limit": one.limit, "action": one.action, "detail": one.detail}
                    await connection.execute(_SQL["tell"], {**key, **about})
                    LIMITS.add(1, {"scope": row["scope"]})
                    _log.warning("a limit of many bots is reached", **key, **about)
                # Of several markets that one limit holds for, the last one ends it.
                still = {str(one.limit) for one in now.values()}
                for limit in sorted({name.partition(":")[0] for name in before} - still):
                    about = {"limit": limit, "action": "LEFT", "detail": "it is not reached now"}
                    await connection.execute(_SQL["tell"], {**key, **about})

    async def _rows(self, query: str, /, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            return await _read(connection, query, **values)


def reported(found: LimitReached) -> str:
    """Return a limit that is reached, in words."""
    where = " ".join(one for one in (found.limits.scope.lower(), found.limits.subject) if one)
    return f"{found.limit} of {where}: {found.detail}"


async def _read(connection: Connection, query: str, /, **values: Any) -> list[Row]:
    return await (await connection.execute(_SQL[query], values)).fetchall()


async def _limits(connection: Connection, tenant: str) -> list[ScopeLimits]:
    rows = await _read(connection, "limits", tenant=tenant)
    return [risk_ledger.limits_of(row) for row in rows]


def _name(one: LimitReached) -> str:
    return f"{one.limit}:{one.market}" if one.market else str(one.limit)


def _sided(has: Share, desired: ShareRequest, micros: int) -> Share:
    if desired.side == "BUY":
        return replace(has, long_micros=max(micros, has.long_micros))
    return replace(has, short_micros=max(micros, has.short_micros))
