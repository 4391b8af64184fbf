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
    key: str = setting("", secret=True)
    """Seals the cookies of sessions: 64 hex digits. Empty: a fresh one, and sessions end with the
    process."""
    hosts: tuple[str, ...] = setting(("127.0.0.1", "localhost", "[::1]"))
    """Names under which people open it; a request for another name is refused (DNS rebinding)."""
    session_hours: int = setting(12, minimum=1, maximum=168)
    """After so long a person logs in again."""
    shared: SharedSettings = field(default_factory=SharedSettings)
