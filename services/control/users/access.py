"""Access tokens: JWTs that name a session, signed with ES256. Pure; the time is an argument.

A token says who, never what he may do: that is looked up at each request, so a role that was taken
away is gone at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import jwt

from services.control.users import keys
from tradingtools.domain.errors import Unauthenticated

ISSUER = "tradingtools"
LIFE_S = 15 * 60
_ALGORITHM = "ES256"
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)", re.IGNORECASE)
_LONGEST = 2048
_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The secret and the name that tell one deployment's tokens from another one's."""

    secret: bytes
    """32 bytes; its keys come of it."""
    audience: str


def sign(deployment: Deployment, user_id: str, session: str, now_s: int) -> str:
    """Return an access token of :data:`LIFE_S` seconds."""
    key = keys.signing(deployment.secret, now_s)
    claims = {
        "iss": ISSUER, "aud": deployment.audience, "sub": user_id, "sid": session,
        "iat": now_s, "exp": now_s + LIFE_S,
    }  # fmt: skip
    return jwt.encode(claims, key.private, algorithm=_ALGORITHM, headers={"kid": key.kid})


def token_of(authorization: str) -> str:
    """Return the JWT of an Authorization header; empty: it has none."""
    found = _BEARER.fullmatch(authorization) if len(authorization) <= _LONGEST else None
    return found[1] if found else ""


def session_of(deployment: Deployment, token: str, now_s: float) -> str:
    """Return the session that an access token is of.

    Args:
        deployment: of this process.
        token: as it was shown.
        now_s: seconds of the epoch.

    Raises:
        Unauthenticated: it is not ours, not any more, or not yet.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next(k for k in keys.published(deployment.secret, now_s) if k.kid == kid)
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[_ALGORITHM],
            audience=deployment.audience,
            issuer=ISSUER,
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
        )
        issued, expires = int(claims["iat"]), int(claims["exp"])
    except (jwt.PyJWTError, StopIteration, ValueError, TypeError):
        raise Unauthenticated("not an access token of this deployment") from None
    if not (issued - _SKEW_S <= now_s < expires):
        raise Unauthenticated("the access token has expired")
    return str(claims["sid"])


_SKEW_S = 60
"""How far the clocks of two processes may be apart."""
