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


def check_auth(asked: ClobAuth, now_ms: int) -> None:
    """Let an attestation of now be signed. Raises InvalidField."""
    refuse_other_time("timestamp", asked.timestamp * 1000, now_ms)
    if not 0 <= asked.nonce < 1 << 32:
        raise malformed("nonce", "0 or more")


def check_request(asked: ClobRequest, now_ms: int) -> None:
    """Let a request on the list be signed.

    Raises:
        NotAllowed: the method and path are not on the list.
        InvalidField: the timestamp is of another time, or a GET has a body.
    """
    known = asked.path in ALLOWED.get(asked.method, ())
    if not known and not (asked.method == "GET" and _ONE_ORDER.fullmatch(asked.path)):
        raise forbidden("path", "methods and paths on its list")
    if asked.method == "GET" and asked.body:
        raise malformed("body", "none with a GET")
    refuse_other_time("timestamp", asked.timestamp * 1000, now_ms)


def opens_nothing(asked: ClobRequest) -> bool:
    """Return whether a request that the rules let through reads, or ends orders, and no more."""
    return asked.method in ("GET", "DELETE") or asked.path == _HEARTBEAT


def check_order(asked: ClobOrder, account: Account, now_ms: int) -> None:
    """Let an order of the wallet's own, within its limit, be signed.

    Raises:
        NotAllowed: it is another wallet's, of a contract that is not listed, or too large.
        InvalidField: a field is none of an order's.
    """
    _check_owner(asked, account)
    _check_fields(asked)
    refuse_other_time("timestamp", asked.timestamp, now_ms)
    buys = asked.side == "BUY"
    usdc, shares = (
        (asked.maker_amount, asked.taker_amount)
        if buys
        else (asked.taker_amount, asked.maker_amount)
    )
    if usdc > shares:
        raise malformed("makerAmount", "a price of at most 1")
    # A sell is bounded by its shares: for how little they go is for its strategy's limits to say.
    if (usdc if buys else shares) > account.max_order_micros:
        raise forbidden("makerAmount", f"at most {account.max_order_micros} micros an order")


def _check_owner(asked: ClobOrder, account: Account) -> None:
    if address("contract", asked.contract) not in EXCHANGES.get(asked.protocol, ()):
        raise forbidden("contract", "exchange contracts on its list")
    if asked.signature_type != account.signature_type:
        raise forbidden("signatureType", f"{account.signature_type} for this wallet")
    if address("maker", asked.maker) != account.funder:
        raise forbidden("maker", "the wallet itself")
    signs = account.funder if account.signature_type == DEPOSIT_WALLET else account.signer
    if address("signer", asked.signer) != signs:
        raise forbidden("signer", "the wallet's own")


def _check_fields(asked: ClobOrder) -> None:
    if asked.side not in ("BUY", "SELL"):
        raise malformed("side", "BUY or SELL")
    if not 0 <= asked.salt < _SALT:
        raise malformed("salt", "below 2^53")
    if not _TOKEN.fullmatch(asked.token_id) or int(asked.token_id) >= UINT256:
        raise malformed("tokenId", "a position's id, decimal")
    for field, amount in (
        ("makerAmount", asked.maker_amount),
        ("takerAmount", asked.taker_amount),
    ):
        if not 0 < amount < _MICROS:
            raise malformed(field, "more than 0")
    for field, text in (("metadata", asked.metadata), ("builder", asked.builder)):
        if len(raw(field, text)) != 32:
            raise malformed(field, "32 bytes, hex with 0x")
