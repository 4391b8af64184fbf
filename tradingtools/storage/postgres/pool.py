"""Connections to PostgreSQL.

Autocommit by default: on the money path one statement is one transaction and one round trip.
``synchronous_commit`` stays on: a commit that was acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.base import AttemptWithBackoff

from tradingtools.settings import SettingError
from tradingtools.storage.postgres.direct import Connection
from tradingtools.tasks import cancel_all

SILENCE_SECONDS = 10
_PROBES = 3
_CHECK_SECONDS = 1.0
_STANDING_MS = 2_000
"""A transaction that stands still for so long is ended (`direct.TransactionTimedOut`): stop-losses
may wait for its locks. Sound work pauses for milliseconds between statements."""
_BY_KEYS = " -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"
Pool = AsyncConnectionPool[Connection]

# How long pools pause between attempts to connect. Theirs double from a second on: a database that
# was away for half a minute was found again up to as long after it was back, and orders expired
# meanwhile. No argument of a pool says it.
AttemptWithBackoff.INITIAL_DELAY = 0.25
AttemptWithBackoff.DELAY_BACKOFF = 1.0


@asynccontextmanager
async def open_pool(  # noqa: PLR0913 - each says one thing about connections
    url: str,
    *,
    name: str,
    size: int = 4,
    silence_seconds: int = SILENCE_SECONDS,
    prompt: bool = False,
    statement_seconds: int = 15,
    by_index: bool = False,
    planned_once: bool = False,
    joined_by_keys: bool = False,
) -> AsyncIterator[Pool]:
    """Open a pool of warm autocommit connections whose rows are dicts.

    Args:
        url: of the database.
        name: shown as application_name.
        size: connections, all opened before the block starts.
        silence_seconds: a connection whose other end acknowledges nothing for so long is dead;
            who waits on it gets psycopg.OperationalError. Over TCP only.
        statement_seconds: whoever asks for longer gets psycopg.errors.QueryCanceled.
        prompt: connections are lent without a question whether they still work; that is asked each
            second instead. For who tries again after psycopg.OperationalError anyway.
        by_index: no plan scans a table from end to end, also when it was made while the table was
            empty and is kept while the table grows.
        planned_once: as ``by_index``, and no statement is planned anew for what it is asked with.
            For who finds rows by their keys only, where planning takes longer than finding.
        joined_by_keys: nor do joins read a whole table, where many rows are named at once.

    Raises:
        SettingError: the URL is empty.
        psycopg_pool.PoolTimeout: the database did not answer within 10 s.
    """
    if not url:
        raise SettingError("TT_DATABASE_URL: required and not set")
    kwargs: dict[str, Any] = {
        "autocommit": True,
        "row_factory": dict_row,
        "application_name": f"tradingtools-{name}",
        "prepare_threshold": 1,
        # Bytes that nobody acknowledges, and waiting for an answer when nobody is left to give it:
        # without both, a half-open connection holds a statement until the kernel gives up (15 min).
        "tcp_user_timeout": silence_seconds * 1000,
        "keepalives_idle": max(1, silence_seconds // 2),
        "keepalives_interval": max(1, silence_seconds // (2 * _PROBES)),
        "keepalives_count": _PROBES,
        # The server's end the same: who does not take an answer must not hold locks until then.
        "options": "-c synchronous_commit=on "
        f"-c statement_timeout={statement_seconds * 1000}"
        f" -c idle_in_transaction_session_timeout={_STANDING_MS}"
        f" -c tcp_user_timeout={silence_seconds * 1000}"
        + (" -c enable_seqscan=off" if by_index or planned_once else "")
        + (" -c plan_cache_mode=force_generic_plan" if planned_once else "")
        + (_BY_KEYS if joined_by_keys else ""),
    }
    async with AsyncConnectionPool(
        url,
        kwargs=kwargs,
        min_size=size,
        max_size=size,
        open=False,
        timeout=10.0,
        check=None if prompt else AsyncConnectionPool.check_connection,
        connection_class=Connection,
    ) as pool:
        await pool.open(wait=True, timeout=10.0)
        checking = asyncio.ensure_future(_check(pool)) if prompt else None
        try:
            yield pool
        finally:
            if checking is not None:
                await cancel_all([checking])


async def _check(pool: Pool) -> None:
    """Have connections replaced that broke while nobody used them; those that work stay warm."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        await pool.check()
