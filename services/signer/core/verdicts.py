"""Say what an exchange's answer means for a wallet's credentials.

Before it: a harmless call. After it: a wallet is added, or its client learns what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Struct, field

from tradingtools.domain.errors import InvalidField, Unavailable

FIELD = "sealed"
"""The field of a request that holds the credentials."""


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """The account that credentials open, and what they may do there."""

    account: str
    permissions: str


class _OkxAccount(Struct):
    uid: str
    perm: str
    level: str = field(name="acctLv")
    mode: str = field(name="posMode")


class _OkxAnswer(Struct):
    code: str
    data: list[msgspec.Raw] = []


class ApiCreds(Struct, frozen=True):
    """An API key of the CLOB."""

    key: str = field(name="apiKey")
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "Triple(...)"


class _ApiKeys(Struct):
    keys: list[str] = field(name="apiKeys")


_OKX_WRONG: Mapping[str, str] = {
    "50100": "a key that is not frozen",
    "50101": "a key of this environment: live and demo have keys of their own",
    "50105": "the passphrase of the key",
    "50110": "a key that may be used from this machine's address",
    "50111": "a key that OKX knows",
    "50113": "the secret of the key",
    "50119": "a key that OKX knows",
    "50120": "a key that may read the account",
}
"""By OKX's code: what the credentials should have been."""
_OKX_LATER = frozenset({"50001", "50004", "50011", "50013", "50026", "50061", "50102"})
_LEVELS = {"1": "Spot", "2": "Futures"}


def invalid_credentials(expected: str) -> InvalidField:
    """Return the error of credentials that do not work."""
    return InvalidField(f"{FIELD}: expected {expected}", field=FIELD, expected=expected)


def okx(status: int, body: bytes) -> AccountAccess:
    """Read the answer of ``GET /api/v5/account/config``.

    Raises:
        InvalidField: the credentials do not work, may do too much or too little, or the account is
            in another mode than Spot or Futures with net positions.
        Unavailable: OKX says nothing about them.
    """
    try:
        answer = msgspec.json.decode(body, type=_OkxAnswer)
    except msgspec.DecodeError:
        raise _silent("OKX", status) from None
    if answer.code in _OKX_WRONG:
        raise invalid_credentials(f"{_OKX_WRONG[answer.code]} (OKX {answer.code})")
    if answer.code != "0" and (answer.code in _OKX_LATER or status >= 500):
        raise _silent("OKX", status, answer.code)
    if answer.code != "0":
        raise invalid_credentials(f"credentials that OKX accepts (OKX {answer.code[:8]})")
    try:
        (found,) = (msgspec.json.decode(one, type=_OkxAccount) for one in answer.data)
    except (msgspec.DecodeError, ValueError):
        raise _silent("OKX", status) from None
    _check_okx(found)
    return AccountAccess(account=found.uid, permissions=found.perm)


def _check_okx(found: _OkxAccount) -> None:
    may = {one.strip() for one in found.perm.split(",")}
    if "withdraw" in may:
        raise invalid_credentials("a key without the permission to withdraw")
    if "trade" not in may:
        raise invalid_credentials("a key with the permission to trade")
    if not may <= {"read_only", "trade"}:
        raise invalid_credentials("a key that may read and trade and no more")
    if found.level not in _LEVELS:
        raise invalid_credentials("an account in the mode Spot or Futures")
    if found.mode != "net_mode":
        raise invalid_credentials("an account whose position mode is net")


def api_creds(status: int, body: bytes) -> ApiCreds | None:
    """Read the answer of a request for an API key of the CLOB; None: there is no such key.

    Raises:
        InvalidField: the CLOB does not take the private key's signature.
        Unavailable: it says nothing about it.
    """
    if status == 200:
        try:
            return msgspec.json.decode(body, type=ApiCreds)
        except msgspec.DecodeError:
            raise _silent("the CLOB", status) from None
    if status in (401, 403):
        raise invalid_credentials("a private key that the CLOB accepts")
    if status in (400, 404):
        return None
    raise _silent("the CLOB", status)


def clob(status: int, body: bytes, key: str) -> None:
    """Read the answer of ``GET /auth/api-keys``. Raises as :func:`api_creds`."""
    if status in (400, 401, 403):
        raise invalid_credentials("an API key that the CLOB accepts")
    try:
        keys = msgspec.json.decode(body, type=_ApiKeys).keys if status == 200 else []
    except msgspec.DecodeError:
        keys = []
    if key not in keys:
        raise _silent("the CLOB", status)


def _silent(whom: str, status: int, code: str = "") -> Unavailable:
    message = f"HTTP {status}" + (f", code {code[:8]}" if code else "")
    return Unavailable(
        f"{whom} does not say whether the credentials work ({message}); try again",
        retry_after_ms="5000",
    )
