"""The settings of webhooks, each under ``TT_WEBHOOKS_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the webhooks' process."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    events_target: str = setting()
    """Address of the event log's server, ``host:port``."""
    allowed_networks: str = setting("")
    """Networks parted by commas, such as ``10.1.0.0/16``, to which messages may go although they
    are not public, by http, too; empty: public addresses by https alone."""
    endpoints: int = setting(200, minimum=1, maximum=10_000)
    """Endpoints that there may be at most."""
    timeout_ms: int = setting(10_000, minimum=100, maximum=60_000)
    """Of one attempt, from connecting to the answer."""
    retry_ms: int = setting(5_000, minimum=1, maximum=60_000)
    """Before the second attempt; the pauses after that are 60, 360, 1,440, 3,600, 7,200 and 17,280
    times as long: 5 min, 30 min, 2 h, 5 h, 10 h, 24 h."""
    shared: SharedSettings = field(default_factory=SharedSettings)
