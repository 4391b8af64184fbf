"""Requests to the signer and its answers: values, encoded by msgspec.

Before it: engines, which want requests of an exchange signed, and control, which adds and retires
wallets. After it: `services/signer`, which alone holds the secrets. Numbers beyond 64 bits are
decimal text; addresses, hashes and call data are hex with 0x.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class Lease(Struct, frozen=True, kw_only=True):
    """The wallet that is asked for, and the epoch under which the asker holds it."""

    wallet: str
    epoch: int


class OkxRest(Lease, frozen=True, kw_only=True, tag="okx.rest"):
    """A REST request of OKX: what the header OK-ACCESS-SIGN is made of."""

    timestamp: str
    """ISO 8601 in UTC with milliseconds, as in OK-ACCESS-TIMESTAMP."""
    method: str
    path: str
    """With its query."""
    body: str = ""


class OkxLogin(Lease, frozen=True, kw_only=True, tag="okx.login"):
    """The login of a private web socket of OKX."""

    timestamp: int
    """Seconds since 1970."""


class ClobAuth(Lease, frozen=True, kw_only=True, tag="clob.auth"):
    """Polymarket's L1 header, by which API keys are made and derived."""

    timestamp: int
    """Seconds since 1970."""
    nonce: int = 0


class ClobRequest(Lease, frozen=True, kw_only=True, tag="clob.request"):
    """A REST request of Polymarket's CLOB: its L2 header."""

    timestamp: int
    """Seconds since 1970."""
    method: str
    path: str
    """Without its query, which the CLOB does not sign."""
    body: str = ""


class ClobOrder(Lease, frozen=True, kw_only=True, tag="clob.order"):
    """An order of Polymarket's CLOB, by the fields that are signed."""

    contract: str
    """The exchange contract that settles it."""
    protocol: str
    """Version of the EIP-712 domain: "2" or "3"."""
    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: int
    """Millionths of what is given: USDC of a buy, shares of a sell."""
    taker_amount: int
    """Millionths of what is taken."""
    side: str
    """BUY or SELL."""
    signature_type: int
    timestamp: int
    """Milliseconds since 1970."""
    metadata: str
    builder: str


class Call(Struct, frozen=True, kw_only=True):
    """A call of a contract, without value."""

    to: str
    data: str


class RelayerCalls(Lease, frozen=True, kw_only=True, tag="relayer.calls"):
    """Calls that Polymarket's relayer makes in the wallet's name, all or none of them."""

    calls: tuple[Call, ...]
    nonce: int
    deadline: int = 0
    """Of a deposit wallet: seconds since 1970."""
    gas_limit: int = 0
    """Of a proxy wallet."""
    relay: str = ""
    """Of a proxy wallet: the relay that submits it."""


class HeaderSecrets(Lease, frozen=True, kw_only=True, tag="travelling"):
    """The values that have to travel in headers: OKX's key and passphrase, Polymarket's triple."""


Signable: TypeAlias = OkxRest | OkxLogin | ClobAuth | ClobRequest | ClobOrder | RelayerCalls
OfEngine: TypeAlias = Signable | HeaderSecrets


class Actor(Struct, frozen=True, kw_only=True):
    """A change of a wallet, and who wants it, by the id of the token."""

    actor: str


class AddWallet(Actor, frozen=True, kw_only=True, tag="wallet.add"):
    """Keep a new wallet's credentials."""

    tenant: str
    name: str
    exchange: str
    environment: str
    max_order_micros: int
    """The most USDC that one order may be about, millionths."""
    key_id: str
    """Of the public key that the credentials are sealed to."""
    sealed: bytes
    request_key: bytes = b""
    """What makes the request repeatable; empty: nothing."""
    request_hash: bytes = b""


class ReplaceCredentials(Actor, frozen=True, kw_only=True, tag="wallet.replace"):
    """Keep other credentials of the same account in the place of a wallet's."""

    wallet: str
    edition: int
    """Of the credentials that there are, as the client has seen it."""
    key_id: str
    sealed: bytes


class RewrapWallet(Actor, frozen=True, kw_only=True, tag="wallet.rewrap"):
    """Wrap a wallet's data key anew, by the newest master key."""

    wallet: str


class CheckWallet(Actor, frozen=True, kw_only=True, tag="wallet.check"):
    """Ask the exchange whether a wallet's credentials still work."""

    wallet: str


class RetireWallet(Actor, frozen=True, kw_only=True, tag="wallet.retire"):
    """Erase a wallet's credentials for good."""

    wallet: str


class SealingKey(Struct, frozen=True, kw_only=True, tag="sealing.key"):
    """The public key that credentials are sealed to."""


OfControl: TypeAlias = (
    AddWallet | ReplaceCredentials | RewrapWallet | CheckWallet | RetireWallet | SealingKey
)
Ask: TypeAlias = OfEngine | OfControl


class Signature(Struct, frozen=True, kw_only=True, tag="signature"):
    """A signature as the exchange wants it: Base64 of an HMAC, hex of ECDSA."""

    signature: str


class GetHeaderSecrets(Struct, frozen=True, kw_only=True, tag="travel"):
    """The values that a wallet's gateway keeps in memory and nowhere else."""

    key: str
    passphrase: str
    secret: str = ""
    """Of Polymarket's triple alone, whose user channel wants it."""

    def __repr__(self) -> str:
        return "Travel(...)"


class WalletChanged(Struct, frozen=True, kw_only=True, tag="done"):
    """A wallet was added or changed, or was found so."""

    wallet: str


class PublicKey(Struct, frozen=True, kw_only=True, tag="key"):
    """A public key of X25519."""

    key_id: str
    public: bytes


class Refused(Struct, frozen=True, kw_only=True, tag="refused"):
    """The reason why nothing was done; it is one of `tradingtools.domain.errors`."""

    reason: str
    message: str
    metadata: dict[str, str] = {}


Answer: TypeAlias = Signature | GetHeaderSecrets | WalletChanged | PublicKey | Refused


class Hello(Struct, frozen=True, kw_only=True):
    """The first frame of a connection: the asker's engine token."""

    token: str

    def __repr__(self) -> str:
        return "Hello(...)"


class Request(Struct, frozen=True, kw_only=True):
    """A frame to the signer; the answer has the same number."""

    number: int
    ask: Ask


class Response(Struct, frozen=True, kw_only=True):
    """A frame from the signer."""

    number: int
    answer: Answer
