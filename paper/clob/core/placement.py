"""The body of a placed order, read and verified: what it is about, and that its owner signed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from paper.clob.core.auth import ApiKey
from paper.clob.core.typed_data import (
    ORDER,
    WALLET_SIGN,
    domain,
    recover,
    signed,
    struct,
    type_text,
)
from paper.clob.core.values import Market, OrderType, Refusal, Side

STANDARD = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310F59"
POSITIONS = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
_BAD = "Invalid order payload"
_DEPOSIT_WALLET = 3
_SIDES = {"BUY": 0, "SELL": 1}


class SignedOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as it is on the wire."""

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: str
    taker_amount: str
    side: Side
    expiration: str
    signature_type: Literal[0, 1, 2, 3]
    timestamp: str
    metadata: str
    builder: str
    signature: str


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a place."""

    order: SignedOrder
    owner: str
    order_type: OrderType
    defer_exec: bool = False
    post_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A verified order: amounts in micros, the expiration in ms; None: none."""

    id: str
    wallet: str
    asset: str
    side: Side
    maker_amount: int
    taker_amount: int
    kind: OrderType
    post_only: bool
    expiration_ms: int | None


_BODY = msgspec.json.Decoder(Body)
_BODIES = msgspec.json.Decoder(list[Body])
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes) -> Body:
    """Return the body of a place. Raises Refusal."""
    try:
        return _BODY.decode(body)
    except UNREADABLE:
        raise Refusal(_BAD) from None


def decode_many(body: bytes) -> list[Body]:
    """Return the body of a batch. Raises Refusal."""
    try:
        return _BODIES.decode(body)
    except UNREADABLE:
        raise Refusal(_BAD) from None


def exchange_of(market: Market, asset: str) -> tuple[str, str]:
    """Return the contract that settles an asset, and the version of its domain."""
    if int(asset) >> 40 & ((1 << 64) - 1) == 0:
        return POSITIONS, "3"
    return (NEG_RISK if market.neg_risk else STANDARD), "2"


def verify(body: Body, market: Market, key: ApiKey, chain_id: int) -> Placement:
    """Return the order once its owner is known to have signed it. Raises Refusal."""
    order = body.order
    if body.owner != key.key:
        raise Refusal("the order owner has to be the owner of the API KEY")
    deposit = order.signature_type == _DEPOSIT_WALLET
    if not deposit and order.signer.lower() != key.address:
        raise Refusal("the order signer address has to be the address of the API KEY")
    if (deposit or order.signature_type == 0) and order.signer.lower() != order.maker.lower():
        raise Refusal(_BAD)
    try:
        amounts = int(order.maker_amount), int(order.taker_amount)
        expiration = int(order.expiration)
        found, signer = _hash_and_signer(order, exchange_of(market, order.token_id), chain_id)
    except ValueError:
        raise Refusal(_BAD) from None
    if signer != key.address:
        raise Refusal("invalid signature")
    if min(amounts) <= 0 or order.salt >= 1 << 53:
        raise Refusal(_BAD)
    return Placement(
        id=found,
        wallet=order.maker.lower(),
        asset=order.token_id,
        side=order.side,
        maker_amount=amounts[0],
        taker_amount=amounts[1],
        kind=body.order_type,
        post_only=body.post_only,
        expiration_ms=expiration * 1000 or None,
    )


def _hash_and_signer(
    order: SignedOrder, exchange: tuple[str, str], chain_id: int
) -> tuple[str, str]:
    """The order's hash, and the address whose key signed it. Raises ValueError."""
    separator = domain(
        name="Polymarket CTF Exchange",
        version=exchange[1],
        chainId=chain_id,
        verifyingContract=exchange[0],
    )
    contents = struct("Order", ORDER, _message(order))
    digest = signed(separator, contents)
    found = "0x" + digest.hex()
    signature = bytes.fromhex(order.signature.removeprefix("0x"))
    if order.signature_type == _DEPOSIT_WALLET:
        signature, trailer = signature[:65], signature[65:]
        kind = type_text("Order", ORDER).encode()
        if trailer != separator + contents + kind + len(kind).to_bytes(2, "big"):
            raise ValueError("signature: not one of a deposit wallet")
        values = {
            "contents": contents,
            "name": "DepositWallet",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": order.signer,
            "salt": bytes(32),
        }
        more = type_text("Order", ORDER)
        digest = signed(separator, struct("TypedDataSign", WALLET_SIGN, values, more))
    return found, recover(digest, signature)


def _message(order: SignedOrder) -> dict[str, object]:
    return {
        "salt": order.salt,
        "maker": order.maker,
        "signer": order.signer,
        "tokenId": order.token_id,
        "makerAmount": order.maker_amount,
        "takerAmount": order.taker_amount,
        "side": _SIDES[order.side],
        "signatureType": order.signature_type,
        "timestamp": order.timestamp,
        "metadata": order.metadata,
        "builder": order.builder,
    }
