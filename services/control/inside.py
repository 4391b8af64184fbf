"""Who may call on the internal port, when its callers have tokens."""

from __future__ import annotations

from services.control.core.tokens import Token, authorize_inside
from tradingtools.runtime.grpc_admission import Admission, Metadata, values_of


class TokenInterceptor(Admission):
    """Asks for a token of the scope that an RPC demands.

    Args:
        tokens: the active ones.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next call on, these tokens are the active ones."""
        self._tokens = tokens

    def judge(self, method: str, metadata: Metadata) -> None:
        """Let a call on whose caller may make it. Raises Unauthenticated, NotAllowed."""
        given = values_of(metadata, "authorization")
        authorize_inside(self._tokens, method, given[0] if len(given) == 1 else "")
