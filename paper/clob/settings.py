"""Settings of the paper CLOB: `TT_PAPER_CLOB_<FIELD>`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start by `tradingtools.settings.load`."""

    shared: SharedSettings
    host: str = setting("127.0.0.1")
    """Address of the exchange; the control port is on loopback always."""
    port: int = setting(0, minimum=0, maximum=65535)
    """Port of REST and sockets; 0: chosen, see `paper_clob.ports.json` in the state directory."""
    control_port: int = setting(0, minimum=0, maximum=65535)
    """Port that tells the exchange what to do; 0: chosen."""
    state_dir: Path
    """Where the file with the ports and the journal are. Required."""
    seed: int = setting(1, minimum=0)
    """Decides the API keys and the numbers of trades."""
    chain_id: int = setting(137, minimum=1)
    """The chain that orders are signed for."""
    settles_ms: int = setting(1_000, minimum=0, maximum=600_000)
    """From a match to MINED, and from there to CONFIRMED."""
    limits: bool = setting(True)
    """Refuse what is beyond a signer's limits."""
