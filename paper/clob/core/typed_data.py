"""EIP-712 by the book: any struct is hashed from the list of its fields, and its signer recovered.

The engine's adapter writes out its two messages instead; a mistake in one is not one in the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coincurve import PublicKey
from sha3 import keccak_256

Fields = Sequence[tuple[str, str]]
"""Type and name of each field."""

DOMAIN: Fields = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)
CLOB_AUTH: Fields = (
    ("address", "address"),
    ("string", "timestamp"),
    ("uint256", "nonce"),
    ("string", "message"),
)
ORDER: Fields = (
    ("uint256", "salt"),
    ("address", "maker"),
    ("address", "signer"),
    ("uint256", "tokenId"),
    ("uint256", "makerAmount"),
    ("uint256", "takerAmount"),
    ("uint8", "side"),
    ("uint8", "signatureType"),
    ("uint256", "timestamp"),
    ("bytes32", "metadata"),
    ("bytes32", "builder"),
)
WALLET_SIGN: Fields = (
    ("Order", "contents"),
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
    ("bytes32", "salt"),
)


def keccak(data: bytes) -> bytes:
    """Return Keccak-256."""
    digest: bytes = keccak_256(data).digest()
    return digest


def type_text(name: str, fields: Fields) -> str:
    """Return the type of a struct as it is hashed."""
    return f"{name}({','.join(f'{kind} {field}' for kind, field in fields)})"


def struct(name: str, fields: Fields, values: Mapping[str, object], more: str = "") -> bytes:
    """Return the hash of a struct; `more` are the types that it refers to. Raises ValueError."""
    words = [keccak((type_text(name, fields) + more).encode())]
    words += [_word(kind, values[field]) for kind, field in fields]
    return keccak(b"".join(words))


def domain(**values: object) -> bytes:
    """Return the hash of a domain with the fields that are given."""
    fields = [(kind, field) for kind, field in DOMAIN if field in values]
    return struct("EIP712Domain", fields, values)


def signed(separator: bytes, message: bytes) -> bytes:
    """Return the digest that a key signs."""
    return keccak(b"\x19\x01" + separator + message)


def recover(digest: bytes, signature: bytes) -> str:
    """Return the address whose key signed, lower case. Raises ValueError."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise ValueError("signature: not r, s and v")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # noqa: BLE001 - coincurve raises a bare one
        raise ValueError(f"signature: {error}") from None
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()


def _word(kind: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if kind == "string":
        return keccak(str(value).encode())
    if kind == "address":
        return _hex(value, 20).rjust(32, b"\0")
    if kind == "bytes32":
        return _hex(value, 32)
    number = int(str(value))
    bits = int(kind.removeprefix("uint"))
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{number} is no {kind}")
    return number.to_bytes(32, "big")


def _hex(value: object, size: int) -> bytes:
    text = str(value)
    if not text.startswith("0x") or len(text) != 2 + 2 * size:
        raise ValueError(f"{text[:20]!r} is not 0x and {2 * size} hex digits")
    return bytes.fromhex(text[2:])
