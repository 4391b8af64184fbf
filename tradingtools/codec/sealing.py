"""Seal a wallet's credentials to the signer's public key (HPKE, RFC 9180).

Before it: `tt wallets`, or another client that has the credentials. After it: Envoy, control and
the signer's socket carry bytes that the signer alone opens. They are bound to what they are for:
opened for another wallet, exchange or edition, they are refused.
"""

from __future__ import annotations

import hashlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from tradingtools.domain.credentials import KINDS, Credentials

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PURPOSE = "tradingtools wallet credentials 1"
MAX_BYTES = 4_096


class NotOpened(Exception):
    """Sealed bytes do not open: for another key or wallet, or it was changed on its way."""


def joined(*texts: str) -> bytes:
    """Return texts as bytes in which none can be taken for a part of another."""
    return b"".join(len(raw).to_bytes(2, "big") + raw for raw in (text.encode() for text in texts))


def for_new(tenant: str, name: str, exchange: str, environment: str, max_order: int) -> bytes:
    """Return what credentials of a new wallet are bound to."""
    return joined(_PURPOSE, "new", tenant, name, exchange, environment, str(max_order))


def for_edition(wallet: str, edition: int) -> bytes:
    """Return what credentials are bound to that take the place of a wallet's edition."""
    return joined(_PURPOSE, "replace", wallet, str(edition))


def key_id(public: bytes) -> str:
    """Return the name of a public key: 32 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:32]


def seal(credentials: Credentials, public: bytes, bound: bytes) -> bytes:
    """Seal credentials.

    Args:
        credentials: of the wallet.
        public: the signer's public key, 32 bytes.
        bound: what they are for.
    """
    key = X25519PublicKey.from_public_bytes(public)
    return _SUITE.encrypt(msgspec.json.encode(credentials), key, bound)


def unseal(sealed: bytes, key: X25519PrivateKey, bound: bytes, exchange: str) -> Credentials:
    """Open what was sealed.

    Raises:
        NotOpened: another key, another wallet, a changed byte, or no credentials of the exchange.
    """
    if len(sealed) > MAX_BYTES:
        raise NotOpened
    try:
        plain = _SUITE.decrypt(sealed, key, bound)
        return msgspec.json.decode(plain, type=KINDS[exchange])
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise NotOpened from None
