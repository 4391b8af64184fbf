"""confirm's settings, each under ``TT_CONFIRM_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.runtime.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What confirm is told at start."""

    listen: str = setting("127.0.0.1:0")
    """Where its gRPC server listens."""
    executor_target: str = setting()
    """Where order events come from, ``host:port``."""
    insiders_url: str = setting()
    """insiders-api, e.g. ``http://host:port``."""
    insiders_token: str = setting("", secret=True)
    """Bearer token for insiders-api; empty: none is sent."""
    ask_timeout_ms: int = setting(3000, minimum=100, maximum=60_000)
    """How long one question by key may take."""
    poll_ms: int = setting(100, minimum=20, maximum=60_000)
    """How often open orders that are due are looked at."""
    parallel: int = setting(16, minimum=1, maximum=256)
    """Questions to insiders-api at the same time."""
    shared: SharedSettings = field(default_factory=SharedSettings)
