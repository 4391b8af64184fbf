"""Wallets and exchanges as the contract has them."""

from __future__ import annotations

import base64
import binascii
import hashlib

from services.control import parsing
from services.control.auth.tokens import Caller
from services.control.messages import Fields, timestamp
from services.control.store import Row
from tradingtools.domain import money
from tradingtools.domain.exchanges import EXCHANGES
from tradingtools.domain.signing import AddWallet, ReplaceCredentials, RewrapWallet
from tradingtools.v1 import wallet_service_pb2 as pb

STATES = {
    pb.WALLET_STATE_UNSPECIFIED: "",
    pb.WALLET_STATE_ACTIVE: "ACTIVE",
    pb.WALLET_STATE_RETIRED: "RETIRED",
}
_DEFAULT_TENANT, _DEFAULT_ENVIRONMENT = "default", "live"


def wallet(row: Row) -> Fields:
    """Return a wallet's fields."""
    found: Fields = {
        name: row[name]
        for name in ("id", "tenant", "name", "exchange", "environment", "account", "permissions",
                     "edition", "problem", "held_by")
    }  # fmt: skip
    found |= {
        "signer_address": row["signer_address"] or "",
        "max_order": money.to_text(row["max_order_micros"]),
        "state": f"WALLET_STATE_{row['state']}",
        **{name: timestamp(row[name]) for name in ("checked_at", "created_at", "changed_at")},
    }
    if row["signature_type"] is not None:
        found["signature_type"] = row["signature_type"]
    return found


def exchanges(among: frozenset[str] | None) -> list[pb.Exchange]:
    """Return the exchanges that wallets can be of, among those of a caller; None: all."""
    return [
        pb.Exchange(
            name=one.name,
            kinds=one.kinds,
            environments=one.environments,
            credentials=one.credentials,
            modes=one.modes,
            amends=one.amends,
            leverage=one.leverage,
        )
        for one in EXCHANGES
        if among is None or one.name in among
    ]


def new_wallet(request: pb.CreateWalletRequest, caller: Caller, key: str | None) -> AddWallet:
    """Return the signer's request for a new wallet.

    Args:
        request: of the client.
        caller: whose token it came with.
        key: the Idempotency-Key; None: there is none.

    Raises:
        InvalidField: the limit is 0, or what is sealed is no Base64.
    """
    most = parsing.amount(request.max_order, "maxOrder")
    if most == 0:
        raise parsing.refuse("maxOrder", "more than 0")
    body = request.SerializeToString(deterministic=True)
    return AddWallet(
        actor=caller.id,
        tenant=request.tenant or _DEFAULT_TENANT,
        name=request.name,
        exchange=request.exchange,
        environment=request.environment or _DEFAULT_ENVIRONMENT,
        max_order_micros=most,
        key_id=request.key_id,
        sealed=_sealed(request.sealed),
        request_key=b"" if key is None else _digest(f"{caller.namespace}:{key}".encode()),
        request_hash=b"" if key is None else _digest(body),
    )


def rotation(request: pb.RotateWalletRequest, actor: str) -> ReplaceCredentials | RewrapWallet:
    """Return the signer's request for other credentials, or for another wrapping.

    Raises:
        InvalidField: one of sealed, key and edition is missing, or all but one.
    """
    given = bool(request.sealed), bool(request.key_id), bool(request.edition)
    if not any(given):
        return RewrapWallet(actor=actor, wallet=request.id)
    for field, there in zip(("sealed", "keyId", "edition"), given, strict=True):
        if not there:
            raise parsing.refuse(field, "sealed, keyId and edition together, or none of them")
    return ReplaceCredentials(
        actor=actor,
        wallet=request.id,
        edition=request.edition,
        key_id=request.key_id,
        sealed=_sealed(request.sealed),
    )


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def _sealed(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise parsing.refuse("sealed", "Base64") from None
