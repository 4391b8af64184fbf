"""The key pairs that clients seal credentials to, made once and kept under a master key."""

from __future__ import annotations

import structlog

from services.signer import vault
from services.signer.master_keys import MasterKeys
from services.signer.store import Store
from services.signer.vault import KeyPair

_log = structlog.get_logger("signer")


class SealingKeys:
    """Key pairs by their ids.

    Args:
        pairs: the newest first; at least one.
    """

    def __init__(self, pairs: list[KeyPair]) -> None:
        self._pairs = {pair.id: pair for pair in pairs}
        self.newest = pairs[0]

    def named(self, key_id: str) -> KeyPair | None:
        """Return a pair; None: there is none of that id."""
        return self._pairs.get(key_id)


async def begin(store: Store, master_keys: MasterKeys) -> SealingKeys:
    """Read the key pairs; the first start makes one. Raises Unwrappable."""
    pairs = [
        vault.opened_pair(master_keys, name, stored) for name, stored in await store.sealing_keys()
    ]
    if not pairs:
        pair, stored = vault.new_key_pair(master_keys)
        await store.add_sealing_key(pair.id, stored)
        pairs = [pair]
    # Who compares it with what the edge says knows that nobody in between has put in his own.
    _log.info("clients seal credentials to this key", key_id=pairs[0].id)
    return SealingKeys(pairs)
