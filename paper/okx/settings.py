"""Settings of the paper OKX: `TT_PAPER_OKX_<FIELD>`."""

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
    """Port of REST and sockets; 0: chosen, see `paper_okx.ports.json` in the state directory."""
    control_port: int = setting(0, minimum=0, maximum=65535)
    """Port that tells the exchange what to do; 0: chosen."""
    state_dir: Path
    """Where state, journal and the file with the ports are. One process at a time. Required."""
    certificate: str = setting("")
    """File with the certificate (PEM, with its chain) of the exchange; empty: no TLS."""
    private_key: str = setting("")
    """File with the certificate's private key (PEM)."""
    accounts: str = setting("")
    """File with accounts, one JSON object a line, as the control port takes them; empty: none."""
    feed: str = setting("seeded", choices=("seeded", "recording", "live", "none"))
    """The maker of the market: a seed, a recording, OKX itself, or the control port alone."""
    seed: int = setting(1, minimum=0)
    """Decides the seeded market."""
    step_ms: int = setting(100, minimum=1, maximum=60_000)
    """A step of the seeded market."""
    book_ms: int = setting(0, minimum=0, maximum=10_000)
    """The shortest time between two pushes of a book, OKX's is 100; 0: each change is one."""
    recording: str = setting("")
    """File with recorded frames, one JSON object of `ts` (ms) and `frame` a line."""
    live_url: str = setting("wss://ws.okx.com:8443/ws/v5/public", schemes=("ws", "wss"))
    """Public socket that the live feed follows."""
    limits: bool = setting(True)
    """Refuse what is too often, as OKX does."""
    cancels: str = setting("behind", choices=("behind", "proportional"))
    """The shares of a level that go first when it shrinks without a trade: those behind our order,
    or shares from all places alike."""
