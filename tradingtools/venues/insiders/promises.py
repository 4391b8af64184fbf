"""Query insiders-api what it promises."""

from __future__ import annotations

import structlog

from tradingtools.venues.insiders.order_gateway import InsidersClient, NotSent, Unanswered
from tradingtools.venues.insiders.schemas import WireError, parse_capabilities
from tradingtools.venues.ports import Capabilities, CapabilitiesUnknown

_log = structlog.get_logger("insiders")
_NO_SUCH_ROUTE = frozenset({404, 405, 501})


async def fetch_capabilities(
    client: InsidersClient, timeout_ms: int
) -> Capabilities | CapabilitiesUnknown:
    """Return what insiders-api promises now, or why it does not say."""
    try:
        answer = await client.capabilities(timeout_ms)
        if answer.status in _NO_SUCH_ROUTE:
            return CapabilitiesUnknown.NOT_OFFERED
        return (
            parse_capabilities(answer.body)
            if answer.status == 200
            else CapabilitiesUnknown.NO_ANSWER
        )
    except (NotSent, Unanswered, WireError) as error:
        _log.warning("capabilities unknown", error=str(error))
        return CapabilitiesUnknown.NO_ANSWER
