"""Requests to the venue's relayer and the meaning of its answers, as values. Pure.

Wire of the venue's own clients (polymarket-client, `_internal/actions/relayer`; the list of a
user's transactions: docs.polymarket.com, relayer API). A request carries our id as its metadata, by
which it is found again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import msgspec

from tradingtools.domain.signing import Call
from tradingtools.venues.outcome_sets import SetChange, SetsFound
from tradingtools.venues.polymarket.contracts import (
    DEPOSIT_WALLET_FACTORY,
    PROXY_FACTORY,
    RELAY_HUB,
)
from tradingtools.venues.polymarket.order_answers import ClobAnswer, not_sent, unknown
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_requests import ClobRequest
from tradingtools.venues.polymarket.order_signing import SignatureType
from tradingtools.venues.polymarket.set_calls import through_proxy
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import ReadError, Receipt

GAS_LIMIT = 10_000_000
"""Of a proxy wallet's call, as the venue's client has it; the relay pays for the gas."""
_NO_ADDRESS = "0x" + "0" * 40
_TYPES: dict[SignatureType, Literal["PROXY", "SAFE", "WALLET"]] = {
    SignatureType.PROXY: "PROXY",
    SignatureType.SAFE: "SAFE",
    SignatureType.DEPOSIT_WALLET: "WALLET",
}
RELAYED = frozenset(_TYPES)
"""Kinds of wallets whose calls the relayer makes; a bare key would pay for gas itself."""
_PENDING = ("STATE_NEW", "STATE_EXECUTED", "STATE_MINED")
_FAILED = ("STATE_FAILED", "STATE_INVALID")
_NONCE = re.compile(r"batch nonce\s+(\d+)\s+does not match on-chain nonce\s+(\d+)", re.IGNORECASE)
_BUSY = re.compile(r"wallet busy.*active action|wallet has in-flight action", re.IGNORECASE)
_SERVER = 500
_LIMITED = 429


@dataclass(frozen=True, slots=True)
class RelayNonce:
    """The nonce of an account's next transaction, and of a proxy wallet the relay that sends it."""

    nonce: int
    relay: str


class _Params(msgspec.Struct, frozen=True):
    address: str
    nonce: str


class _Submitted(msgspec.Struct, frozen=True):
    transaction_id: str = msgspec.field(name="transactionID")


class _Transaction(msgspec.Struct, frozen=True):
    state: str
    metadata: str = ""
    nonce: str | None = None
    error: str | None = msgspec.field(name="errorMsg", default=None)


class _Refused(msgspec.Struct, frozen=True):
    error: str


_PARAMS = msgspec.json.Decoder(_Params)
_SUBMITTED = msgspec.json.Decoder(_Submitted)
_TRANSACTIONS = msgspec.json.Decoder(list[_Transaction])
_REFUSED = msgspec.json.Decoder(_Refused)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def tag(change: SetChange) -> str:
    """Return the metadata by which a change is found again."""
    return f"tradingtools:{change.change_id}"


def params(wallet: TradingWallet) -> ClobRequest:
    """Return the question for an account's next nonce."""
    kind = _TYPES[wallet.signature_type]
    path = "/relay-payload" if kind == "PROXY" else "/v1/account/transactions/params"
    query = urlencode({"address": wallet.signer, "type": kind})
    return ClobRequest(method="GET", path=path, query=query)


def transactions() -> ClobRequest:
    """Return the question for the recent transactions of the key's owner."""
    return ClobRequest(method="GET", path="/transactions")


