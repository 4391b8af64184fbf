"""The secrets of one wallet while the signer uses them, and how each is signed with.

Made from what the vault has opened, kept in memory by `keyring`, dropped when the wallet changes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import coincurve

from services.signer.core import clob_rules, okx_rules, relayer_rules
from services.signer.core.bounds import malformed
from services.signer.core.evm import keccak
from services.signer.core.polymarket_account import Account
from services.signer.orders import order_digest
from tradingtools.domain.signing import (
    Answer,
    ClobAuth,
    ClobOrder,
    ClobRequest,
    OfEngine,
    OkxLogin,
    OkxRest,
    RelayerCalls,
    Signature,
    Travel,
    Travelling,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that the rules let through; `answer` makes the signature, after the audit."""

    summary: str
    digest: bytes
    answer: Callable[[], Answer]


class Keys(Protocol):
    """The secrets of a wallet."""

    def prepare(self, ask: OfEngine, now_ms: int) -> Prepared:
        """Return what is signed and how.

        Raises:
            NotAllowed, InvalidField: the rules of the exchange refuse it.
        """


@dataclass(frozen=True, slots=True)
class OkxKeys:
    """An API key of OKX."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)

    def prepare(self, ask: OfEngine, now_ms: int) -> Prepared:
        """Return what is signed and how; see the protocol."""
        match ask:
            case OkxRest():
                text, summary = okx_rules.rest(ask, now_ms)
            case OkxLogin():
                text, summary = okx_rules.login(ask, now_ms)
            case Travelling():
                return _travelling(Travel(key=self.api_key, passphrase=self.passphrase))
            case _:
                raise malformed("wallet", "one of the exchange that this is for")
        return Prepared(
            summary, sha256(text).digest(), lambda: Signature(signature=self.sign(text))
        )

    def sign(self, text: bytes) -> str:
        """Return the header OK-ACCESS-SIGN of what is hashed."""
        return base64.b64encode(hmac.digest(self.secret.encode(), text, sha256)).decode()


@dataclass(frozen=True, slots=True)
class PolymarketKeys:
    """The private key of a Polymarket account, and the API key that was derived from it."""

    account: Account
    private: coincurve.PrivateKey = field(repr=False)
    triple: Travel = field(repr=False)

    def prepare(self, ask: OfEngine, now_ms: int) -> Prepared:
        """Return what is signed and how; see the protocol."""
        match ask:
            case ClobAuth():
                return self._ecdsa(clob_rules.auth(ask, self.account, now_ms), "clob auth")
            case ClobRequest():
                text, summary = clob_rules.request(ask, now_ms)
                return Prepared(
                    summary,
                    sha256(text).digest(),
                    lambda: Signature(signature=sign_l2(self.triple.secret, text)),
                )
            case ClobOrder():
                clob_rules.check_order(ask, self.account, now_ms)
                digest, trailer = order_digest(ask)
                said = f"{ask.side} {ask.maker_amount} for {ask.taker_amount} of {ask.token_id}"
                return self._ecdsa(digest, said, trailer=trailer)
            case RelayerCalls():
                digest, more, said = relayer_rules.calls(ask, self.account, now_ms)
                return self._ecdsa(digest, said, more=more)
            case Travelling():
                return _travelling(self.triple)
            case _:
                raise malformed("wallet", "one of the exchange that this is for")

    def _ecdsa(
        self, digest: bytes, summary: str, *, more: int = 0, trailer: str = ""
    ) -> Prepared:
        return Prepared(
            summary,
            digest,
            lambda: Signature(signature=sign_digest(self.private, digest, more) + trailer),
        )


def _travelling(travel: Travel) -> Prepared:
    return Prepared("what travels in headers", bytes(32), lambda: travel)


def sign_digest(private: coincurve.PrivateKey, digest: bytes, more: int = 0) -> str:
    """Return the signature of a digest: r, s and v, hex with 0x.

    Args:
        private: key.
        digest: 32 bytes.
        more: what is added to v, which is 27 or 28.
    """
    made = private.sign_recoverable(digest, hasher=None)
    return f"0x{made[:64].hex()}{made[64] + 27 + more:02x}"


def sign_l2(secret: str, text: bytes) -> str:
    """Return the header POLY_SIGNATURE of what is hashed. Raises InvalidField: no Base64."""
    try:
        key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (binascii.Error, ValueError):
        raise malformed("secret", "the CLOB's, Base64") from None
    return base64.urlsafe_b64encode(hmac.digest(key, text, sha256)).decode()


def address_of(private: coincurve.PrivateKey) -> bytes:
    """Return the address of a private key."""
    return keccak(private.public_key.format(compressed=False)[1:])[-20:]
