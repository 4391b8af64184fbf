"""Judge whether a request may pass, and count it.

Before it: Envoy, which asks about every request by `ext_authz`. After it: the handler.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.control.auth import last_used
from services.control.auth.rate_limiter import Limiter
from services.control.auth.security_log import OUTCOMES, SecurityLog
from services.control.auth.tokens import PUBLIC, Caller, Token, authenticate, token_of, usable
from services.control.edge.admission_rules import HttpRequest, Route, Routes, admit
from tradingtools import clock
from tradingtools.domain.errors import LimitReached, TradingError, Unauthenticated
from tradingtools.domain.permissions import Permission
from tradingtools.runtime import instruments

_requests = instruments.counter(
    "tradingtools.control",
    "control.requests",
    "requests that the edge asked about, by outcome",
    instruments.each(outcome=[kind.reason for kind in OUTCOMES]),
)


class Gate:
    """Judges requests.

    Args:
        routes: the public REST routes.
        tokens: the active ones.
        limiter: counts who asks.
    """

    def __init__(
        self, routes: Sequence[Route], tokens: tuple[Token, ...], limiter: Limiter
    ) -> None:
        self._routes = Routes(routes)
        self._tokens = tokens
        self._limiter = limiter
        self._security = SecurityLog("edge")

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next request on, these tokens are the active ones."""
        self._tokens = tokens

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The active ones."""
        return self._tokens

    def admit(
        self, address: str, http: HttpRequest, known: Caller | None = None
    ) -> tuple[Route, Caller]:
        """As the pure ``admit``; raises LimitReached in the place of another error, too."""
        try:
            route, caller = self._judge(address, http, known)
        except TradingError as error:
            _requests.add(1, {"outcome": error.reason})
            self.note(error, address, http)
            raise
        _requests.add(1, {"outcome": "admitted", "method": route.method, "caller": caller.id})
        last_used.note(caller)
        return route, caller

    def followers_of(self, caller: Caller) -> frozenset[str]:
        """The wallets that a caller's token is about; empty: all. Raises Unauthenticated."""
        if caller == PUBLIC or caller.scope is Permission.PERSON:
            return frozenset()
        token = token_of(self._tokens, caller)
        if token is None:
            raise Unauthenticated("the token is withdrawn")
        return token.followers

    def refuse(self, error: Unauthenticated, address: str, http: HttpRequest) -> TradingError:
        """Count and note a request whose access token is nobody's; return what it is answered."""
        answer: TradingError = error
        try:
            self._limiter.refused(address)
        except LimitReached as limit:
            answer = limit
        _requests.add(1, {"outcome": answer.reason})
        self.note(answer, address, http)
        return answer

    def note(self, error: TradingError, address: str, http: HttpRequest) -> None:
        """Write down a refusal that is about who asks."""
        if type(error) not in OUTCOMES:
            return
        # The path as it came may hold anything, a token, too: only a route that there is is named.
        route = self._routes.find(http.verb, http.target.partition("?")[0])
        try:
            token = authenticate(self._tokens, http.authorization).id
        except Unauthenticated:
            token = ""
        self._security.refused(
            error, address=address, token=token, route=route.method if route else ""
        )

    def _judge(self, address: str, http: HttpRequest, known: Caller | None) -> tuple[Route, Caller]:
        try:
            route, caller = admit(
                self._routes, usable(self._tokens, clock.now_ms() / 1000, address), http, known
            )
        except Unauthenticated:
            self._limiter.refused(address)
            raise
        except TradingError:
            self._limiter.count_unknown(address)
            raise
        self._limiter.admitted(address, caller)
        return route, caller
