"""perfmon's settings, each under ``TT_PERFMON_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of perfmon."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    confirm_target: str = setting()
    """Where bookings come from, ``host:port``."""
    bookfeed_target: str = setting()
    """Where marks come from, ``host:port``."""
    control_target: str = setting()
    """Control's internal port, which does what rules demand, ``host:port``."""
    control_token: str = setting(secret=True)
    """By which control lets it in: of the scope ``internal``, 64 hex digits."""
    partition: int = setting(0, minimum=0, maximum=1023)
    """Which follower wallets this process answers for."""
    partitions: int = setting(1, minimum=1, maximum=1024)
    """Into how many partitions the wallets are divided; the same for every process."""
    time_zone: str = setting("UTC")
    """In which a day begins, such as ``Europe/Berlin``."""
    confirm_ms: int = setting(500, minimum=1, maximum=60_000)
    """For how long every look has to show what a rule acts on: one bad mark acts on nothing."""
    doubt_seconds: int = setting(300, minimum=1, maximum=86_400)
    """For how long what is held may have no good book before a person is warned, and it counts as
    it was worth before."""
    poll_ms: int = setting(1000, minimum=50, maximum=60_000)
    """How often changes are looked for when nothing wakes perfmon."""
    shared: SharedSettings = field(default_factory=SharedSettings)
