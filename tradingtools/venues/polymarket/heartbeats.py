"""The dead man's switch of an API key: once it is armed, silence ends all orders of the account.

It cannot be disarmed, and each heartbeat names the one before. So it beats by setting alone, with a
key that nothing else uses; without it every order ends by its own expiry.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from tradingtools.venues.polymarket import order_requests
from tradingtools.venues.polymarket.order_transport import NoAnswer, PrivateClob, SigningError

EVERY_SECONDS = 5.0
"""The venue waits for ten, and five more."""

_log = structlog.get_logger()


class _Answer(msgspec.Struct, frozen=True):
    heartbeat_id: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


async def keep_beating(clob: PrivateClob, *, every_seconds: float = EVERY_SECONDS) -> None:
    """Send heartbeats for ever.

    Args:
        clob: of the account.
        every_seconds: from one to the next.
    """
    last = ""
    while True:
        last = await _beat(clob, last)
        await asyncio.sleep(every_seconds)


async def _beat(clob: PrivateClob, last: str) -> str:
    """Return the id that the next heartbeat has to name."""
    try:
        answer = await clob.send(order_requests.heartbeat(last))
    except SigningError as error:
        _log.warning("heartbeat_not_signed", why=str(error))
        return last
    if isinstance(answer, NoAnswer):
        _log.warning("heartbeat_not_answered", why=answer.detail)
        return last
    try:
        reported = _ANSWER.decode(answer.body).heartbeat_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        reported = None
    if answer.status != 200:
        # A refusal tells the id that was expected.
        _log.warning("heartbeat_refused", status=answer.status, known=reported is not None)
    return last if reported is None else reported
