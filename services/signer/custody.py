"""Add, replace, check, rewrap and retire wallets, as control asks.

What was sealed is opened here, checked at the exchange, and encrypted before it is written. A kill
at any point leaves the wallet as it was, or as it was to become: each change is one transaction.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import coincurve

from services.signer import vault
from services.signer.accounts import OkxKeys, PolymarketKeys, address_of
from services.signer.checking import Checker
from services.signer.core import credentials_rules as rules
from services.signer.core.bounds import malformed
from services.signer.core.evm import checksummed
from services.signer.core.verdicts import FIELD, invalid_credentials
from services.signer.keyring import Keyring, opened
from services.signer.master_keys import MasterKeys
from services.signer.sealing_keys import SealingKeys
from services.signer.store import Added, Store, changed_meanwhile
from services.signer.vault import Place
from tradingtools.codec import sealing
from tradingtools.domain.credentials import KINDS, Credentials, OkxCredentials
from tradingtools.domain.exchanges import BY_NAME
from tradingtools.domain.signing import (
    AddWallet,
    Answer,
    CheckWallet,
    GetHeaderSecrets,
    OfControl,
    PublicKey,
    ReplaceCredentials,
    RetireWallet,
    RewrapWallet,
    SealingKey,
    WalletChanged,
)

_NONE = GetHeaderSecrets(key="", passphrase="")
_Found = tuple[dict[str, str], Added]


class Custody:
    """Keeps wallets.

    Args:
        store: of wallets.
        master_keys: wrap data keys.
        sealing_keys: open what clients have sealed.
        keyring: forgets what is changed.
        checker: asks the exchanges.
    """

    def __init__(
        self,
        store: Store,
        master_keys: MasterKeys,
        sealing_keys: SealingKeys,
        keyring: Keyring,
        checker: Checker,
    ) -> None:
        self._store = store
        self._master_keys = master_keys
        self._sealing_keys = sealing_keys
        self._keyring = keyring
        self._checker = checker

    async def answer(self, ask: OfControl) -> Answer:
        """Do what control asks.

        Raises:
            TradingError: it is refused, and why.
        """
        match ask:
            case SealingKey():
                pair = self._sealing_keys.newest
                return PublicKey(key_id=pair.id, public=pair.public)
            case AddWallet():
                return WalletChanged(wallet=await self._add(ask))
            case ReplaceCredentials():
                await self._replace(ask)
            case RewrapWallet():
                await self._rewrap(ask)
            case CheckWallet():
                await self._check(ask)
            case RetireWallet():
                await self._store.active(ask.wallet)
                await self._store.retire(ask.wallet, ask.actor)
                self._keyring.forget(ask.wallet)
        return WalletChanged(wallet=ask.wallet)

    async def _add(self, ask: AddWallet) -> str:
        if ask.request_key:
            before = await self._store.by_request(ask.request_key, ask.request_hash)
            if before is not None:
                return before
        if ask.exchange not in KINDS:
            raise malformed("exchange", " or ".join(KINDS))
        environments = BY_NAME[ask.exchange].environments
        if ask.environment not in environments:
            raise malformed("environment", " or ".join(environments))
        bound = sealing.for_new(
            ask.tenant, ask.name, ask.exchange, ask.environment, ask.max_order_micros
        )
        credentials = self._opened(ask.key_id, ask.sealed, bound, ask.exchange)
        place = Place(
            tenant=ask.tenant, wallet=f"wal_{secrets.token_hex(16)}", exchange=ask.exchange,
            edition=1,
        )  # fmt: skip
        plain, added = await self._known(credentials, place, ask.environment, ask.max_order_micros)
        added = replace(
            added,
            name=ask.name,
            request_key=ask.request_key or None,
            request_hash=ask.request_hash or None,
        )
        await self._store.refuse_taken(added)
        data_key, wrapped = vault.new_data_key(self._master_keys, added.place)
        sealed = vault.encrypt(data_key, added.place, plain)
        await self._store.add(added, wrapped, sealed, ask.actor)
        return place.wallet

    async def _replace(self, ask: ReplaceCredentials) -> None:
        found = await self._store.active(ask.wallet)
        was = found.place
        if ask.edition != was.edition:
            raise changed_meanwhile(ask.wallet)
        bound = sealing.for_edition(ask.wallet, ask.edition)
        credentials = self._opened(ask.key_id, ask.sealed, bound, was.exchange)
        place = Place(
            tenant=was.tenant, wallet=was.wallet, exchange=was.exchange, edition=was.edition + 1
        )
        plain, added = await self._known(
            credentials, place, found.environment, found.max_order_micros
        )
        same = (found.account, found.signature_type, found.signer_address)
        if (added.account, added.signature_type, added.signer_address) != same:
            raise invalid_credentials(
                "credentials of the same account; another one is another wallet"
            )
        data_key, wrapped = vault.new_data_key(self._master_keys, added.place)
        sealed = vault.encrypt(data_key, added.place, plain)
        await self._store.replace(added.place, wrapped, sealed, added.permissions, ask.actor)
        self._keyring.forget(ask.wallet)

    async def _rewrap(self, ask: RewrapWallet) -> None:
        found = await self._store.active(ask.wallet)
        if found.key is None:
            raise changed_meanwhile(ask.wallet)
        fresh = vault.rewrapped(self._master_keys, found.key, found.place.of_key())
        if not await self._store.rewrap(ask.wallet, found.key.master_key, fresh, ask.actor):
            raise changed_meanwhile(ask.wallet)

    async def _check(self, ask: CheckWallet) -> None:
        found = await self._store.active(ask.wallet)
        keys = opened(self._master_keys, found)
        problem, permissions = await self._checker.again(keys, found.environment)
        await self._store.checked(found.place, problem, permissions, ask.actor)

    def _opened(self, key_id: str, sealed: bytes, bound: bytes, exchange: str) -> Credentials:
        pair = self._sealing_keys.named(key_id)
        if pair is None:
            raise malformed("keyId", "that of GET /sealing-key")
        try:
            return sealing.unseal(sealed, pair.private, bound, exchange)
        except sealing.NotOpened:
            raise malformed(
                FIELD, "credentials of the exchange, sealed for what the request says"
            ) from None

    async def _known(
        self, credentials: Credentials, place: Place, environment: str, most: int
    ) -> _Found:
        """Return the secrets and the account of credentials that the exchange accepts."""
        plain = rules.secrets(credentials)
        if isinstance(credentials, OkxCredentials):
            standing = await self._checker.okx(OkxKeys(**plain), environment)
            whose = environment, standing.account, most, None, None
            return plain, _added(place, *whose, permissions=standing.permissions)
        private = coincurve.PrivateKey.from_hex(plain["private_key"])
        account = rules.account(credentials, address_of(private), most)
        api_creds = (
            await self._checker.polymarket(PolymarketKeys(account, private, _NONE))
        ).api_creds
        plain |= {
            "api_key": api_creds.key,
            "secret": api_creds.secret,
            "passphrase": api_creds.passphrase,
        }
        funder, signer = checksummed(account.funder), checksummed(account.signer)
        own = environment, funder, most, account.signature_type, signer
        return plain, _added(place, *own, permissions="trade")


def _added(
    place: Place,
    environment: str,
    account: str,
    max_order_micros: int,
    signature_type: int | None,
    signer_address: str | None,
    *,
    permissions: str,
) -> Added:
    """Return the values of a wallet, whose secrets are bound to them."""
    facts = vault.facts(environment, account, max_order_micros, signature_type, signer_address)
    return Added(
        place=replace(place, facts=facts),
        name="",
        environment=environment,
        account=account,
        permissions=permissions,
        max_order_micros=max_order_micros,
        signature_type=signature_type,
        signer_address=signer_address,
    )
