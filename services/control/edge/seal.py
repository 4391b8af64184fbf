"""The seal between authorization and handler: a call that walked around the first has none.

Authorization writes it as a header that the edge strips from outside; the handler opens it. It
binds caller, token, followers, RPC and request, for seconds: who has got hold of one can do nothing
with it but what it was made for, and nothing once the token is withdrawn.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from services.control.auth.tokens import PUBLIC, Caller, Token, token_of
from tradingtools.domain.permissions import Permission

HEADER = "x-tt-identity"
LIFE_MS = 15_000
"""The edge gives a request ten seconds, after up to five for its authorization."""
_SEAL = re.compile(
    r"(@?[a-z0-9.-]{1,32}):([a-z]{1,16}):([0-9a-z_,;]{0,128}):([0-9]{1,15}):([0-9a-f]{64})"
)


class Call(NamedTuple):
    """The call that is sealed: the full RPC path, and the digest of its request."""

    method: str
    request: bytes


def seal(key: bytes, caller: Caller, tokens: Iterable[Token], call: Call, now_ms: int) -> str:
    """The header's value for one call.

    Args:
        key: of the process.
        caller: whose call it is.
        tokens: the active ones; his is among them.
        call: what he calls.
        now_ms: since the epoch.
    """
    mac = _mac(key, caller, _token(tokens, caller) or b"", call, now_ms)
    return f"{caller.id}:{caller.scope}:{caller.reach}:{now_ms}:{mac}"


def unseal(
    key: bytes, value: str, tokens: Iterable[Token], call: Call, now_ms: int
) -> Caller | None:
    """Return who was sealed for a call.

    None: the seal is not ours, of another call, too old, or its token is no longer active.
    """
    found = _SEAL.fullmatch(value)
    if found is None or found[2] not in set(Permission):
        return None
    caller, at_ms = Caller(found[1], Permission(found[2]), found[3]), int(found[4])
    token = _token(tokens, caller)
    # Either way: a clock that was set back makes no seal live longer.
    if token is None or abs(now_ms - at_ms) > LIFE_MS:
        return None
    expected = _mac(key, caller, token, call, at_ms)
    return caller if hmac.compare_digest(expected, found[5]) else None


def _token(tokens: Iterable[Token], caller: Caller) -> bytes | None:
    """The digest of the caller's token; None: it is not active."""
    # A person's session was looked up for this very request.
    if caller == PUBLIC or caller.scope is Permission.PERSON:
        return b""
    held = token_of(tokens, caller)
    return held.digest if held else None


def _mac(key: bytes, caller: Caller, token: bytes, call: Call, at_ms: int) -> str:
    message = (*caller, at_ms, token.hex(), call.method, call.request.hex())
    return hmac.new(key, ":".join(map(str, message)).encode(), hashlib.sha256).hexdigest()
