"""The executor's settings, each under ``TT_EXECUTOR_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the executor."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    router_target: str = setting()
    """Where copies come from, ``host:port``."""
    guard_target: str = setting()
    """Where exits of triggers come from, ``host:port``."""
    bookfeed_target: str = setting()
    """Where the collar's best prices come from, ``host:port``."""
    insiders_url: str = setting(schemes=("http", "https"))
    """insiders-api, e.g. ``http://host:port``."""
    insiders_token: str = setting("", secret=True)
    """Bearer token for insiders-api; empty: none is sent."""
    insiders_connections: int = setting(256, minimum=1, maximum=10_000)
    """Connections to insiders-api at most; an order beyond them waits for one. Exits have the next
    one before all entries, and eight for themselves (one of sixteen if that is less)."""
    insiders_warm: int = setting(64, minimum=0, maximum=10_000)
    """Connections that are held ready, so that a fan-out does not begin with handshakes."""
    insiders_idle_ms: int = setting(4_000, minimum=1_000, maximum=600_000)
    """An idle connection is replaced after so long. Must be less than what insiders-api waits
    before it closes one: an order that meets the close is UNKNOWN."""
    partition: int = setting(0, minimum=0, maximum=1023)
    """Which follower wallets this executor answers for."""
    submit_timeout_ms: int = setting(10_000, minimum=100, maximum=120_000)
    """An answer that takes longer counts as none."""
    poll_ms: int = setting(200, minimum=20, maximum=60_000)
    """Interval at which the database is polled for claims that no stream brought."""
    backlog_ms: int = setting(2_000, minimum=50, maximum=600_000)
    """An order that has waited for longer to be sent is a backlog: it is reported."""
    order_usdc_max: int | None = setting(10_000, minimum=1)
    """Last gate: largest entry, whole USDC."""
    wallet_minute_usdc_max: int | None = setting(50_000, minimum=1)
    """Last gate: entries of one wallet within a minute, whole USDC."""
    market_minute_usdc_max: int | None = setting(1_000_000, minimum=1)
    """Last gate: entries in one market, of all wallets of this executor, within a minute, whole
    USDC. With n partitions n times as much leaves."""
    minute_usdc_max: int | None = setting(5_000_000, minimum=1)
    """Last gate: all entries of this executor within a minute, whole USDC. With n partitions n
    times as much leaves."""
    orders_per_minute_max: int | None = setting(60_000, minimum=1)
    """Last gate: number of all entries of this executor within a minute. With n partitions n times
    as many leave."""
    collar_cents: int | None = setting(50, minimum=1, maximum=99)
    """Last gate: how far beyond the best price of a fresh book a limit may be, cents of USDC a
    share. An entry beyond it is refused, an exit waits and then leaves."""
    exit_collar_ms: int = setting(2_000, minimum=0, maximum=60_000)
    """How long what a wallet sells of an outcome waits beyond the collar, at the most."""
    breaker_failures: int = setting(10, minimum=1, maximum=1_000_000)
    """Failures of insiders-api in a row that open its circuit breaker."""
    breaker_open_ms: int = setting(1000, minimum=50, maximum=600_000)
    """The first pause until one order probes it; it doubles."""
    breaker_longest_ms: int = setting(5_000, minimum=50, maximum=3_600_000)
    """The longest of these pauses, and of the waits for a probe's answer until there is another: so
    long it may stay open when insiders-api is back."""
    shared: SharedSettings = field(default_factory=SharedSettings)
