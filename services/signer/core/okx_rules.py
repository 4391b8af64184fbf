"""Decide which requests of OKX are signed, and what is hashed for one.

A request is signed when its method and path stand in the table below, to the letter: nothing is
decoded, folded or resolved, so what OKX could read as another path never matches. Nothing in the
table moves money out of the account, or between accounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from services.signer.core.bounds import forbidden, malformed, refuse_other_time
from tradingtools.domain.signing import OkxLogin, OkxRest

LOGIN_PATH = "/users/self/verify"
_PREFIX = "/api/v5/"
_READ = (
    "account/account-position-risk account/balance account/bills account/bills-archive"
    " account/config account/instruments account/interest-accrued account/leverage-info"
    " account/max-avail-size account/max-size account/positions account/positions-history"
    " account/trade-fee trade/fills trade/fills-history trade/order trade/orders-history"
    " trade/orders-history-archive trade/orders-pending"
)
_WRITE = (
    "account/set-leverage trade/amend-batch-orders trade/amend-order trade/batch-orders"
    " trade/cancel-all-after trade/cancel-batch-orders trade/cancel-order trade/close-position"
    " trade/order"
)
ALLOWED: Mapping[str, frozenset[str]] = {
    "GET": frozenset(_PREFIX + path for path in _READ.split()),
    "POST": frozenset(_PREFIX + path for path in _WRITE.split()),
}
"""By method: the paths that are signed."""
_CANCELS = frozenset(_PREFIX + path for path in ("trade/cancel-order", "trade/cancel-batch-orders"))
_SWITCH = _PREFIX + "trade/cancel-all-after"
_QUERY = re.compile(r"[A-Za-z]+=[A-Za-z0-9._,-]*(?:&[A-Za-z]+=[A-Za-z0-9._,-]*)*")
_SECONDS = re.compile(r"[1-9][0-9]{1,2}")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def rest(asked: OkxRest, now_ms: int) -> tuple[bytes, str]:
    """Return what is hashed for a REST request, and what the audit calls it.

    Args:
        asked: the request.
        now_ms: the signer's time.

    Raises:
        NotAllowed: the method and path are not on the list.
        InvalidField: the query, the body or the timestamp is none of OKX's.
    """
    path, mark, query = asked.path.partition("?")
    if path not in ALLOWED.get(asked.method, ()):
        raise forbidden("path", "methods and paths on its list")
    if mark and (asked.method != "GET" or not _QUERY.fullmatch(query)):
        raise malformed("path", "a plain query, of a GET alone")
    _check_body(asked)
    refuse_other_time("timestamp", _millis(asked.timestamp), now_ms)
    text = asked.timestamp + asked.method + asked.path + asked.body
    return text.encode(), f"{asked.method} {path}"


def opens_nothing(asked: OkxRest) -> bool:
    """Return whether a request that the rules let through reads, or ends orders, and no more.

    The dead man's switch may be set and not disarmed.
    """
    if asked.method == "GET" or asked.path in _CANCELS:
        return True
    if asked.path != _SWITCH:
        return False
    body = msgspec.json.decode(asked.body)
    return isinstance(body, dict) and bool(_SECONDS.fullmatch(str(body.get("timeOut"))))


def login(asked: OkxLogin, now_ms: int) -> tuple[bytes, str]:
    """Return the same for the login of a private socket. Raises InvalidField."""
    refuse_other_time("timestamp", asked.timestamp * 1000, now_ms)
    return f"{asked.timestamp}GET{LOGIN_PATH}".encode(), "login"


def _check_body(asked: OkxRest) -> None:
    if asked.method == "GET":
        if asked.body:
            raise malformed("body", "none with a GET")
        return
    try:
        body = msgspec.json.decode(asked.body)
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict | list):
        raise malformed("body", "a JSON object or list")


def _millis(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise malformed("timestamp", "ISO 8601 in UTC with milliseconds")
    try:
        told = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise malformed("timestamp", "an instant") from None
    return round(told.timestamp() * 1000)
