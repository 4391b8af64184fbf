"""The settings of the alerts, each under ``TT_ALERTS_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the alerts' process."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    events_target: str = setting()
    """Address of the event log's server, ``host:port``."""
    file: str = setting("")
    """File (YAML) with rules, targets and quiet hours of your own, beside those that ship; it is
    read again when it changes."""
    targets: tuple[str, ...] = setting((), secret=True)
    """Whom to tell of everything: ``slack+https://hooks.slack.com/services/...``,
    ``smtp://user:password@host:587/?from=a@b&to=c@d`` (``smtps://`` with TLS from the first byte)
    or any URL of Apprise; none: the log."""
    heartbeat_url: str = setting("", schemes=("http", "https"), secret=True)
    """Is asked (GET) again and again while the log can be read; what watches it calls a person when
    that stops. Empty: nobody."""
    heartbeat_seconds: int = setting(60, minimum=1, maximum=3_600)
    """Between two of these calls."""
    processes: tuple[str, ...] = setting(())
    """Processes whose health is asked, ``name=host:port``; the port is the internal one."""
    metrics: tuple[str, ...] = setting(())
    """Processes whose counters must not rise, ``name=host:port`` of their metrics; each needs its
    ``TT_METRICS_PORT``."""
    disks: tuple[str, ...] = setting(("/",))
    """Directories whose file systems must not fill up."""
    look_ms: int = setting(5_000, minimum=50, maximum=600_000)
    """Milliseconds between two looks at processes, disks and sums."""
    console_url: str = setting("")
    """Before the ``/orders/...`` of a message's links; empty: no links."""
    runbook_url: str = setting("docs/alerts.md")
    """The page to which a message leads for what to do, at the anchor of its rule."""
    shared: SharedSettings = field(default_factory=SharedSettings)
