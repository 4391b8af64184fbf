"""The text of a request that is signed, and the port to the signer: the secret is nowhere here.

The key and the passphrase have to travel in headers and in the login; they are kept in memory and
in no log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

LOGIN_PATH = "/users/self/verify"


class SigningError(Exception):
    """Nothing was signed, so nothing may be sent; the text says why."""


class RequestSigner(Protocol):
    """Signs for one wallet. Each raises :class:`SigningError`."""

    async def sign_request(self, *, timestamp: str, method: str, path: str, body: str) -> str:
        """Return the Base64 signature of a REST request.

        Args:
            timestamp: as in OK-ACCESS-TIMESTAMP.
            method: in upper case.
            path: with its query.
            body: as it is sent; empty: none.
        """
        ...

    async def sign_login(self, *, timestamp: int) -> str:
        """Return the Base64 signature of the login of a socket, at seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The two that travel beside a signature."""

    key: str = field(repr=False)
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The key of one wallet, and who signs for it."""

    api_key: ApiKey
    signer: RequestSigner


def prehash(*, timestamp: str, method: str, path: str, body: str) -> str:
    """Return the text of a REST request whose HMAC-SHA256 is its signature."""
    return f"{timestamp}{method}{path}{body}"


def login_prehash(timestamp: int) -> str:
    """Return the text of a login whose HMAC-SHA256 is its signature."""
    return f"{timestamp}GET{LOGIN_PATH}"


def headers(api_key: ApiKey, *, timestamp: str, signature: str) -> dict[str, str]:
    """Return the headers of a signed request."""
    return {
        "OK-ACCESS-KEY": api_key.key,
        "OK-ACCESS-SIGN": signature,
        "OK-ACCESS-TIMESTAMP": timestamp,
        "OK-ACCESS-PASSPHRASE": api_key.passphrase,
    }
