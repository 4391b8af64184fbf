"""Keys that access tokens are signed with. Pure: a secret and a time give them.

Each key signs for its period. The one before is published as long, so what it has signed goes on;
the next one is published before it signs, so whoever keeps a copy of the list has it in time. Every
process with the secret has the same keys, and no store holds any.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

PERIOD_S = 30 * 24 * 3600
"""For so long a key signs; many times a token's life."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256."""


class Key(NamedTuple):
    """A key pair, and its public half's name."""

    kid: str
    private: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """Return the half that verifies."""
        return self.private.public_key()

    def jwk(self) -> dict[str, str]:
        """Return the public half as RFC 7517 has it."""
        point = self.public.public_numbers()
        return {
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": _text(point.x), "y": _text(point.y),
        }  # fmt: skip


def signing(secret: bytes, now_s: float) -> Key:
    """Return the key that signs now.

    Args:
        secret: of the deployment, 32 bytes.
        now_s: seconds of the epoch.
    """
    return _key(secret, int(now_s // PERIOD_S))


def published(secret: bytes, now_s: float) -> tuple[Key, ...]:
    """Return the keys that verify now: of the period before, this one and the next."""
    period = int(now_s // PERIOD_S)
    return tuple(_key(secret, one) for one in (period - 1, period, period + 1))


@lru_cache(maxsize=16)
def _key(secret: bytes, period: int) -> Key:
    # 512 bits modulo an order of 256: no bias that anybody could measure (FIPS 186-5, A.2.1).
    wide = hmac.new(secret, f"tradingtools login key {period}".encode(), hashlib.sha512).digest()
    private = ec.derive_private_key(int.from_bytes(wide) % (_ORDER - 1) + 1, ec.SECP256R1())
    point = private.public_key().public_numbers()
    named = f"{_text(point.x)}.{_text(point.y)}"
    return Key(hashlib.sha256(named.encode()).hexdigest()[:16], private)


def _text(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32)).decode().rstrip("=")
