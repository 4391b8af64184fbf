"""Authentication of requests to the CLOB: L1 by the wallet's key, L2 by an API key.

L1 makes or derives the API key (key, secret, passphrase); L2 stands on every other private request.
Nothing here has a private key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field

from tradingtools.venues.polymarket import eip712
from tradingtools.venues.polymarket.contracts import CHAIN_ID
from tradingtools.venues.polymarket.eip712 import EncodingError, uint

_TEXT = "This message attests that I control the given wallet"
_FIELDS = (
    ("address", "address"),
    ("timestamp", "string"),
    ("nonce", "uint256"),
    ("message", "string"),
)
_TYPE = "ClobAuth(" + ",".join(f"{kind} {name}" for name, kind in _FIELDS) + ")"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobAuth:
    """The statement that the owner of an address signs at an instant; the nonce names the key."""

    address: str
    timestamp_s: int
    nonce: int = 0
    chain_id: int = CHAIN_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A wallet's API key: its secret and its passphrase are in no text of it."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


def auth_digest(auth: ClobAuth) -> bytes:
    """Return the 32 bytes that the wallet's key signs. Raises EncodingError."""
    struct = eip712.hash_struct(
        eip712.string(_TYPE),
        eip712.address("address", auth.address),
        eip712.string(str(auth.timestamp_s)),
        uint("nonce", auth.nonce),
        eip712.string(_TEXT),
    )
    return eip712.digest(_domain(auth).separator(), struct)


def auth_typed_data(auth: ClobAuth) -> dict[str, object]:
    """Return the message of `auth_digest` in the JSON form that other signers read."""
    domain = _domain(auth)
    return {
        "types": {
            "EIP712Domain": domain.fields,
            "ClobAuth": [{"name": name, "type": kind} for name, kind in _FIELDS],
        },
        "primaryType": "ClobAuth",
        "domain": domain.values,
        "message": {
            "address": auth.address,
            "timestamp": str(auth.timestamp_s),
            "nonce": auth.nonce,
            "message": _TEXT,
        },
    }


def l1_headers(auth: ClobAuth, signature: bytes) -> dict[str, str]:
    """Return the headers of a request for an API key; `signature` is r, s and v."""
    return {
        "POLY_ADDRESS": auth.address,
        "POLY_SIGNATURE": "0x" + signature.hex(),
        "POLY_TIMESTAMP": str(auth.timestamp_s),
        "POLY_NONCE": str(auth.nonce),
    }


def l2_prehash(timestamp_s: int, method: str, path: str, body: bytes = b"") -> bytes:
    """Return what the secret signs: `path` is without its query, `body` is what is sent."""
    return f"{timestamp_s}{method}{path}".encode() + body


def l2_signature(secret: str, prehash: bytes) -> str:
    """Return the HMAC of a request. Raises EncodingError when the secret is not base64."""
    try:
        key = base64.b64decode(secret.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise EncodingError("the secret is not base64") from None
    return base64.urlsafe_b64encode(hmac.digest(key, prehash, hashlib.sha256)).decode()


def l2_headers(
    key: str, passphrase: str, address: str, *, timestamp_s: int, signature: str
) -> dict[str, str]:
    """Return the headers of a private request, whose signature is its HMAC."""
    return {
        "POLY_ADDRESS": address,
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": str(timestamp_s),
        "POLY_API_KEY": key,
        "POLY_PASSPHRASE": passphrase,
    }


def _domain(auth: ClobAuth) -> eip712.Domain:
    return eip712.Domain(name="ClobAuthDomain", version="1", chain_id=auth.chain_id)
