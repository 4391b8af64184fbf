"""Encrypt wallets' secrets: AES-256-GCM under a data key for each wallet, wrapped by a master key.

Each ciphertext is bound to tenant, wallet, exchange, purpose and edition, and to account
and limit (associated data): moved to another row, or beside a changed limit, it does not open.
Rotation of master keys wraps data keys anew, and no secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.signer.master_keys import MasterKeys, open_with, seal_with
from tradingtools.codec.sealing import joined, key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The wallet that secrets belong to, and which edition of its credentials they are."""

    tenant: str
    wallet: str
    exchange: str
    edition: int
    facts: tuple[str, ...] = ()
    """What the wallet may do besides: changed in the database, its secrets do not open."""

    def bound(self, purpose: str) -> bytes:
        """Return the associated data of a secret."""
        where = self.tenant, self.wallet, self.exchange, purpose, str(self.edition)
        return joined("secret", *where, *self.facts)

    def of_key(self) -> bytes:
        """Return the associated data of the data key, which outlives editions."""
        return joined("data key", self.tenant, self.wallet, self.exchange)


def facts(
    environment: str,
    account: str,
    max_order_micros: int,
    signature_type: int | None,
    signer_address: str | None,
) -> tuple[str, ...]:
    """Return the facts of a wallet that its secrets are bound to."""
    kind = "" if signature_type is None else str(signature_type)
    return environment, account, str(max_order_micros), kind, signer_address or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A key as it is stored."""

    master_key: str
    wrapped: bytes = field(repr=False)


def new_data_key(master_keys: MasterKeys, place: Place) -> tuple[bytes, Wrapped]:
    """Return a data key, and what is stored of it."""
    key = os.urandom(32)
    name, wrapped = master_keys.wrap(key, place.of_key())
    return key, Wrapped(master_key=name, wrapped=wrapped)


def rewrapped(master_keys: MasterKeys, stored: Wrapped, bound: bytes) -> Wrapped:
    """Return a key, wrapped by the newest master key. Raises Unwrappable."""
    plain = master_keys.unwrap(stored.master_key, stored.wrapped, bound)
    name, wrapped = master_keys.wrap(plain, bound)
    return Wrapped(master_key=name, wrapped=wrapped)


def encrypt(data_key: bytes, place: Place, secrets: Mapping[str, str]) -> dict[str, bytes]:
    """Return the ciphertext of each secret, by purpose."""
    key = AESGCM(data_key)
    return {
        purpose: seal_with(key, secret.encode(), place.bound(purpose))
        for purpose, secret in secrets.items()
    }


def decrypt(
    master_keys: MasterKeys, stored: Wrapped, place: Place, sealed: Mapping[str, bytes]
) -> dict[str, str]:
    """Return a wallet's secrets by purpose. Raises Unwrappable."""
    key = AESGCM(master_keys.unwrap(stored.master_key, stored.wrapped, place.of_key()))
    return {
        purpose: open_with(key, ciphertext, place.bound(purpose)).decode()
        for purpose, ciphertext in sealed.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The key that clients seal credentials to."""

    id: str
    public: bytes
    private: X25519PrivateKey = field(repr=False)


def sealing_bound(name: str) -> bytes:
    """Return the associated data of a stored sealing key."""
    return joined("sealing key", name)


def new_key_pair(master_keys: MasterKeys) -> tuple[KeyPair, Wrapped]:
    """Return a key pair, and what is stored of its private half."""
    pair = _pair(X25519PrivateKey.generate())
    name, wrapped = master_keys.wrap(pair.private.private_bytes_raw(), sealing_bound(pair.id))
    return pair, Wrapped(master_key=name, wrapped=wrapped)


def opened_pair(master_keys: MasterKeys, name: str, stored: Wrapped) -> KeyPair:
    """Return a stored key pair. Raises Unwrappable."""
    raw = master_keys.unwrap(stored.master_key, stored.wrapped, sealing_bound(name))
    return _pair(X25519PrivateKey.from_private_bytes(raw))


def _pair(private: X25519PrivateKey) -> KeyPair:
    public = private.public_key().public_bytes_raw()
    return KeyPair(id=key_id(public), public=public, private=private)
