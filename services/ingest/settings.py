"""Settings of ingest: `TT_INGEST_<FIELD>`."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start."""

    shared: SharedSettings = field(default_factory=SharedSettings)
    listen: str = setting("127.0.0.1:0")
    """Address of the gRPC server, ``host:port``."""
    rtds_url: str = setting("wss://ws-live-data.polymarket.com")
    """The activity feed."""
    data_api_url: str = setting("https://data-api.polymarket.com")
    """Base of the Data API, without the version."""
    rpc_url: str = setting("", secret=True)
    """A Polygon node (JSON-RPC), asked for leaders' cash. Unset: their cash is not known, and who
    sizes proportionally copies nothing (`EQUITY_UNKNOWN`)."""
    collateral_tokens: str = setting(
        "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB,"
        "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174,"
        "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"
    )
    """Tokens that count as cash, with six decimals each: pUSD, USDC.e and USDC."""
    sockets: int = setting(2, minimum=1, maximum=4)
    """Connections to the feed. One alone is silent in about 7 of 100 minutes, two hardly ever."""
    silence_ms: int = setting(10_000, minimum=100, maximum=600_000)
    """A connection without a trade for so long is dropped; answers to pings, other topics and what
    cannot be read are none."""
    renew_ms: int = setting(540_000, minimum=1_000, maximum=3_600_000)
    """A connection this old is renewed, one at a time: the venue's go stale after 14 to 63 min."""
    frame_max_bytes: int = setting(1 << 20, minimum=1_024, maximum=1 << 26)
    """A bigger frame is refused, and with it the connection that brought it."""
    catch_up_ms: int = setting(120_000, minimum=0, maximum=86_400_000)
    """How far back a leader's trades are looked up when none of them is known yet."""
    overlap_ms: int = setting(300_000, minimum=1_000, maximum=3_600_000)
    """How far before the newest known trade a catch-up begins: rows can be indexed late."""
    polling_after_ms: int = setting(20_000, minimum=100, maximum=3_600_000)
    """When no socket has brought a trade that can be read for so long, leaders are polled."""
    polls_per_second: int = setting(10, minimum=1, maximum=20)
    """How many of them at most: each costs one request to the venue's trades (300 in 10 s are
    allowed) and one to its activity (200)."""
    poll_ms: int = setting(120_000, minimum=100, maximum=3_600_000)
    """Every leader is caught up at least this often."""
    recheck_ms: int = setting(10_000, minimum=100, maximum=600_000)
    """After a gap, the second look: the Data API shows a trade up to so much later."""
    api_timeout_ms: int = setting(5_000, minimum=100, maximum=60_000)
    """For each wait on the Data API."""
    api_connections: int = setting(8, minimum=1, maximum=64)
    """Requests to the Data API at once."""
    log_length: int = setting(100_000, minimum=1_000, maximum=10_000_000)
    """Events kept in Redis for readers that resume, about."""
