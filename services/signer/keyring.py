"""The wallets whose secrets are in memory, opened when they are first asked for.

Nothing here decides whether a wallet may still be used: the audit's statement does, each time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import coincurve

from services.signer import vault
from services.signer.accounts import Keys, OkxKeys, PolymarketKeys
from services.signer.master_keys import MasterKeys
from services.signer.store import Store, Wallet
from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.signing import GetHeaderSecrets

_MAX = 10_000


class Keyring:
    """Opens wallets and keeps them.

    Args:
        store: of their ciphertexts.
        master_keys: unwrap their data keys.
    """

    def __init__(self, store: Store, master_keys: MasterKeys) -> None:
        self._store = store
        self._master_keys = master_keys
        self._open: OrderedDict[str, tuple[int, Keys]] = OrderedDict()
        self._opening = asyncio.Lock()

    async def get(self, wallet_id: str) -> tuple[int, Keys]:
        """Return the edition of a wallet's credentials, and its secrets.

        Raises:
            NotAllowed: it is not there, or retired; a stranger learns no more.
            Unwrappable: its ciphertexts were moved or changed.
        """
        if wallet_id not in self._open:
            async with self._opening:
                if wallet_id not in self._open:
                    await self._load(wallet_id)
        self._open.move_to_end(wallet_id)
        return self._open[wallet_id]

    async def _load(self, wallet_id: str) -> None:
        found = await self._store.wallet(wallet_id)
        if found is None or found.state != "ACTIVE":
            raise not_held()
        self._open[wallet_id] = found.place.edition, opened(self._master_keys, found)
        if len(self._open) > _MAX:
            self._open.popitem(last=False)

    def forget(self, wallet_id: str) -> None:
        """Drop a wallet's secrets."""
        self._open.pop(wallet_id, None)


def not_held() -> NotAllowed:
    """Return the error of an engine that asks for a wallet which it does not hold."""
    return NotAllowed("this process does not hold the wallet")


def opened(master_keys: MasterKeys, wallet: Wallet) -> OkxKeys | PolymarketKeys:
    """Return a wallet's secrets. Raises Unwrappable."""
    if wallet.key is None:
        raise not_held()
    secrets = vault.decrypt(master_keys, wallet.key, wallet.place, wallet.sealed)
    if wallet.place.exchange == "okx":
        return OkxKeys(**secrets)
    return PolymarketKeys(
        account=wallet.polymarket,
        private=coincurve.PrivateKey.from_hex(secrets["private_key"]),
        api_creds=GetHeaderSecrets(
            key=secrets["api_key"], passphrase=secrets["passphrase"], secret=secrets["secret"]
        ),
    )
