"""Wrap data keys anew when another master key is the newest.

Secrets are not touched, and signing goes on: what is in memory stays, and each row is wrapped by
the old key or by the new one at any instant, both of which are at hand.
"""

from __future__ import annotations

import asyncio

import psycopg
import psycopg_pool
import structlog

from services.signer import vault
from services.signer.master_keys import KeyCommand, KeyFile, Unwrappable
from services.signer.store import Store
from services.signer.vault import Wrapped
from tradingtools.runtime.process import Startup
from tradingtools.settings import SettingError

_log = structlog.get_logger("signer")
ACTOR = "rotation"
Source = KeyFile | KeyCommand


async def refuse_missing(store: Store, master_keys: Source) -> None:
    """Refuse to start without a master key that something is wrapped by. Raises Startup."""
    missing = [name for name in await store.master_key_names() if not master_keys.knows(name)]
    if missing:
        raise Startup(
            f"{master_keys.invalid_source('has no key')} {', '.join(sorted(missing))},"
            " by which stored keys are wrapped"
        )


async def keep(store: Store, master_keys: Source) -> None:
    """Wrap what another key has wrapped, now and after each change, for ever."""
    due = True
    while True:
        if due:
            try:
                await rewrap_all(store, master_keys)
                due = False
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout):
                _log.warning("data keys are not wrapped anew yet: the database does not answer")
        await asyncio.sleep(master_keys.poll_seconds)
        try:
            # A command takes its time, and signing goes on.
            due = await asyncio.to_thread(master_keys.read_again) or due
        except SettingError as error:
            _log.error("the master keys cannot be read; the old ones hold", reason=str(error))


async def rewrap_all(store: Store, master_keys: Source) -> None:
    """Wrap everything by the newest key, but for what does not open."""
    for name, stored in await store.sealing_keys():
        if stored.master_key == master_keys.current:
            continue
        fresh = _fresh(master_keys, stored, vault.sealing_bound(name), name)
        if fresh is not None:
            await store.rewrap_sealing_key(name, stored.master_key, fresh)
    after, done = "", 0
    while found := await store.wrapped_by_others(master_keys.current, after):
        for place, stored in found:
            after = place.wallet
            fresh = _fresh(master_keys, stored, place.of_key(), place.wallet)
            if fresh is not None:
                done += await store.rewrap(place.wallet, stored.master_key, fresh, ACTOR)
    if done:
        _log.info("data keys are wrapped anew", keys=done, master_key=master_keys.current)


def _fresh(master_keys: Source, stored: Wrapped, bound: bytes, name: str) -> Wrapped | None:
    try:
        return vault.rewrapped(master_keys, stored, bound)
    except Unwrappable as error:
        _log.error(
            "a stored key does not open; it was moved or changed", alert=True, of=name,
            reason=str(error),
        )  # fmt: skip
        return None
