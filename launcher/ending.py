"""The end of a run: stop the leaders, let the dust settle, collect the evidence, judge it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event

import httpx
import psycopg

from launcher import web
from launcher.core.evidence import Evidence
from launcher.core.invariants import Breach, breaches, every_trade_is_decided, judged
from launcher.gather import GatherError, gather
from launcher.observe import Observer
from launcher.prepare import Prepared
from launcher.supervision import Supervisor

_LATE_SECONDS = 20.0
"""At most; the replay brings single rows up to eight seconds late, and they count."""
_HANDLING_SECONDS = 1.0
"""For what arrived last: another row of a trade that is decided tops it up."""
_QUIET_SECONDS = 1.5
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """The result of a run."""

    evidence: Evidence
    breaches: list[Breach]


def end(
    prepared: Prepared,
    supervisor: Supervisor,
    observer: Observer,
    *,
    seconds: float,
    schedule_soon: Event,
) -> Ending:
    """Settle, then judge.

    Args:
        prepared: the run.
        supervisor: of its processes.
        observer: of its rows.
        seconds: how long to wait at most until nothing is open.
        schedule_soon: set when nobody wants to wait any more.

    Raises:
        GatherError: the evidence cannot be had.
    """
    deadline = time.monotonic() + seconds
    if prepared.venue_control_url:
        _pause(prepared.venue_control_url)
        arrived = partial(_arrived, prepared.venue_control_url)
        _wait(arrived, time.monotonic() + _LATE_SECONDS, schedule_soon)
        schedule_soon.wait(_HANDLING_SECONDS)
        _wait(lambda: not _undecided(prepared), deadline, schedule_soon)
    # From here on nothing new begins; what is under way ends as its own processes end it.
    # An exit that finds no counterpart goes on in slices for as long as somebody decides it.
    for decider in ("guard", "router"):
        supervisor.stop(prepared.program(decider))
    quiet_since = time.monotonic()

    def quiet() -> bool:
        nonlocal quiet_since
        if observer.open_orders():
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since >= _QUIET_SECONDS

    # At least a short while of its own, however long the decisions took.
    _wait(quiet, max(deadline, time.monotonic() + seconds / 3), schedule_soon)
    # Whoever does not wait has trades under way, and nothing is broken by that.
    evidence = collect(prepared, settled=not schedule_soon.is_set())
    return Ending(evidence, breaches(evidence, judged(evidence)))


def collect(prepared: Prepared, *, settled: bool) -> Evidence:
    """The evidence of this run now. Raises GatherError."""
    note = prepared.note
    return gather(
        database_url=prepared.environ["TT_DATABASE_URL"],
        started_ms=note.started_ms,
        insiders_control_url=note.insiders_control_url,
        # What became of the leaders' trades is judged at rest.
        venue_url=note.venue_url if settled else "",
        default_cash_micros=note.default_cash_micros,
        settled=settled,
    )


def _undecided(prepared: Prepared) -> bool:
    return any(every_trade_is_decided(collect(prepared, settled=True)))


def _pause(control_url: str) -> None:
    """No more leader trades. That the replay is gone already is no reason not to judge."""
    try:
        httpx.post(f"{control_url}/pause", timeout=5.0, trust_env=False, verify=web.context())
    except httpx.HTTPError:
        return


def _arrived(control_url: str) -> bool:
    """Return whether every row that was played has reached whoever listens. A replay that is gone:
    yes."""
    try:
        state = httpx.get(
            f"{control_url}/state", timeout=5.0, trust_env=False, verify=web.context()
        )
        state.raise_for_status()
    except httpx.HTTPError:
        return True
    return int(state.json()["under_way"]) == 0


def _wait(done: Callable[[], bool], deadline: float, schedule_soon: Event) -> None:
    """Wait for something that the check will judge: too long is its finding, not an error."""
    while time.monotonic() < deadline and not schedule_soon.is_set():
        try:
            if done():
                return
        except (psycopg.Error, GatherError):
            pass
        schedule_soon.wait(_POLL_SECONDS)
