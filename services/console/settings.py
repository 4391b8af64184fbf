"""The settings of the console, each under ``TT_CONSOLE_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the console's process."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, for health checks, ``host:port``."""
    http_listen: str = setting("127.0.0.1:0")
    """Address that the pages are served at, ``host:port``; TLS and other machines are the work of a
    proxy before it."""
    rest_url: str = setting(schemes=("http", "https"))
    """The edge, to which calls of the pages go on."""
    operator_target: str = setting("")
    """Control's internal port, ``host:port``; empty: no page for operators does anything."""
    state_dir: str = setting("")
    """Directory for the key that seals the cookies of sessions, the tokens of people, sealed by it,
    the sessions that were logged out of, and codes that log in once; its owner alone may enter.
    Empty: sessions end with the process, and there are no codes."""
    hosts: tuple[str, ...] = setting(("127.0.0.1", "localhost", "[::1]"))
    """Names under which people open it; a request for another name is refused (DNS rebinding)."""
    trusted_networks: str = setting("")
    """Networks of the proxies before it, ``10.0.0.0/8|2001:db8::/32``: the last address in their
    X-Forwarded-For that is in none of them is the browser's. The edge is told it, and believes it
    if its TT_EDGE_TRUSTED_NETWORKS has this process. Empty: believed of nobody."""
    failed_logins: int = setting(10, minimum=1, maximum=10_000)
    """Logins of one address that may fail within a minute; further ones wait."""
    session_hours: int = setting(12, minimum=1, maximum=168)
    """After so long a person logs in again."""
    shared: SharedSettings = field(default_factory=SharedSettings)
