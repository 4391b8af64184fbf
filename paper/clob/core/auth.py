"""L1 and L2: who asks. A key's triple follows from a secret of the server, address and nonce."""

from __future__ import annotations

import hmac
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from paper.clob.core.typed_data import CLOB_AUTH, domain, recover, signed, struct
from paper.clob.core.values import Refusal

_TEXT = "This message attests that I control the given wallet"
_WINDOW_S = 60
UNAUTHORIZED = "Unauthorized/Invalid api key"
NO_L1 = "Invalid L1 Request headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of an address."""

    address: str
    key: str
    secret: str
    passphrase: str


class Keys:
    """The API keys of the exchange."""

    def __init__(self, seed: bytes, chain_id: int) -> None:
        self._seed = seed
        self._chain_id = chain_id
        self._keys: dict[str, ApiKey] = {}

    def derive(self, address: str, nonce: int, *, create: bool) -> ApiKey:
        """Return the key of an address and nonce. Raises Refusal."""
        text = f"{address}|{nonce}".encode()
        key = str(uuid.UUID(bytes=self._part(b"key", text)[:16], version=4))
        known = self._keys.get(key)
        if known is not None:
            if create:
                raise Refusal("Could not create api key")
            return known
        if not create:
            raise Refusal("Could not derive api key!")
        made = ApiKey(
            address=address,
            key=key,
            secret=urlsafe_b64encode(self._part(b"secret", text)).decode(),
            passphrase=self._part(b"passphrase", text).hex(),
        )
        self._keys[key] = made
        return made

    def relayer_key(self, address: str) -> str:
        """Return the key by which an address asks the relayer."""
        return str(uuid.UUID(bytes=self._part(b"relayer", address.encode())[:16], version=4))

    def of(self, address: str) -> list[str]:
        """Return the names of an address' keys."""
        return [key.key for key in self._keys.values() if key.address == address]

    def address(self, key: str) -> str:
        """Return whose a key is; empty: it is none."""
        known = self._keys.get(key)
        return known.address if known else ""

    def drop(self, key: str) -> None:
        """End a key."""
        self._keys.pop(key, None)

    def triple(self, key: str, secret: str, passphrase: str) -> ApiKey:
        """Return the key that a user channel names in full. Raises Refusal."""
        known = self._keys.get(key)
        if known is None or (known.secret, known.passphrase) != (secret, passphrase):
            raise Refusal(UNAUTHORIZED, 401)
        return known

    def l1(self, headers: Mapping[str, str], now_ms: int) -> tuple[str, int]:
        """Return address and nonce of a request that a wallet signed. Raises Refusal."""
        try:
            address = headers["POLY_ADDRESS"].lower()
            timestamp, nonce = headers["POLY_TIMESTAMP"], int(headers.get("POLY_NONCE", "0"))
            _check_time(timestamp, now_ms)
            message = {
                "address": address,
                "timestamp": timestamp,
                "nonce": nonce,
                "message": _TEXT,
            }
            separator = domain(name="ClobAuthDomain", version="1", chainId=self._chain_id)
            digest = signed(separator, struct("ClobAuth", CLOB_AUTH, message))
            signature = bytes.fromhex(headers["POLY_SIGNATURE"].removeprefix("0x"))
            if recover(digest, signature) != address:
                raise ValueError("signed by another key")
        except (KeyError, ValueError):
            raise Refusal(NO_L1, 401) from None
        return address, nonce

    def l2(
        self, headers: Mapping[str, str], *, method: str, path: str, body: bytes, now_ms: int
    ) -> ApiKey:
        """Return the key that a request was signed with. Raises Refusal."""
        try:
            known = self._keys[headers["POLY_API_KEY"]]
            timestamp = headers["POLY_TIMESTAMP"]
            _check_time(timestamp, now_ms)
            text = timestamp.encode() + method.encode() + path.encode() + body
            desired = hmac.new(urlsafe_b64decode(known.secret), text, sha256).digest()
            same = hmac.compare_digest(
                urlsafe_b64encode(desired).decode(), headers["POLY_SIGNATURE"]
            )
            mine = known.address == headers["POLY_ADDRESS"].lower()
            if not (same and mine and headers["POLY_PASSPHRASE"] == known.passphrase):
                raise ValueError("not the key's")
        except (KeyError, ValueError):
            raise Refusal(UNAUTHORIZED, 401) from None
        return known

    def _part(self, name: bytes, text: bytes) -> bytes:
        return hmac.new(self._seed, name + b"|" + text, sha256).digest()


def _check_time(timestamp: str, now_ms: int) -> None:
    if abs(int(timestamp) * 1000 - now_ms) > _WINDOW_S * 1000:
        raise ValueError("of another time")
