"""The operator of a call, as the audit names it."""

from __future__ import annotations

from dataclasses import dataclass

from services.control.auth.tokens import Caller


@dataclass(frozen=True, slots=True)
class Operator:
    """Whom the audit names, and how he was known."""

    caller: Caller
    source: str = "grpc: token"
