"""Composition of the signer: master keys and ciphertexts in, a socket that signs out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from services.signer import forgetting, hardening, rotation, sealing_keys
from services.signer.audit import Audit
from services.signer.checking import Checker
from services.signer.custody import Custody
from services.signer.keyring import Keyring
from services.signer.master_keys import Unwrappable, read_keys
from services.signer.server import Server, listening
from services.signer.settings import Settings
from services.signer.signer import Signer
from services.signer.spool import Spool
from services.signer.store import Store
from tradingtools.rpc import callers
from tradingtools.rpc.tls import is_loopback
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Sign until ``stop``. Raises Startup: a setting is wrong, or the system refuses a guard."""
    _harden(settings)
    uids = _uids(settings.uids)
    _refuse_plaintext("TT_SIGNER_OKX_URL", settings.okx_url)
    _refuse_plaintext("TT_SIGNER_CLOB_URL", settings.clob_url)
    if not callers.knows_tokens():
        raise Startup("TT_ENGINE_CALLERS: required and not set: nobody could ask for a signature")
    master_keys = read_keys(settings.master_key_file, settings.master_key_command)
    async with composed("signer", settings) as parts:
        pool = await parts.pool(size=3)
        store = Store(pool, await parts.lease(pool))
        await rotation.refuse_missing(store, master_keys)
        try:
            pairs = await sealing_keys.begin(store, master_keys)
        except Unwrappable as error:
            raise Startup(f"a stored sealing key does not open: {error}") from None
        keyring, audit = Keyring(store, master_keys), Audit(store, _spool(settings))
        custody = Custody(
            store, master_keys, pairs, keyring, Checker(settings.okx_url, settings.clob_url)
        )
        server = Server(Signer(keyring, audit, settings.rate, settings.burst), custody, uids)
        # Nothing but health: no reflection, no channelz.
        await parts.serve(settings.listen, [], lambda _: None, operators=False)
        await parts.stack.enter_async_context(
            listening(Path(settings.socket), server, others=bool(settings.uids))
        )
        writes = audit.run(), audit.keep_booking()
        forgets = forgetting.keep(store, settings.signature_days)
        await parts.run(stop, *writes, rotation.keep(store, master_keys), forgets)


def _harden(settings: Settings) -> None:
    try:
        hardening.make_undumpable()
        if not settings.unlocked_memory:
            hardening.lock_memory()
    except hardening.NotHardened as error:
        raise Startup(str(error)) from None


def _spool(settings: Settings) -> Spool:
    path = Path(settings.spool_file or f"{settings.socket}.spool")
    try:
        return Spool(path)
    except (OSError, msgspec.DecodeError) as error:
        raise Startup(f"TT_SIGNER_SPOOL_FILE: {path} cannot be read: {error}") from None


def _uids(given: tuple[str, ...]) -> frozenset[int]:
    if not all(one.isascii() and one.isdecimal() for one in given):
        raise Startup("TT_SIGNER_UIDS: expected numbers of users, parted by commas")
    return frozenset(map(int, given)) or frozenset({os.geteuid()})


def _refuse_plaintext(name: str, url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    at = f"[{host}]:0" if ":" in host else f"{host}:0"
    if parts.scheme != "https" and not is_loopback(at):
        raise Startup(f"{name}: http goes to this machine alone; a passphrase travels there")