def submit(
    change: SetChange, call: Call, wallet: TradingWallet, relay_nonce: RelayNonce, signature: str
) -> ClobRequest:
    """Return the request that has a signed call made."""
    kind = _TYPES[wallet.signature_type]
    body: dict[str, object] = {
        "type": kind,
        "from": wallet.signer,
        "nonce": str(change.nonce),
        "signature": signature,
        "metadata": tag(change),
    }
    if kind == "WALLET":
        body |= {
            "to": DEPOSIT_WALLET_FACTORY,
            "depositWalletParams": {
                "depositWallet": wallet.address,
                "deadline": str(deadline_s(change)),
                "calls": [{"target": call.to, "value": "0", "data": call.data}],
            },
        }
    elif kind == "SAFE":
        body |= {
            "to": call.to,
            "proxyWallet": wallet.address,
            "data": call.data,
            "signatureParams": {
                "baseGas": "0",
                "gasPrice": "0",
                "gasToken": _NO_ADDRESS,
                "operation": "0",
                "refundReceiver": _NO_ADDRESS,
                "safeTxnGas": "0",
            },
        }
    else:
        body |= {
            "to": PROXY_FACTORY,
            "proxyWallet": wallet.address,
            "data": through_proxy(call),
            "signatureParams": {
                "gasLimit": str(GAS_LIMIT),
                "gasPrice": "0",
                "relay": relay_nonce.relay,
                "relayHub": RELAY_HUB,
                "relayerFee": "0",
            },
        }
    return ClobRequest(method="POST", path="/submit", body=msgspec.json.encode(body))


def deadline_s(change: SetChange) -> int:
    """Return the deadline of a deposit wallet's batch, in seconds since the epoch."""
    return change.deadline_ms // 1000


def relay_nonce(answer: ClobAnswer) -> RelayNonce:
    """Read the answer to `params`. Raises ReadError."""
    try:
        read = _PARAMS.decode(_ok(answer))
        return RelayNonce(int(read.nonce), read.address)
    except _UNREADABLE as error:
        raise ReadError(f"the relayer's nonce: {error}") from None


def found(answer: ClobAnswer, change: SetChange, nonce: int) -> SetsFound:
    """Read the answer to `transactions`. Raises ReadError."""
    try:
        rows = _TRANSACTIONS.decode(_ok(answer))
    except _UNREADABLE as error:
        raise ReadError(f"the relayer's transactions: {error}") from None
    ours = [row for row in rows if row.metadata == tag(change)]
    unknown_ = {row.state for row in ours} - {*_PENDING, *_FAILED, "STATE_CONFIRMED"}
    if unknown_:
        raise ReadError(f"the relayer's transactions: {', '.join(sorted(unknown_))}")
    return SetsFound(
        done=any(row.state == "STATE_CONFIRMED" for row in ours),
        pending=sum(row.state in _PENDING for row in ours),
        failed=sum(row.state in _FAILED for row in ours),
        nonce=nonce,
        detail=next((row.error for row in ours if row.error), ""),
    )


def _ok(answer: ClobAnswer) -> bytes:
    if answer.status != 200:
        raise ReadError(f"the relayer: status {answer.status}")
    return answer.body


def of_submit(answer: ClobAnswer) -> Receipt:
    """Judge the answer to `submit`.

    Only the relayer's own refusals prove that nothing was taken.
    """
    if answer.status == 200:
        try:
            named = _SUBMITTED.decode(answer.body)
        except _UNREADABLE as error:
            return unknown("UNREADABLE", str(error))
        return Receipt(meaning=Meaning.ACCEPTED, venue_order_id=named.transaction_id)
    try:
        message = _REFUSED.decode(answer.body).error
    except _UNREADABLE:
        return unknown(f"HTTP_{answer.status}")
    if answer.status == _LIMITED:
        return not_sent("RATE_LIMIT", message, answer.retry_after_ms or 1_000)
    if answer.status >= _SERVER:
        return unknown(f"HTTP_{answer.status}", message)
    if _BUSY.search(message):
        return not_sent("WALLET_BUSY", message, 2_000)
    code = "BAD_NONCE" if _NONCE.search(message) else f"HTTP_{answer.status}"
    return Receipt(meaning=Meaning.REJECTED, code=code, detail=message[:200])
