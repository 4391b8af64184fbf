"""The settings of the log of events, each under ``TT_EVENTS_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of events."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    busy_ms: int = setting(20, minimum=5, maximum=1_000)
    """Milliseconds between a write of events and the next look at the tables; half as many while
    new rows wait for a transaction that runs beside them."""
    idle_ms: int = setting(100, minimum=5, maximum=10_000)
    """The most milliseconds between two looks. Where nothing moves, or a transaction that stays
    open holds the log back, they become as many within two seconds."""
    streams: int = setting(2_000, minimum=1, maximum=100_000)
    """Server-sent streams that may be open at a time."""
    streams_per_token: int = setting(500, minimum=1, maximum=100_000)
    """The same of one token, so that it leaves some to the others."""
    stream_heartbeat_seconds: int = setting(15, minimum=1, maximum=60)
    """Between two signs of life on a server-sent stream where nothing happens."""
    stream_life_seconds: int = setting(60, minimum=1, maximum=3_600)
    """After which a server-sent stream ends, give or take a fifth; its reader resumes with
    Last-Event-ID, and a token that has ended opens nothing."""
    stream_stalled_seconds: int = setting(20, minimum=1, maximum=600)
    """After which a reader of a server-sent stream is cut who takes nothing."""
    shared: SharedSettings = field(default_factory=SharedSettings)
