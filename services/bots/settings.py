"""The settings of an engine of bots, each under ``TT_BOTS_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of an engine."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    name: str = setting("bots")
    """Its name, one for each engine: letters, as the signer knows them by its token, and a number
    behind them where there are several, ``bots-2``."""
    venues: tuple[str, ...] = setting(())
    """Exchanges that it trades at, parted by commas: ``okx``, ``polymarket``; empty: none."""
    capacity: int = setting(200, minimum=0, maximum=10_000)
    """The most bots that it runs."""
    signer_socket: str = setting()
    """Unix socket of the signer, which keeps the keys of the wallets."""
    okx_url: str = setting("https://www.okx.com", schemes=("http", "https"))
    """OKX's REST; http to this machine alone."""
    okx_socket_url: str = setting("wss://ws.okx.com:8443", schemes=("ws", "wss"))
    """OKX's web sockets; ws to this machine alone."""
    okx_cancel_after_s: int = setting(30, minimum=0, maximum=120)
    """OKX cancels this engine's orders when it was silent for so long, 10 or more; 0: never. Longer
    than ``lease_ms`` and some seconds: whoever takes over finds the quotes standing."""
    polymarket_url: str = setting("https://clob.polymarket.com", schemes=("http", "https"))
    """Polymarket's CLOB; http to this machine alone, as of the three below."""
    polymarket_gamma_url: str = setting(
        "https://gamma-api.polymarket.com", schemes=("http", "https")
    )
    """Polymarket's Gamma API, which knows the rules and the end of markets."""
    polymarket_data_url: str = setting("https://data-api.polymarket.com", schemes=("http", "https"))
    """Polymarket's Data API, which knows what a wallet holds."""
    polymarket_socket_url: str = setting(
        "wss://ws-subscriptions-clob.polymarket.com/ws", schemes=("ws", "wss")
    )
    """Polymarket's web sockets, without the name of a channel."""
    polymarket_relayer_url: str = setting(
        "https://relayer-v2.polymarket.com", schemes=("http", "https")
    )
    """Polymarket's relayer, which merges and redeems sets of outcomes for wallets of types 1 to 3;
    http to this machine alone."""
    polymarket_relayer_keys_file: str = setting("")
    """File with keys of the relayer's API, mode 0600: ``address key`` a line, the address being
    that of a wallet's private key. Empty, or without a line of a wallet: its sets are neither
    merged nor redeemed."""
    polymarket_heartbeats: bool = setting(False)
    """Arm the dead man's switch of each wallet: when this engine falls silent, Polymarket cancels
    **all** orders of the account. It cannot be disarmed again, and needs API keys that nothing else
    uses; without it orders end after three minutes."""
    real_orders: bool = setting(False)
    """Let bots trade at an exchange that is not on this machine: **real orders**. This engine is
    young: docs/operating.md says what it cannot do yet."""
    lease_ms: int = setting(8_000, minimum=4_000, maximum=60_000)
    """For how long a wallet is its own without a renewal; nothing leaves that a venue could take
    later."""
    poll_ms: int = setting(500, minimum=50, maximum=10_000)
    """How often wishes of people are looked for."""
    par_currencies: tuple[str, ...] = setting(("USDT", "USD"))
    """Currencies that count as one USDC each in limits of many bots. Others are worth what the book
    of ``USDC-<currency>`` at the bot's exchange says; without it nothing opens in them."""
    write_ms: int = setting(200, minimum=10, maximum=5_000)
    """How long orders and fills wait to be written together."""
    pnl_days: int = setting(90, minimum=1, maximum=3_650)
    """For how long what bots had made, minute by minute, is kept."""
    shared: SharedSettings = field(default_factory=SharedSettings)
