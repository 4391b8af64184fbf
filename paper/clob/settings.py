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
    markets: str = setting("")
    """File with markets, one JSON object a line, as the control port takes them; empty: three made
    up ones with a seeded feed, none otherwise."""
    wallets: str = setting("")
    """File with wallets and their money, one JSON object a line, as the control port takes them."""
    feed: str = setting("none", choices=("seeded", "recording", "live", "none"))
    """The maker of the market: a seed, a recording, Polymarket, or the control port alone."""
    seed: int = setting(1, minimum=0)
    """Decides the API keys, the numbers of trades, and the seeded market."""
    step_ms: int = setting(250, minimum=1, maximum=60_000)
    """A step of the seeded market."""
    recording: str = setting("")
    """File with recorded frames of the market channel, one JSON object of `ts` (ms) and `frame` a
    line."""
    live_url: str = setting(
        "wss://ws-subscriptions-clob.polymarket.com/ws/market", schemes=("ws", "wss")
    )
    """Market channel that the live feed follows."""
    chain_id: int = setting(137, minimum=1)
    """The chain that orders are signed for."""
    settles_ms: int = setting(1_000, minimum=0, maximum=600_000)
    """From a match to MINED, and from there to CONFIRMED."""
    limits: bool = setting(True)
    """Refuse what is beyond a signer's limits."""
