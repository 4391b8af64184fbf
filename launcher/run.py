"""One run from start to end: bring everything up, be its client, show it, end it, judge it.

Synchronous on purpose: it is the shell around the engine, and its work is to wait and to look.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import FrameType

import httpx
import msgspec
import psycopg
from rich.console import Console

from launcher import gather, paper_bot, supervision, view, web
from launcher.client import Client
from launcher.core.invariants import Breach, judged
from launcher.core.programs import own_environment
from launcher.core.summary import Numbers, RankedLeader
from launcher.ending import collect, end
from launcher.observe import Observer
from launcher.prepare import CONSOLE, Prepared, prepare
from launcher.running_check import RunningCheck
from launcher.settings import Settings
from launcher.startup import Interrupted, Starter
from launcher.state import ROOT, SUMMARY, State, open_state, write_note
from launcher.supervision import ProcessState, Supervisor
from tradingtools import login_codes
from tradingtools_client import ApiError, Unreachable

_TICK_SECONDS = 0.5
_SHOWN_ORDERS = 500
"""Newest orders whose times are shown while it runs; the summary looks at more."""
_LOOKS_PER_TICK = 3
_RANK_SECONDS = 5.0


def run(settings: Settings, environ: Mapping[str, str], console: Console) -> int:
    """Run until told to stop, or for as long as the settings say.

    Returns:
        The exit status: 0, or 1 when an invariant is broken.

    Raises:
        StateError, PrepareError, SupervisionError, StartError, GatherError: one line each.
    """
    with ExitStack() as stack:
        stop, schedule_soon = stack.enter_context(_signals())
        state = open_state(settings.state_dir)
        stack.callback(state.close)
        prepared = prepare(settings, state, environ)
        stack.callback(prepared.block.release)
        write_note(state.directory, prepared.note)
        view.say(console, f"state {state.directory}")
        if prepared.as_root:
            view.say(console, f"note: our own processes run as root: {prepared.as_root}")
        supervisor = supervision.start(
            prepared.programs,
            root=ROOT,
            directory=state.directory,
            sockets=state.sockets,
            environ=own_environment("", prepared.environ),
        )
        stack.callback(supervisor.close)
        try:
            _start(prepared, supervisor, stop, console, real_orders=bool(settings.insiders_url))
        except Interrupted:
            view.say(console, "stopped while starting")
            return 0
        live = _Live(settings, prepared, state, supervisor, console)
        stack.callback(live.close)
        return live.run(stop, schedule_soon)


@contextmanager
def _signals() -> Iterator[tuple[Event, Event]]:
    """Events for the first and the second Ctrl-C (or SIGTERM)."""
    stop, schedule_soon = Event(), Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            schedule_soon.set()
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop, schedule_soon
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(
    prepared: Prepared,
    supervisor: Supervisor,
    stop: Event,
    console: Console,
    *,
    real_orders: bool,
) -> None:
    starter = Starter(
        supervisor=supervisor,
        programs=prepared.programs,
        environ=prepared.environ,
        stop=stop,
        real_orders=real_orders,
    )
    started = time.monotonic()
    steps = (
        ("stores and schema", starter.stores),
        ("the world outside", lambda: starter.world(prepared.health_urls)),
        ("engine", lambda: starter.engine(prepared.addresses)),
        ("edge", lambda: starter.edge(prepared.note.rest_url)),
    )
    for name, step in steps:
        step()
        view.say(console, f"{name} ready after {time.monotonic() - started:.1f} s")
    note = prepared.note
    view.say(console, f"REST {note.rest_url}, token in the state directory")
    view.say(console, f"console {note.console_url}, log in by {_login(prepared, real_orders)}")
    view.say(console, f"a follower's wallet {note.follower_wallet}")
    view.say(
        console,
        f"operators' calls on port {note.ports['control_internal']}, with the token in"
        f" {prepared.directory / 'operator-token'}; all ports in run.json",
    )


def _login(prepared: Prepared, real_orders: bool) -> str:
    """Return how to log in to the console: what is printed is kept, so real orders have no link."""
    if real_orders:
        return "what `tt console` prints"
    directory = prepared.directory / CONSOLE
    tokens = (prepared.token, prepared.operator_token)
    code = login_codes.leave(directory, tokens, time.time())
    return f"{prepared.note.console_url}#code={code} (once, within ten minutes; then: tt console)"


def _stand_back() -> None:
    """Let this thread run when nothing else wants to: who watches must not slow what is watched."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


