"""The settings of the log of events, each under ``TT_EVENTS_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the log of events is told at start."""

    listen: str = setting("127.0.0.1:0")
    """Where its gRPC server listens."""
    busy_ms: int = setting(30, minimum=5, maximum=1_000)
    """Milliseconds between two looks at the tables while something happens."""
    idle_ms: int = setting(100, minimum=5, maximum=10_000)
    """Milliseconds between two looks while nothing does."""
    shared: SharedSettings = field(default_factory=SharedSettings)
