"""An order as the exchange's contract knows it: its hash, what is signed, and its signature.

The hash is the order's id at the venue, and all that it depends on is known before the order is
sent: what became of an order can be asked for by hash, after a crash, too. Nothing here has a key.
Before: `order_amounts`, `order_identity`. After: the signer signs `signing_digest`, and
`order_signature` writes the answer as the venue wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tradingtools.venues.polymarket import eip712
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.eip712 import EncodingError, keccak256, uint
from tradingtools.venues.ports import Side

SALT_BITS = 53
"""The venue reads the salt as a number of JSON, which is exact up to here."""
ZERO32 = "0x" + "00" * 32

_NAME = "Polymarket CTF Exchange"
_WALLET_NAME, _WALLET_VERSION = "DepositWallet", "1"
_FIELDS = (
    ("salt", "uint256"),
    ("maker", "address"),
    ("signer", "address"),
    ("tokenId", "uint256"),
    ("makerAmount", "uint256"),
    ("takerAmount", "uint256"),
    ("side", "uint8"),
    ("signatureType", "uint8"),
    ("timestamp", "uint256"),
    ("metadata", "bytes32"),
    ("builder", "bytes32"),
)
_ORDER_TYPE = "Order(" + ",".join(f"{kind} {name}" for name, kind in _FIELDS) + ")"
_WRAPPER_FIELDS = (
    ("contents", "Order"),
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
_WRAPPER_TYPE = (
    "TypedDataSign(" + ",".join(f"{kind} {name}" for name, kind in _WRAPPER_FIELDS) + ")"
) + _ORDER_TYPE
_ORDER_HASH = keccak256(_ORDER_TYPE.encode())
_WRAPPER_HASH = keccak256(_WRAPPER_TYPE.encode())
_SIDES: dict[Side, int] = {"BUY": 0, "SELL": 1}
_EOA_SIGNATURE_BYTES = 65


class SignatureType(IntEnum):
    """The kind of wallet that holds the money, and so how the contract verifies."""

    EOA = 0
    PROXY = 1
    SAFE = 2
    DEPOSIT_WALLET = 3
    """A contract (EIP-1271) whose owner signs; the wallet is maker and signer at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobOrder:
    """An order of CTF Exchange V2 and V3; amounts are micros (1e-6) of USDC or shares.

    A BUY gives `maker_amount` USDC for at least `taker_amount` shares, a SELL the other way round.
    `maker` holds the money; `signer` is the key's address, or the wallet itself for type 3.
    """

    salt: int
    maker: str
    signer: str
    asset_id: str
    maker_amount: int
    taker_amount: int
    side: Side
    signature_type: SignatureType
    timestamp_ms: int
    metadata: str = ZERO32
    builder: str = ZERO32


def order_hash(order: ClobOrder, exchange: Exchange) -> str:
    """Return the order's id at the venue: 0x and 64 hex digits. Raises EncodingError."""
    found = eip712.digest(_domain(exchange).separator(), _contents_hash(order))
    return "0x" + found.hex()


def signing_digest(order: ClobOrder, exchange: Exchange) -> bytes:
    """Return the 32 bytes that the owner's key signs. Raises EncodingError.

    They are the order's hash, except for a deposit wallet: there the owner signs for the wallet
    (ERC-7739), so that the signature serves no other wallet of the same owner.
    """
    contents = _contents_hash(order)
    if order.signature_type is SignatureType.DEPOSIT_WALLET:
        contents = eip712.hash_struct(
            _WRAPPER_HASH,
            contents,
            eip712.string(_WALLET_NAME),
            eip712.string(_WALLET_VERSION),
            uint("chainId", exchange.chain_id),
            eip712.address("signer", order.signer),
            bytes(32),
        )
    return eip712.digest(_domain(exchange).separator(), contents)


def order_signature(order: ClobOrder, exchange: Exchange, signature: bytes) -> str:
    """Return a signature of `signing_digest` as the venue takes it. Raises EncodingError.

    Args:
        order: what was signed.
        exchange: the contract that it was signed for.
        signature: r, s and v, 65 bytes, v being 27 or 28.
    """
    if len(signature) != _EOA_SIGNATURE_BYTES or signature[-1] not in (27, 28):
        raise EncodingError("signature is not r, s and v (27 or 28), 65 bytes")
    if order.signature_type is SignatureType.DEPOSIT_WALLET:
        # The wallet rebuilds the digest from what stands behind the signature.
        kind = _ORDER_TYPE.encode()
        signature += _domain(exchange).separator() + _contents_hash(order)
        signature += kind + len(kind).to_bytes(2, "big")
    return "0x" + signature.hex()


def typed_data(order: ClobOrder, exchange: Exchange) -> dict[str, object]:
    """Return the message of `signing_digest` in the JSON form that other signers read."""
    domain = _domain(exchange)
    types: dict[str, object] = {"EIP712Domain": domain.fields, "Order": _listed(_FIELDS)}
    message: dict[str, object] = {
        "salt": order.salt,
        "maker": order.maker,
        "signer": order.signer,
        "tokenId": int(order.asset_id),
        "makerAmount": order.maker_amount,
        "takerAmount": order.taker_amount,
        "side": _SIDES[order.side],
        "signatureType": int(order.signature_type),
        "timestamp": order.timestamp_ms,
        "metadata": order.metadata,
        "builder": order.builder,
    }
    primary = "Order"
    if order.signature_type is SignatureType.DEPOSIT_WALLET:
        primary = "TypedDataSign"
        types[primary] = _listed(_WRAPPER_FIELDS)
        message = {
            "contents": message,
            "name": _WALLET_NAME,
            "version": _WALLET_VERSION,
            "chainId": exchange.chain_id,
            "verifyingContract": order.signer,
            "salt": ZERO32,
        }
    return {"types": types, "primaryType": primary, "domain": domain.values, "message": message}


def _domain(exchange: Exchange) -> eip712.Domain:
    return eip712.Domain(
        name=_NAME,
        version=exchange.version,
        chain_id=exchange.chain_id,
        verifying_contract=exchange.contract,
    )


def _contents_hash(order: ClobOrder) -> bytes:
    return eip712.hash_struct(
        _ORDER_HASH,
        uint("salt", order.salt, SALT_BITS),
        eip712.address("maker", order.maker),
        eip712.address("signer", order.signer),
        uint("tokenId", int(order.asset_id)),
        uint("makerAmount", order.maker_amount),
        uint("takerAmount", order.taker_amount),
        uint("side", _SIDES[order.side], 8),
        uint("signatureType", order.signature_type, 8),
        uint("timestamp", order.timestamp_ms),
        eip712.bytes32("metadata", order.metadata),
        eip712.bytes32("builder", order.builder),
    )


def _listed(fields: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields]
