"""Keys, OKX's signature over a request or a login, and the window of its timestamp."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

WINDOW_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key of an account. `demo` keys belong to requests that say they are simulated."""

    api_key: str
    secret: str
    passphrase: str
    account: str
    permissions: tuple[str, ...] = ("read_only", "trade")
    demo: bool = False
    ip: str = ""


class Unauthorized(Exception):
    """A request or login that is not believed, with the exchange's code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


def signature(secret: str, text: str) -> str:
    """HMAC-SHA256 of a text, base64."""
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return base64.b64encode(digest).decode()


def check_request(
    keys: Mapping[str, Key],
    headers: Mapping[str, str],
    *,
    method: str,
    path: str,
    body: str,
    now_ms: int,
) -> Key:
    """The key of a signed request; `path` has its query. Raises Unauthorized."""
    desired = (
        ("OK-ACCESS-KEY", "50103", "Request header OK-ACCESS-KEY can not be empty."),
        ("OK-ACCESS-PASSPHRASE", "50104", "Request header OK-ACCESS-PASSPHRASE can not be empty."),
        ("OK-ACCESS-SIGN", "50106", "Request header OK-ACCESS-SIGN can not be empty."),
        ("OK-ACCESS-TIMESTAMP", "50107", "Request header OK-ACCESS-TIMESTAMP can not be empty."),
    )
    for name, code, message in desired:
        if not headers.get(name):
            raise Unauthorized(code, message)
    key = keys.get(headers["OK-ACCESS-KEY"])
    if key is None:
        raise Unauthorized("50111", "Invalid OK-ACCESS-KEY")
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    at_ms = _instant(stamp)
    if at_ms is None:
        raise Unauthorized("50112", "Invalid OK-ACCESS-TIMESTAMP")
    if abs(now_ms - at_ms) > WINDOW_MS:
        raise Unauthorized("50102", "Timestamp request expired")
    if headers["OK-ACCESS-PASSPHRASE"] != key.passphrase:
        raise Unauthorized("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.")
    expected = signature(key.secret, f"{stamp}{method}{path}{body}")
    if not hmac.compare_digest(expected, headers["OK-ACCESS-SIGN"]):
        raise Unauthorized("50113", "Invalid Sign")
    if key.demo != (headers.get("x-simulated-trading") == "1"):
        raise Unauthorized("50101", "APIKey does not match current environment.")
    return key


def check_login(keys: Mapping[str, Key], args: Mapping[str, object], now_ms: int) -> Key:
    """The key of a socket's login. Raises Unauthorized."""
    key = keys.get(str(args.get("apiKey", "")))
    if key is None:
        raise Unauthorized("60005", "Invalid apiKey")
    stamp = str(args.get("timestamp", ""))
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) != 10:
        raise Unauthorized("60004", "Invalid timestamp")
    if abs(now_ms - int(stamp) * 1000) > WINDOW_MS:
        raise Unauthorized("60006", "Timestamp request expired")
    if args.get("passphrase") != key.passphrase:
        raise Unauthorized("60024", "Wrong passphrase")
    expected = signature(key.secret, f"{stamp}GET/users/self/verify")
    if not hmac.compare_digest(expected, str(args.get("sign", ""))):
        raise Unauthorized("60007", "Invalid sign")
    return key


def _instant(stamp: str) -> int | None:
    if len(stamp) != 24 or not stamp.endswith("Z"):
        return None
    try:
        at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp()) * 1000 + at.microsecond // 1000
