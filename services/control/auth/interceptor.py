"""Authenticate and authorize callers on the internal port."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar

import grpc

from services.control.auth import exchanges, last_used
from services.control.auth.operator import Operator
from services.control.auth.rate_limiter import Limiter
from services.control.auth.security_log import SecurityLog
from services.control.auth.tokens import Caller, People, Token, authenticate, authorize, usable
from tradingtools import clock
from tradingtools.domain.errors import LimitReached, TradingError, Unauthenticated
from tradingtools.rpc.admission import (
    OURS,
    Admission,
    Continuation,
    Handler,
    Metadata,
    address_of,
    values_of,
)
from tradingtools.rpc.headers import Context, client_name

_HELD_SECONDS = 1.0
_person: ContextVar[Caller | None] = ContextVar("person", default=None)
"""Whose access token a call has; a call is one task from here to its handler."""
MAX_HELD = 1000
"""Refused calls that wait for their answers at once; further ones are answered at once."""


class TokenInterceptor(Admission):
    """Asks for a token of the scope that an RPC demands.

    Args:
        tokens: the active ones.
        limiter: counts who shows none of them.
        people: know whose access token it is.
    """

    def __init__(self, tokens: tuple[Token, ...], limiter: Limiter, people: People) -> None:
        self._tokens = tokens
        self._people = people
        self._limiter = limiter
        self._held = 0
        self._security = SecurityLog("internal")

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next call on, these tokens are the active ones."""
        self._tokens = tokens

    def judge(self, method: str, metadata: Metadata) -> None:
        """Let a call on whose caller may make it. Raises Unauthenticated, NotAllowed."""
        shown, known = _authorization(metadata), _person.get()
        caller = authorize(self._usable(), method, shown, known)
        exchanges.require_all(caller, method)
        last_used.note(caller)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Find the person of an access token before the call is judged; its handler gets them."""
        method = handler_call_details.method
        metadata = handler_call_details.invocation_metadata
        _person.set(None)
        if method.startswith(OURS):
            try:
                _person.set(await self._people.known(_authorization(metadata)))
            except TradingError as error:
                return self._refusal(error, method, metadata)
        return await super().intercept_service(continuation, handler_call_details)

    def refused(
        self, error: TradingError, method: str, metadata: Metadata, address: str
    ) -> TradingError:
        """Count a refusal by address and write it down; who comes too often gets that answer."""
        if isinstance(error, Unauthenticated):
            try:
                self._limiter.refused(address)
            except LimitReached as limit:
                error = limit
        token = self._id(_authorization(metadata))
        self._security.refused(error, address=address, token=token, route=method)
        return error

    async def delay(self, answer: TradingError) -> None:
        """Hold back who comes too often, so that a flood has little of the process."""
        if not isinstance(answer, LimitReached) or self._held >= MAX_HELD:
            return
        self._held += 1
        try:
            # A spread, so that those who came together are not answered together.
            await asyncio.sleep(_HELD_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        finally:
            self._held -= 1

    def _id(self, authorization: str) -> str:
        try:
            return authenticate(self._tokens, authorization).id
        except Unauthenticated:
            return ""

    def caller(self, context: Context) -> Caller:
        """Return the caller whose token came with a call.

        Raises:
            Unauthenticated: it is revoked.
            InvalidField: the name of its client is none.
        """
        known = _person.get()
        if known is not None:
            return known._replace(client=client_name(context))
        try:
            caller = authenticate(self._usable(), _authorization(context.invocation_metadata()))
        except Unauthenticated as error:
            address = address_of(context.peer())
            self._security.refused(error, address=address, token="", route="")
            raise
        return caller._replace(client=client_name(context))

    def _usable(self) -> tuple[Token, ...]:
        return usable(self._tokens, clock.now_ms() / 1000)

    def operator(self, context: Context) -> Operator:
        """Return the operator that a call came from. Raises Unauthenticated, as ``caller``."""
        caller = self.caller(context)
        return Operator(caller, "grpc: login") if caller.role else Operator(caller)


def _authorization(metadata: Metadata) -> str:
    given = values_of(metadata, "authorization")
    return given[0] if len(given) == 1 else ""
