"""Tokens of the engine's processes, made for one run: each process's own, and all digests."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from launcher.core.programs import ALL
from tradingtools.domain.permissions import EDGE, OPERATOR

CALLERS = (*ALL, "insiders", EDGE)
"""Callers of the engine's processes, each with a token of its own."""


def engine_tokens(processes: Iterable[str] = CALLERS) -> tuple[dict[str, str], str]:
    """Fresh settings by which processes know each other, and an operator's token."""
    tokens = {name: secrets.token_hex(32) for name in (*processes, OPERATOR)}
    digests = [f"{name}:{hashlib.sha256(t.encode()).hexdigest()}" for name, t in tokens.items()]
    operator = tokens.pop(OPERATOR)
    own = {f"TT_{name.upper()}_ENGINE_TOKEN": token for name, token in tokens.items()}
    return {**own, "TT_ENGINE_CALLERS": ",".join(digests)}, operator
