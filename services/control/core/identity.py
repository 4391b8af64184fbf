"""The seal between authorization and handler: a call that walked around the first has none.

Authorization writes it as a header that the edge strips from outside; the handler opens it. It
binds caller, scope and RPC, so a seal for a read opens no mutation.
"""

from __future__ import annotations

import hashlib
import hmac

from services.control.core.tokens import Caller
from tradingtools.domain.permissions import Permission

HEADER = "x-tt-identity"


def seal(key: bytes, caller: Caller, method: str) -> str:
    """The header's value for one call of ``method`` by ``caller``."""
    return f"{caller.id}:{caller.scope}:{_mac(key, caller.id, caller.scope, method)}"


def unseal(key: bytes, value: str, method: str) -> Caller | None:
    """Who was sealed for ``method``; None when the seal is not ours or of another method."""
    parts = value.split(":")
    if len(parts) != 3:
        return None
    name, scope, mac = parts
    if not hmac.compare_digest(_mac(key, name, scope, method).encode(), mac.encode()):
        return None
    return Caller(name, Permission(scope))


def _mac(key: bytes, name: str, scope: str, method: str) -> str:
    return hmac.new(key, f"{name}:{scope}:{method}".encode(), hashlib.sha256).hexdigest()
