"""Settings of the replay: `TT_VENUE_<FIELD>`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start by `tradingtools.settings.load`."""

    shared: SharedSettings
    host: str = setting("127.0.0.1")
    """Address both listeners bind."""
    port: int = setting(0, minimum=0, maximum=65535)
    """Port of the venue; 0: chosen, see `venue.ports.json` in the state directory."""
    control_port: int = setting(0, minimum=0, maximum=65535)
    """Port that tells the replay what to do; 0: chosen."""
    state_dir: Path
    """What survives a restart, and `venue.ports.json`. One process at a time. Required."""
    tape: Path | None = setting(None)  # noqa: RUF009 - a field, not a shared value
    """The tape to play; unset: the packaged sample."""
    seed: int = setting(1, minimum=0)
    """Decides everything that is not on the tape."""
    mean_gap_ms: int = setting(180, minimum=1, maximum=86_400_000)
    """Mean gap between transactions: 180 gets through more than 250 in 50 seconds."""
    max_gap_ms: int = setting(2_000, minimum=1, maximum=86_400_000)
    """Longest gap between transactions."""
    firehose_per_second: int = setting(52, minimum=0, maximum=5_000)
    """Mean rate of other wallets' rows; 0: off."""
    firehose_burst: int = setting(10, minimum=1, maximum=100)
    """Rate of a bursting second as a multiple of a calm one."""
    crowd_markets: int = setting(200, minimum=1, maximum=10_000)
    """Markets in which no leader trades."""
    late_permille: int = setting(20, minimum=0, maximum=1000)
    """Leader rows, of 1,000, whose frames come one to eight seconds late."""
    lone_permille: int = setting(20, minimum=0, maximum=1000)
    """Leader rows, of 1,000, that reach only one of several sockets."""
    resolve_markets: int = setting(0, minimum=0, maximum=10_000)
    """Markets that resolve five seconds after their last recorded trade; not with `loop`."""
    start_delay_ms: int = setting(1_000, minimum=0, maximum=3_600_000)
    """From listening to the first transaction."""
    start_when_told: bool = setting(False)
    """Wait for POST /start on the control port instead."""
    repeat: bool = setting(False)
    """Send the tape's own transaction hashes instead of salting them for each run."""
    loop: bool = setting(False)
    """Begin the tape again when it ends."""
    rest_ms: int = setting(0, minimum=0, maximum=60_000)
    """How long each answer by REST takes, besides: the way to the venue and back."""
    ping_grace_s: int = setting(10, minimum=1, maximum=600)
    """A socket of the trade feed that has not pinged for so long goes silent."""
