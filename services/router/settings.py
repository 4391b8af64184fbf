"""The router's settings, each under ``TT_ROUTER_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the router."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    ingest_target: str = setting()
    """Where leader trades come from, ``host:port``."""
    bookfeed_target: str = setting()
    """Where marks come from, ``host:port``."""
    confirm_target: str = setting()
    """Where fills come from, ``host:port``."""
    partition: int = setting(0, minimum=0, maximum=1023)
    """Which follower wallets this router answers for."""
    partitions: int = setting(1, minimum=1, maximum=1024)
    """Into how many partitions the wallets are divided; the same for every router."""
    entry_ttl_ms: int = setting(5000, minimum=50, maximum=600_000)
    """An entry that could not be sent for so long is not sent; nor one whose leader trade is older
    than its subscription's maximum age by then."""
    entry_least_ms: int = setting(100, minimum=0, maximum=60_000)
    """What an entry needs to be claimed and sent. With less left of its maximum age it is too old,
    before it costs a book or an order."""
    backlog_ms: int = setting(2_000, minimum=50, maximum=600_000)
    """A leader trade that has waited for longer since `ingest` got it is a backlog: it is reported,
    and `backlog_order` counts."""
    backlog_order: str = setting("newest", choices=("newest", "oldest"))
    """Which buys of a leader are decided first in a backlog. Newest: those that are copied are
    fresh; oldest: as they came, each at the end of its time. Exits go before both."""
    exit_ttl_ms: int = setting(15_000, minimum=50, maximum=600_000)
    """An exit's attempt ends after so long; the next slice is a new order."""
    book_timeout_ms: int = setting(1500, minimum=10, maximum=60_000)
    """How long an asset's first book may take before its entries are skipped."""
    trade_close_ms: int = setting(30_000, minimum=1000, maximum=3_600_000)
    """A leader trade without a new row for so long is closed: later rows are not entered."""
    resync_ttl_ms: int = setting(300_000, minimum=1000, maximum=3_600_000)
    """A preview of a resync is executed no later than so long after it was made."""
    holding_age_ms: int = setting(900_000, minimum=1000, maximum=86_400_000)
    """A leader's holdings count as unknown when they were reported longer ago."""
    start_patience_ms: int = setting(300_000, minimum=0, maximum=3_600_000)
    """How long a start waits for what the leader holds, and for books and orders under way."""
    claimed_together: int = setting(100, minimum=1, maximum=10_000)
    """Followers whose copies of one buy are claimed together; others' trades go in between."""
    poll_ms: int = setting(1000, minimum=50, maximum=60_000)
    """How often changes are looked for when no wake-up comes."""
    recording_days: int = setting(14, minimum=1, maximum=3_650)
    """Days of the recording that are kept (``TT_RECORDING_DIR``)."""
    shared: SharedSettings = field(default_factory=SharedSettings)
