"""confirm's settings, each under ``TT_CONFIRM_<FIELD>``."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.confirm.core.effective_capabilities import WRITTEN
from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of confirm."""

    listen: str = setting("127.0.0.1:0")
    """Address that its gRPC server listens on, ``host:port``."""
    executor_target: str = setting()
    """Where order events come from, ``host:port``."""
    bookfeed_target: str = setting("")
    """Where marks come from, ``host:port``, to learn that a market has resolved, and its smallest
    order; empty: nothing is paid out."""
    insiders_url: str = setting(schemes=("http", "https"))
    """insiders-api, e.g. ``http://host:port``."""
    insiders_token: str = setting("", secret=True)
    """Bearer token for insiders-api; empty: none is sent."""
    venue_timeout_ms: int = setting(3000, minimum=100, maximum=60_000)
    """How long one question by key may take."""
    promises: str = setting("", choices=("", *WRITTEN))
    """The most that insiders-api may promise, as ``ABCD`` or ``A-C-`` ([what they
    mean](failure-modes.md)); its ``/api/capabilities`` may only take away. Empty: what it says."""
    promises_wait_ms: int = setting(60_000, minimum=100, maximum=3_600_000)
    """Without any answer of it for so long after the start, ``promises`` alone decides; empty means
    nothing then, and a person decides about orders that are not found by key."""
    longest_processing_ms: int = setting(60_000, minimum=0, maximum=3_600_000)
    """How long insiders-api may take to accept what was sent in time, where ``promises`` is set."""
    poll_ms: int = setting(100, minimum=20, maximum=60_000)
    """How often open orders that are due are looked at."""
    parallel: int = setting(16, minimum=1, maximum=256)
    """Questions to insiders-api at the same time."""
    not_founds: int = setting(3, minimum=3, maximum=100)
    """Not-founds after the horizon that prove a loss, where insiders-api enforces not_after."""
    not_found_spacing_ms: int = setting(500, minimum=100, maximum=60_000)
    """The shortest time between two of them."""
    unreachable_ms: int = setting(900_000, minimum=1000, maximum=86_400_000)
    """An unanswered order that nobody tells anything of for so long is DEAD; of an accepted one a
    person is notified."""
    attempts: int = setting(3, minimum=1, maximum=10)
    """How often an order is sent in all, where one key is one order at insiders-api; 1: once."""
    send_again_ms: int = setting(250, minimum=0, maximum=60_000)
    """The pause before an unanswered order is sent again; it doubles."""
    redeem_spacing_ms: int = setting(250, minimum=0, maximum=60_000)
    """The shortest time between two redemptions that are asked for."""
    balance_ms: int = setting(30_000, minimum=0, maximum=86_400_000)
    """How often insiders-api is asked what a wallet holds; 0: never, and it stays unknown."""
    balance_spacing_ms: int = setting(50, minimum=0, maximum=60_000)
    """The shortest time between two wallets that are asked for."""
    shortfall_apart_ms: int = setting(3000, minimum=0, maximum=600_000)
    """How far apart two answers are that prove that a wallet holds less than its lots say, and how
    long after the asset's last booking the first one is asked for; 0: lots are never shrunk."""
    watch_ms: int = setting(600_000, minimum=0, maximum=86_400_000)
    """How long an ended order is still asked for, after its end and its horizon."""
    watch_dead_ms: int = setting(604_800_000, minimum=0, maximum=2_592_000_000)
    """How long a DEAD or RESURRECTED order is checked again."""
    watch_first_ms: int = setting(1000, minimum=100, maximum=600_000)
    """The first pause before an ended order is asked for; it doubles."""
    watch_longest_ms: int = setting(300_000, minimum=1000, maximum=3_600_000)
    """The longest of these pauses."""
    watch_parallel: int = setting(4, minimum=1, maximum=64)
    """Such questions at the same time, beside those about open orders."""
    seal_ms: int = setting(1000, minimum=20, maximum=3_600_000)
    """How often order events get a seal; a seal follows its events by one to two of these."""
    shared: SharedSettings = field(default_factory=SharedSettings)
