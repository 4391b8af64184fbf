"""The secrets of one wallet while the signer uses them, and how each is signed with.

Made from what the vault has opened, kept in memory by `keyring`, dropped when the wallet changes.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, Protocol, cast

import coincurve

from services.signer.core import clob_rules, okx_rules, relayer_rules
from services.signer.core.bounds import malformed
from services.signer.core.evm import checksummed, keccak
from services.signer.core.polymarket_account import Account
from tradingtools.domain import signing
from tradingtools.domain.signing import Answer, GetHeaderSecrets, OfEngine, Signature
from tradingtools.venues.polymarket import clob_auth, order_signing
from tradingtools.venues.polymarket.contracts import Exchange


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that the rules let through; `answer` makes the signature, after the audit."""

    summary: str
    digest: bytes
    answer: Callable[[], Answer]
    opens_nothing: bool = False
    """It reads, or ends orders: it may leave while PostgreSQL is away."""


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
        opens_nothing = False
        match ask:
            case signing.OkxRest():
                text, summary = okx_rules.rest(ask, now_ms)
                opens_nothing = okx_rules.opens_nothing(ask)
            case signing.OkxLogin():
                text, summary = okx_rules.login(ask, now_ms)
            case signing.HeaderSecrets():
                return _header_secrets(
                    GetHeaderSecrets(key=self.api_key, passphrase=self.passphrase)
                )
            case _:
                raise _other_exchange()
        digest = sha256(text).digest()
        return Prepared(
            summary, digest, lambda: Signature(signature=self.sign(text)), opens_nothing
        )

    def sign(self, text: bytes) -> str:
        """Return the header OK-ACCESS-SIGN of what is hashed."""
        return base64.b64encode(hmac.digest(self.secret.encode(), text, sha256)).decode()


@dataclass(frozen=True, slots=True)
class PolymarketKeys:
    """The private key of a Polymarket account, and the API key that was derived from it."""

    account: Account
    private: coincurve.PrivateKey = field(repr=False)
    api_creds: GetHeaderSecrets = field(repr=False)

    def prepare(self, ask: OfEngine, now_ms: int) -> Prepared:
        """Return what is signed and how; see the protocol."""
        match ask:
            case signing.ClobAuth():
                clob_rules.check_auth(ask, now_ms)
                return self._plain(self.auth_digest(ask.timestamp, ask.nonce), "clob auth")
            case signing.ClobRequest():
                clob_rules.check_request(ask, now_ms)
                return self._request(ask)
            case signing.ClobOrder():
                clob_rules.check_order(ask, self.account, now_ms)
                return self._order(ask)
            case signing.RelayerCalls():
                digest, more, message = relayer_rules.calls(ask, self.account, now_ms)
                return self._plain(digest, message, more=more)
            case signing.HeaderSecrets():
                return _header_secrets(self.api_creds)
            case _:
                raise _other_exchange()

    def auth_digest(self, timestamp: int, nonce: int = 0) -> bytes:
        """Return what L1 signs."""
        address = checksummed(self.account.signer)
        return clob_auth.auth_digest(
            clob_auth.ClobAuth(address=address, timestamp_s=timestamp, nonce=nonce)
        )

    def sign(self, digest: bytes, more: int = 0) -> bytes:
        """Return r, s and v, which is 27 or 28 and what is added to it."""
        made = self.private.sign_recoverable(digest, hasher=None)
        return made[:64] + bytes([made[64] + 27 + more])

    def sign_request(self, timestamp: int, method: str, path: str, body: str = "") -> str:
        """Return the header of L2."""
        text = clob_auth.l2_prehash(timestamp, method, path, body.encode())
        return clob_auth.l2_signature(self.api_creds.secret, text)

    def _request(self, ask: signing.ClobRequest) -> Prepared:
        text = clob_auth.l2_prehash(ask.timestamp, ask.method, ask.path, ask.body.encode())
        return Prepared(
            f"{ask.method} {ask.path}",
            sha256(text).digest(),
            lambda: Signature(signature=clob_auth.l2_signature(self.api_creds.secret, text)),
            clob_rules.opens_nothing(ask),
        )

    def _order(self, ask: signing.ClobOrder) -> Prepared:
        order, exchange = order_of(ask)
        digest = order_signing.signing_digest(order, exchange)
        message = f"{ask.side} {ask.maker_amount} for {ask.taker_amount} of {ask.token_id}"
        return Prepared(
            message,
            digest,
            lambda: Signature(
                signature=order_signing.order_signature(order, exchange, self.sign(digest))
            ),
        )

    def _plain(self, digest: bytes, summary: str, *, more: int = 0) -> Prepared:
        return Prepared(
            summary, digest, lambda: Signature(signature="0x" + self.sign(digest, more).hex())
        )


def order_of(ask: signing.ClobOrder) -> tuple[order_signing.ClobOrder, Exchange]:
    """Return an order that the rules have let through, and the contract that it is signed for."""
    order = order_signing.ClobOrder(
        salt=ask.salt,
        maker=ask.maker,
        signer=ask.signer,
        asset_id=ask.token_id,
        maker_amount=ask.maker_amount,
        taker_amount=ask.taker_amount,
        side=cast("Literal['BUY', 'SELL']", ask.side),
        signature_type=order_signing.SignatureType(ask.signature_type),
        timestamp_ms=ask.timestamp,
        metadata=ask.metadata,
        builder=ask.builder,
    )
    return order, Exchange(ask.contract, cast("Literal['2', '3']", ask.protocol))


def address_of(private: coincurve.PrivateKey) -> bytes:
    """Return the address of a private key."""
    return keccak(private.public_key.format(compressed=False)[1:])[-20:]


def _header_secrets(travel: GetHeaderSecrets) -> Prepared:
    return Prepared("what travels in headers", bytes(32), lambda: travel)


def _other_exchange() -> Exception:
    return malformed("wallet", "one of the exchange that this is for")
