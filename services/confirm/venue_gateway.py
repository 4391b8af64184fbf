"""Look up and void orders at insiders-api, with results in the core's terms."""

from __future__ import annotations

import structlog

from services.confirm.core.unknown_order_policy import LookupResult, standing
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.promises import fetch_capabilities
from tradingtools.venues.insiders.schemas import (
    WireError,
    parse_error,
    parse_key_used,
    parse_order,
)
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown

_log = structlog.get_logger("confirm.insiders")


class VenueGateway:
    """Looks orders up and voids keys; a transport error is never a "not found".

    Args:
        client: of insiders-api.
        timeout_ms: of one question.
    """

    def __init__(self, client: InsidersClient, timeout_ms: int) -> None:
        self._client = client
        self._timeout_ms = timeout_ms

    async def capabilities(self) -> Capabilities | CapabilitiesUnknown:
        """Return what insiders-api promises now, or why it does not say."""
        return await fetch_capabilities(self._client, self._timeout_ms)

    async def look_up(self, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        """Ask for a key."""
        try:
            answer = await self._client.order_by_key(order_key, self._timeout_ms)
        except (NotSent, Unanswered) as error:
            _log.warning("no answer by key", order=order_key, error=str(error))
            return LookupResult.NO_ANSWER, None
        return self._judge(answer, order_key)

    async def void(self, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        """Ask that a key can never be used: VOIDED, FOUND (it was used) or NO_ANSWER."""
        try:
            answer = await self._client.void(order_key, self._timeout_ms)
        except (NotSent, Unanswered) as error:
            _log.warning("no answer to a void", order=order_key, error=str(error))
            return LookupResult.NO_ANSWER, None
        error_code = parse_error(answer.body)
        if answer.status == 409 and error_code is not None and error_code[0] == "KEY_USED":
            return await self._used(answer, order_key)
        return self._judge(answer, order_key, voiding=True)

    async def _used(self, answer: Answer, order_key: str) -> tuple[LookupResult, VenueOrder | None]:
        """Read the order that the refusal of a void names; without reading by key it is the only
        word."""
        try:
            order = parse_key_used(answer.body)
        except WireError as problem:
            _log.warning("refused void without its order", order=order_key, error=str(problem))
            return await self.look_up(order_key)
        return (
            (standing(order), order)
            if order.order_key == order_key
            else (LookupResult.NO_ANSWER, None)
        )

    def _judge(
        self, answer: Answer, order_key: str, *, voiding: bool = False
    ) -> tuple[LookupResult, VenueOrder | None]:
        error = parse_error(answer.body)
        code = error[0] if error is not None else ""
        if answer.status == 404 and code == "ORDER_NOT_FOUND":
            return LookupResult.NOT_FOUND, None
        if answer.status == 501 and code == "NOT_SUPPORTED":
            return LookupResult.NOT_SUPPORTED, None
        if answer.status != 200:
            return LookupResult.NO_ANSWER, None
        try:
            order = parse_order(_as_order(answer.body) if voiding else answer.body)
        except WireError as problem:
            _log.warning("malformed answer by key", order=order_key, error=str(problem))
            return LookupResult.NO_ANSWER, None
        if order.order_key != order_key:
            return LookupResult.NO_ANSWER, None
        return standing(order), order


def body_of(answer: Answer) -> bytes:
    """Return the body of an answer that tells something; raises WireError when it is a refusal."""
    if answer.status != 200:
        raise WireError(f"answered {answer.status}")
    return answer.body


def _as_order(body: bytes) -> bytes:
    """Return the order of a void's answer; nothing was filled under a voided key."""
    text = body.rstrip()
    return (
        text[:-1] + b',"closed":true}' if text.endswith(b"}") and b'"closed"' not in text else body
    )
