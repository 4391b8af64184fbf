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


def rest(requested: OkxRest, now_ms: int) -> tuple[bytes, str]:
    """Return what is hashed for a REST request, and what the audit calls it.

    Args:
        requested: the request.
        now_ms: the signer's time.

    Raises:
        NotAllowed: the method and path are not on the list.
        InvalidField: the query, the body or the timestamp is none of OKX's.
    """
    path, mark, query = requested.path.partition("?")
    if path not in ALLOWED.get(requested.method, ()):
        raise forbidden("path", "methods and paths on its list")
    if mark and (requested.method != "GET" or not _QUERY.fullmatch(query)):
        raise malformed("path", "a plain query, of a GET alone")
    _check_body(requested)
    refuse_other_time("timestamp", _millis(requested.timestamp), now_ms)
    text = requested.timestamp + requested.method + requested.path + requested.body
    return text.encode(), f"{requested.method} {path}"


def opens_nothing(requested: OkxRest) -> bool:
    """Return whether a request that the rules let through reads, or ends orders, and no more.

    The dead man's switch may be set and not disarmed.
    """
    if requested.method == "GET" or requested.path in _CANCELS:
        return True
    if requested.path != _SWITCH:
        return False
    body = msgspec.json.decode(requested.body)
    return isinstance(body, dict) and bool(_SECONDS.fullmatch(str(body.get("timeOut"))))


def login(requested: OkxLogin, now_ms: int) -> tuple[bytes, str]:
    """Return the same for the login of a private socket. Raises InvalidField."""
    refuse_other_time("timestamp", requested.timestamp * 1000, now_ms)
    return f"{requested.timestamp}GET{LOGIN_PATH}".encode(), "login"


def _check_body(requested: OkxRest) -> None:
    if requested.method == "GET":
        if requested.body:
            raise malformed("body", "none with a GET")
        return
    try:
        body = msgspec.json.decode(requested.body)
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict | list):
        raise malformed("body", "a JSON object or list")


def _millis(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise malformed("timestamp", "ISO 8601 in UTC with milliseconds")
    try:
        reported = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise malformed("timestamp", "an instant") from None
    return round(reported.timestamp() * 1000)