class _Live:
    """A run that is up."""

    def __init__(
        self,
        settings: Settings,
        prepared: Prepared,
        state: State,
        supervisor: Supervisor,
        console: Console,
    ) -> None:
        self._settings = settings
        self._prepared = prepared
        self._state = state
        self._supervisor = supervisor
        self._console = console
        self._client = Client(prepared.note.rest_url, prepared.token, state.run_id)
        self._observer = Observer(prepared.environ["TT_DATABASE_URL"], prepared.note.started_ms)
        self._refused: list[str] = []
        self._leaders: tuple[RankedLeader, ...] = ()
        self._rank_at = 0.0
        self._check = RunningCheck(lambda: collect(prepared, settled=False))

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()
        self._observer.close()

    def run(self, stop: Event, schedule_soon: Event) -> int:
        """Subscribe, begin the tape, watch, end, judge; the exit status."""
        self._client.subscribe(self._settings.leaders, self._settings.followers)
        view.say(self._console, f"{len(self._client.subscriptions)} subscriptions created")
        if self._prepared.venue_control_url:
            started = httpx.post(
                f"{self._prepared.venue_control_url}/start",
                timeout=10.0,
                trust_env=False,
                verify=web.context(),
            )
            started.raise_for_status()
        if self._prepared.paper_bot:
            self._show_bot()
        self._watch(stop)
        view.say(self._console, "ending: no more leader trades, waiting until nothing is open")
        ending = end(
            self._prepared,
            self._supervisor,
            self._observer,
            seconds=self._settings.settle_seconds,
            schedule_soon=schedule_soon,
        )
        numbers, states = self._observer.numbers(), self._supervisor.states()
        gather.keep(self._state.directory, ending.evidence)
        broken = [*self._check.found, *ending.breaches]
        _keep_summary(self._state.directory, numbers, states, broken)
        self._console.print(view.summary(numbers, states))
        if self._refused:
            view.say(
                self._console,
                f"note: {len(self._refused)} requests of the client were refused; last:"
                f" {self._refused[-1]}",
            )
        view.say(self._console, f"judged {self._check.looks} times while it ran")
        if not ending.evidence.settled:
            view.say(self._console, view.NOT_AT_REST)
        checks = judged(ending.evidence)
        view.verdict(self._console, broken, ending.evidence.notes, judged=len(checks))
        return 1 if broken else 0

    def _show_bot(self) -> None:
        try:
            bot = self._client.show_bot(paper_bot.credentials(self._state.directory))
        except (ApiError, Unreachable) as error:
            view.say(self._console, f"no bot is shown: {error}")
            return
        view.say(self._console, f"bot {bot} makes a market at the paper OKX: tt bots show {bot}")

    def _watch(self, stop: Event) -> None:
        started, due = time.monotonic(), 0.0
        desired = self._settings.for_seconds
        _stand_back()
        with view.view_for(self._console, self._prepared.note.rest_url) as shown:
            while (elapsed := time.monotonic() - started) < (desired or math.inf):
                self._guard()
                self._check.poll()
                if elapsed >= due:
                    due = elapsed + shown.every_seconds
                    shown.show(elapsed, self._numbers(), self._supervisor.states())
                if stop.wait(_TICK_SECONDS):
                    return

    def _guard(self) -> None:
        try:
            self._client.guard_new_lots(_LOOKS_PER_TICK)
        except Unreachable:
            # The edge or control is being restarted; the next look finds the same fills.
            return
        except ApiError as error:
            if not error.temporary:
                self._refused.append(str(error))

    def _numbers(self) -> Numbers | None:
        try:
            numbers = self._observer.numbers(_SHOWN_ORDERS)
        except psycopg.Error:
            return None
        self._rank()
        return replace(numbers, leaders=self._leaders)

    def _rank(self) -> None:
        """Ask for the leaders again when it is time; without an answer the last ones stay."""
        if time.monotonic() < self._rank_at:
            return
        self._rank_at = time.monotonic() + _RANK_SECONDS
        with suppress(ApiError, Unreachable):
            self._leaders = self._client.ranked(view.LEADERS)


def _keep_summary(
    directory: Path, numbers: Numbers, states: Sequence[ProcessState], broken: Sequence[Breach]
) -> None:
    """The summary for machines, beside the evidence."""
    text = msgspec.json.encode({"numbers": numbers, "processes": states, "breaches": broken})
    (directory / SUMMARY).write_bytes(msgspec.json.format(text, indent=2))
