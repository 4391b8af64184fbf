"""The guard's settings, each under ``TT_GUARD_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of guard."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    confirm_target: str = setting()
    """Where fills come from, ``host:port``."""
    bookfeed_target: str = setting()
    """Where marks come from, ``host:port``."""
    partition: int = setting(0, minimum=0, maximum=1023)
    """Which follower wallets this guard answers for."""
    partitions: int = setting(1, minimum=1, maximum=1024)
    """Into how many partitions the wallets are divided; the same for every process."""
    exit_ttl_ms: int = setting(15_000, minimum=100, maximum=600_000)
    """An exit's attempt ends after so long; the next slice is a new order."""
    suspend_ms: int = setting(2_000, minimum=0, maximum=60_000)
    """For how long a book may be stale, crossed or empty before its triggers are suspended. Nothing
    fires on it meanwhile."""
    poll_ms: int = setting(1000, minimum=50, maximum=60_000)
    """How often changes and ended exits are looked for when nothing wakes the guard."""
    shared: SharedSettings = field(default_factory=SharedSettings)
