"""When each token was last used, at the edge or inside: tells whether an old one is in use."""

from __future__ import annotations

from opentelemetry import metrics

from services.control.auth.tokens import PUBLIC, Caller
from tradingtools import clock

_last_used = metrics.get_meter("tradingtools.control").create_gauge(
    "control.token_last_used", unit="s", description="when a token was last used, since 1970"
)


def note(caller: Caller) -> None:
    """A call of his was let on; who needed no token is nobody's use of one."""
    if caller != PUBLIC:
        _last_used.set(clock.now_ms() // 1000, {"token": caller.id})
