"""Settings of bookfeed: `TT_BOOKFEED_<FIELD>`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once at start."""

    shared: SharedSettings = field(default_factory=SharedSettings)
    listen: str = setting("127.0.0.1:0")
    """Address of the gRPC server, ``host:port``."""
    clob_ws_url: str = setting("wss://ws-subscriptions-clob.polymarket.com/ws/market")
    """The CLOB market channel."""
    clob_url: str = setting("https://clob.polymarket.com")
    """Base of the CLOB's REST."""
    gamma_url: str = setting("https://gamma-api.polymarket.com")
    """Base of Gamma's REST."""
    shard: int = setting(300, minimum=1, maximum=500)
    """Assets on one connection; the venue is said to bear about 500."""
    stale_ms: int = setting(15_000, minimum=100, maximum=600_000)
    """Without any message on its connection for so long, a book is stale. Pings go out every 10 s
    or oftener, so a living connection is never silent."""
    quiet_ms: int = setting(5_000, minimum=100, maximum=600_000)
    """Without a word about any of its books for so long, answers to pings aside, a connection is
    questioned: REST is asked for a few of its books. A connection that brings not even first books
    for so long is given up. Also how long a book from REST alone counts as fresh."""
    look_ms: int = setting(30_000, minimum=1_000, maximum=600_000)
    """How often REST is asked for each book, busy or quiet, and compared level by level."""
    linger_ms: int = setting(300_000, minimum=100, maximum=86_400_000)
    """How long an asset is watched after somebody asked for its book once."""
    market_ttl_ms: int = setting(60_000, minimum=1_000, maximum=3_600_000)
    """How old what is known of a market may get: tick, closing, resolution."""
    catalogue_ms: int = setting(60_000, minimum=100, maximum=86_400_000)
    """How often Gamma's list of open markets is read from its beginning. It is what lets copies
    leave for a market that nobody watches without a question to the venue."""
    catalogue_stands_ms: int = setting(3_600_000, minimum=100, maximum=86_400_000)
    """A list that was not read to its end for so long is not used any more."""
    catalogue_file: Path | None = setting(None)  # noqa: RUF009 - a field, not a shared value
    """Where the list is kept for the next start; unset: nowhere."""
    watch_leaders: int = setting(300, minimum=0, maximum=5_000)
    """Outcomes that followed leaders hold and that are watched before anybody trades them, the
    largest first."""
    watch_traded: int = setting(100, minimum=0, maximum=5_000)
    """Outcomes of the markets with the highest volume of a day that are watched, too."""
    depth: int = setting(100, minimum=1, maximum=1_000)
    """Levels published of each side, the best ones; deeper ones would only cost."""
    api_timeout_ms: int = setting(3_000, minimum=100, maximum=60_000)
    """For each wait on REST."""
    api_connections: int = setting(16, minimum=1, maximum=64)
    """Requests to one host at once that somebody waits for; as many again keep what is known up to
    date."""
    frame_max_bytes: int = setting(1 << 23, minimum=1_024, maximum=1 << 26)
    """A bigger frame ends its connection; a first answer holds the books of a whole shard."""
    board_pause_ms: int = setting(100, minimum=10, maximum=10_000)
    """How often marks that have changed are written to Redis."""
    board_stands_ms: int = setting(30_000, minimum=300, maximum=600_000)
    """How long a mark stays in Redis when nobody writes it again."""
