"""The settings of the paper insiders-api, each `TT_INSIDERS_<NAME>` in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start."""

    shared: SharedSettings
    host: str = setting("127.0.0.1")
    """Where the API listens."""
    port: int = setting(0, minimum=0, maximum=65535)
    """Port of the API; 0: chosen, see `insiders.ports.json` in the state directory."""
    control_port: int = setting(0, minimum=0, maximum=65535)
    """Port of the control listener, always on loopback; 0: chosen."""
    state_dir: Path
    """Where the store and the file with the ports are."""
    bookfeed_target: str = setting("")
    """bookfeed's gRPC address, `host:port`; empty: only books the control port was told."""
    default_cash_usdc: int = setting(10_000, minimum=0, maximum=1_000_000_000)
    """Cash of a wallet that is seen for the first time, whole USDC."""
    own_delay_ms: int = setting(0, minimum=0, maximum=60_000)
    """How long an accepted order waits before it is matched, on top of its market's delay."""
    settle_delay_ms: int = setting(2_000, minimum=0, maximum=600_000)
    """From MATCHED to CONFIRMED."""
    longest_processing_ms: int = setting(5_000, minimum=1, maximum=600_000)
    """A request that was not accepted this long after it arrived is given up."""
    idempotency: bool = setting(default=True)
    """Capability A at first start; later the control port's word holds."""
    not_after: bool = setting(default=True)
    """Capability B at first start."""
    get_by_key: bool = setting(default=True)
    """Capability C at first start."""
    void: bool = setting(default=True)
    """Capability D at first start."""
    probe_database_url: str = setting("", secret=True)
    """The engine's PostgreSQL, asked at each order whether it had committed that; empty: never."""
