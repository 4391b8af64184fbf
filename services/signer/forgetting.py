"""Forget what was signed when it has been kept for long enough."""

from __future__ import annotations

import asyncio

import psycopg
import psycopg_pool
import structlog

from services.signer.store import Store

_log = structlog.get_logger("signer")
_EACH_SECONDS = 600.0
_SOON_SECONDS = 1.0


async def keep(store: Store, days: int) -> None:
    """Forget signatures that are older than so many days, for ever."""
    while True:
        gone = 0
        try:
            gone = await store.forget_signatures(days)
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout):
            _log.warning("old signatures stay for now: the database does not answer")
        # Each time some: their number may be large, and signing goes on.
        await asyncio.sleep(_SOON_SECONDS if gone else _EACH_SECONDS)
