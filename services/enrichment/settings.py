"""The settings of enrichment, each under ``TT_ENRICHMENT_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of enrichment."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    events_target: str = setting()
    """Address of the event log's server, ``host:port``."""
    source_file: str = setting("")
    """File (SQL) with selects of your own named trades, markets and wallets, which give the columns
    of ours out of the product's tables; empty: ``services/enrichment/source.sql``."""
    history_file: str = setting("")
    """File (JSON lines, as recorded of the feed) with trades that the embedded store begins with,
    moved so that they end when it begins; empty: it begins with nothing."""
    data_api_url: str = setting("https://data-api.polymarket.com")
    """Data API, which the embedded store is filled from."""
    clob_url: str = setting("https://clob.polymarket.com")
    """CLOB REST, for markets of the embedded store."""
    gamma_url: str = setting("https://gamma-api.polymarket.com")
    """Gamma, for the same."""
    candidates: int = setting(100, minimum=0, maximum=10_000)
    """Wallets that nobody follows and that have documents all the same: those with the highest
    volume of the last thirty days."""
    interval_seconds: int = setting(60, minimum=1, maximum=86_400)
    """Between two computations of a leader, give or take a tenth."""
    settle_ms: int = setting(3_000, minimum=10, maximum=600_000)
    """After an event that changes a leader's statistics, how long others are waited for."""
    stands_seconds: int = setting(3_600, minimum=10, maximum=604_800)
    """After which documents go that nothing has replaced."""
    late_seconds: int = setting(600, minimum=1, maximum=86_400)
    """After which the cache counts as late: its health check fails."""
    query_seconds: int = setting(30, minimum=1, maximum=3_600)
    """That a query of the analytical store may take; the server's own limit goes before."""
    marks: int = setting(100_000, minimum=0, maximum=10_000_000)
    """Marks and books that wait for a store that is away; beyond them the oldest are lost, and
    counted."""
    shared: SharedSettings = field(default_factory=SharedSettings)
