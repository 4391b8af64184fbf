"""Who may call on the internal port, and who a caller is."""

from __future__ import annotations

from services.control.auth import last_used
from services.control.auth.operator import HEADER, Operator, identify
from services.control.auth.security_log import SecurityLog
from services.control.auth.tokens import Caller, Token, authenticate, authorize, usable
from services.control.context import Context
from tradingtools import clock
from tradingtools.domain.errors import TradingError, Unauthenticated
from tradingtools.rpc.admission import Admission, Metadata, values_of


class TokenInterceptor(Admission):
    """Asks for a token of the scope that an RPC demands.

    Args:
        tokens: the active ones.
    """

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._security = SecurityLog("internal")

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next call on, these tokens are the active ones."""
        self._tokens = tokens

    def judge(self, method: str, metadata: Metadata) -> None:
        """Let a call on whose caller may make it. Raises Unauthenticated, NotAllowed."""
        given = _authorization(metadata)
        try:
            last_used.note(authorize(self._usable(), method, given))
        except TradingError as error:
            self._security.refused(error, address="", token=self._id(given), route=method)
            raise

    def _id(self, authorization: str) -> str:
        try:
            return authenticate(self._tokens, authorization).id
        except Unauthenticated:
            return ""

    def caller(self, context: Context) -> Caller:
        """Whose token came with a call. Raises Unauthenticated: it is no longer active."""
        return authenticate(self._usable(), _authorization(context.invocation_metadata()))

    def _usable(self) -> tuple[Token, ...]:
        return usable(self._tokens, clock.now_ms() / 1000)

    def operator(self, context: Context) -> Operator:
        """Which operator a call came from. Raises InvalidField: what he says is no name."""
        try:
            token = self.caller(context)
        except Unauthenticated:
            token = None
        shown = context.auth_context().get("x509_common_name", ())
        names = [name.decode("utf-8", "replace") for name in shown if name]
        return identify(token, names, values_of(context.invocation_metadata(), HEADER))


def _authorization(metadata: Metadata) -> str:
    given = values_of(metadata, "authorization")
    return given[0] if len(given) == 1 else ""
