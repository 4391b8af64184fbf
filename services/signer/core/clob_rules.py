"""Decide which requests and orders of Polymarket's CLOB are signed.

L1 attests that the wallet is ours, L2 is an HMAC over a method and path of the list below; an order
is signed when it is the wallet's own, about no more USDC than its limit, and settled by a contract
that is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.signer.core.bounds import forbidden, malformed, refuse_other_time
from services.signer.core.evm import UINT256, address, raw
from services.signer.core.polymarket_account import DEPOSIT_WALLET, EXCHANGES, Account
from tradingtools.domain.signing import ClobAuth, ClobOrder, ClobRequest

_READ = (
    "/auth/api-keys /auth/ban-status/closed-only /balance-allowance /balance-allowance/update"
    " /data/orders /data/trades"
)
_PLACE = "/order /orders /v1/heartbeats"
_CANCEL = "/cancel-all /cancel-market-orders /order /orders"
_HEARTBEAT = "/v1/heartbeats"
ALLOWED: Mapping[str, frozenset[str]] = {
    "GET": frozenset(_READ.split()),
    "POST": frozenset(_PLACE.split()),
    "DELETE": frozenset(_CANCEL.split()),
}
"""By method: the paths that are signed; `GET /data/order/<hash>` besides."""
_ONE_ORDER = re.compile(r"/data/order/0x[0-9a-f]{64}")
_TOKEN = re.compile(r"[1-9][0-9]{0,77}")
_SALT = 1 << 53
_MICROS = 1 << 62


def check_auth(requested: ClobAuth, now_ms: int) -> None:
    """Let an attestation of now be signed. Raises InvalidField."""
    refuse_other_time("timestamp", requested.timestamp * 1000, now_ms)
    if not 0 <= requested.nonce < 1 << 32:
        raise malformed("nonce", "0 or more")


def check_request(requested: ClobRequest, now_ms: int) -> None:
    """Let a request on the list be signed.

    Raises:
        NotAllowed: the method and path are not on the list.
        InvalidField: the timestamp is of another time, or a GET has a body.
    """
    known = requested.path in ALLOWED.get(requested.method, ())
    if not known and not (requested.method == "GET" and _ONE_ORDER.fullmatch(requested.path)):
        raise forbidden("path", "methods and paths on its list")
    if requested.method == "GET" and requested.body:
        raise malformed("body", "none with a GET")
    refuse_other_time("timestamp", requested.timestamp * 1000, now_ms)


def opens_nothing(requested: ClobRequest) -> bool:
    """Return whether a request that the rules let through reads, or ends orders, and no more."""
    return requested.method in ("GET", "DELETE") or requested.path == _HEARTBEAT


def check_order(requested: ClobOrder, account: Account, now_ms: int) -> None:
    """Let an order of the wallet's own, within its limit, be signed.

    Raises:
        NotAllowed: it is another wallet's, of a contract that is not listed, or too large.
        InvalidField: a field is none of an order's.
    """
    _check_owner(requested, account)
    _check_fields(requested)
    refuse_other_time("timestamp", requested.timestamp, now_ms)
    buys = requested.side == "BUY"
    usdc, shares = (
        (requested.maker_amount, requested.taker_amount)
        if buys
        else (requested.taker_amount, requested.maker_amount)
    )
    if usdc > shares:
        raise malformed("makerAmount", "a price of at most 1")
    # A sell is bounded by its shares: for how little they go is for its strategy's limits to say.
    if (usdc if buys else shares) > account.max_order_micros:
        raise forbidden("makerAmount", f"at most {account.max_order_micros} micros an order")


def _check_owner(requested: ClobOrder, account: Account) -> None:
    if address("contract", requested.contract) not in EXCHANGES.get(requested.protocol, ()):
        raise forbidden("contract", "exchange contracts on its list")
    if requested.signature_type != account.signature_type:
        raise forbidden("signatureType", f"{account.signature_type} for this wallet")
    if address("maker", requested.maker) != account.funder:
        raise forbidden("maker", "the wallet itself")
    signs = account.funder if account.signature_type == DEPOSIT_WALLET else account.signer
    if address("signer", requested.signer) != signs:
        raise forbidden("signer", "the wallet's own")


def _check_fields(requested: ClobOrder) -> None:
    if requested.side not in ("BUY", "SELL"):
        raise malformed("side", "BUY or SELL")
    if not 0 <= requested.salt < _SALT:
        raise malformed("salt", "below 2^53")
    if not _TOKEN.fullmatch(requested.token_id) or int(requested.token_id) >= UINT256:
        raise malformed("tokenId", "a position's id, decimal")
    for field, amount in (
        ("makerAmount", requested.maker_amount),
        ("takerAmount", requested.taker_amount),
    ):
        if not 0 < amount < _MICROS:
            raise malformed(field, "more than 0")
    for field, text in (("metadata", requested.metadata), ("builder", requested.builder)):
        if len(raw(field, text)) != 32:
            raise malformed(field, "32 bytes, hex with 0x")
