"""The output for a person: the live view on a terminal, plain lines elsewhere, and the summary."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from launcher.core.invariants import CHECKS, Breach
from launcher.core.summary import Numbers, RankedLeader, brief, exact, usdc
from launcher.supervision import ProcessState

_DETAILS_MAX = 20
LEADERS = 7
"""Leaders that are shown."""


class View(Protocol):
    """Where the numbers of a run go while it runs."""

    every_seconds: float
    """How often it has something new to show."""

    def __enter__(self) -> View:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End showing."""

    def show(self, elapsed: float, numbers: Numbers | None, states: Sequence[ProcessState]) -> None:
        """Show the numbers (None: the database is away) after so many seconds."""


class LiveView:
    """Tables that are drawn again and again."""

    every_seconds = 1.0

    def __init__(self, console: Console, rest_url: str) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rest_url = rest_url

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, elapsed: float, numbers: Numbers | None, states: Sequence[ProcessState]) -> None:
        """Draw again."""
        if numbers is None:
            return
        title = f"Trading Tools  {elapsed:.0f} s  REST {self._rest_url}  Ctrl-C ends"
        body = Group(
            Columns([_trades(numbers), _orders(numbers), _triggers(numbers), _money(numbers)]),
            Columns([_latency(numbers), _backlogs(numbers), _processes(states)]),
            _bots(numbers),
            _leaders(numbers),
            _alerts(numbers),
        )
        self._live.update(Panel(body, title=title), refresh=True)


class PlainView:
    """A line every few seconds."""

    every_seconds = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._ranked = False

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def show(self, elapsed: float, numbers: Numbers | None, states: Sequence[ProcessState]) -> None:
        """Say it in a line when it is time."""
        if numbers is None or elapsed < self._next:
            return
        self._next = elapsed + self.every_seconds
        restarts = sum(state.restarts for state in states)
        again = f"; restarts {restarts}" if restarts else ""
        bots = "".join(
            f"; bot {one.name} {one.state}: {one.quotes} quotes, {one.fills} fills"
            for one in numbers.bots
        )
        say(self._console, f"{elapsed:4.0f} s  {brief(numbers)}{bots}{again}")
        if numbers.leaders and not self._ranked:
            self._ranked = True
            for place, leader in enumerate(numbers.leaders, 1):
                say(self._console, f"        leader {place}: {_in_words(leader)}")


def view_for(console: Console, rest_url: str) -> View:
    """The view that suits the output."""
    return LiveView(console, rest_url) if console.is_terminal else PlainView(console)


def say(console: Console, line: str) -> None:
    """A plain line, as it is."""
    console.print(Text(line), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=bool(columns), box=None)
    for number, column in enumerate(columns or ("", "")):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _in_words(leader: RankedLeader) -> str:
    """Say a leader's record in a line."""
    roi = f", ROI {leader.roi}" if leader.roi else ""
    won = f", {leader.win_rate} won" if leader.win_rate else ""
    gaps = "; no evidence yet" if leader.gaps else ""
    return (
        f"{leader.wallet} {leader.trades} trades, realised {leader.realised} USDC{roi}{won}{gaps}"
    )


def _leaders(numbers: Numbers) -> Table:
    if not numbers.leaders:
        return _table("Leaders: their statistics are being computed")
    columns = ("Leaders", "trades", "realised USDC", "ROI", "won", "evidence")
    table = _table("", *columns)
    for leader in numbers.leaders:
        ratios = (leader.roi or "-", leader.win_rate or "-")
        evidence = "no" if leader.gaps else "yes"
        table.add_row(leader.wallet, leader.trades, leader.realised, *ratios, evidence)
    return table


def _bots(numbers: Numbers) -> Table:
    """Bots, if there are any."""
    titles = ("bot", "state", "quotes", "fills") if numbers.bots else ()
    table = _table("bots" if numbers.bots else "", *titles)
    for bot in numbers.bots:
        table.add_row(bot.name, bot.state, str(bot.quotes), str(bot.fills))
    return table


def _trades(numbers: Numbers) -> Table:
    table = _table("Leader trades")
    table.add_row("seen", str(numbers.leader_trades))
    table.add_row("decisions", str(numbers.decisions))
    table.add_row("copied", str(numbers.copied))
    table.add_row("skipped", str(numbers.skipped))
    for reason, number in numbers.skips:
        table.add_row(f"  {reason}", str(number))
    if numbers.rejected_frames:
        table.add_row("frames refused (samples)", str(numbers.rejected_frames))
    return table


def _orders(numbers: Numbers) -> Table:
    table = _table("Orders")
    for state, number in sorted(numbers.orders.items()):
        table.add_row(state, str(number))
    for failure, number in numbers.failures:
        table.add_row(f"  {failure}", str(number))
    table.add_row("fills", str(numbers.fills))
    return table


def _alerts(numbers: Numbers) -> Table:
    table = _table("Alerts (TT_ALERTS_TARGETS: whom to tell)", "")
    for title in numbers.alerts:
        # Text of followers and servers, not markup.
        table.add_row(Text(title, overflow="ellipsis", no_wrap=True))
    return table


def _triggers(numbers: Numbers) -> Table:
    table = _table("Triggers")
    for kind, statuses in sorted(numbers.triggers.items()):
        fired, confirmed = numbers.fired.get(kind, (0, 0))
        table.add_row(kind, f"fired {fired}, confirmed {confirmed}")
        for status, number in sorted(statuses.items()):
            table.add_row(f"  {status}", str(number))
    return table


def _money(numbers: Numbers) -> Table:
    table = _table("USDC")
    table.add_row("bought", usdc(numbers.bought_micros))
    table.add_row("sold", usdc(numbers.sold_micros))
    table.add_row("fees", usdc(numbers.fee_micros))
    table.add_row("realised", usdc(numbers.realised_micros))
    table.add_row("held at cost", usdc(numbers.open_cost_micros))
    table.add_row("open lots", str(numbers.open_lots))
    return table


def _latency(numbers: Numbers) -> Table:
    table = _table("Latency, ms", "hop", "p50", "p99", "orders")
    for hop in numbers.hops:
        table.add_row(hop.name, f"{hop.p50_ms:.2f}", f"{hop.p99_ms:.2f}", str(hop.number))
    return table


def _backlogs(numbers: Numbers) -> Table:
    table = _table("Oldest that waits", "in", "ms")
    for process, oldest_ms in numbers.backlogs:
        table.add_row(process, str(oldest_ms))
    return table


def _processes(states: Sequence[ProcessState], *, ended: bool = False) -> Table:
    table = _table("Processes", "name", "state", "restarts")
    for state in states:
        # Whoever decides is stopped by the end of the run; what died of itself is EXITED or FATAL.
        meant = ended and state.state == "STOPPED"
        shown = "stopped at the end" if meant else state.state
        table.add_row(state.name, shown, str(state.restarts))
    return table


def summary(numbers: Numbers, states: Sequence[ProcessState]) -> RenderableType:
    """Return what stays on the screen when a run has ended."""
    return Group(
        _trades(numbers),
        _orders(numbers),
        _triggers(numbers),
        _money(numbers),
        Text(f"realised to the micro: {exact(numbers.realised_micros)} USDC"),
        _latency(numbers),
        _processes(states, ended=True),
    )


NOT_AT_REST = "ended before all was at rest: what must hold only then is not judged"


def verdict(
    console: Console, breaches: Sequence[Breach], notes: Sequence[str], *, judged: int
) -> None:
    """Say which of the judged invariants hold and which are broken."""
    for note in notes:
        say(console, f"note: {note}")
    if not breaches:
        say(console, f"invariants: all {judged} checks hold")
        return
    broken = [name for name in CHECKS if any(b.invariant == name for b in breaches)]
    say(console, f"invariants: BROKEN: {'; '.join(broken)}")
    for breach in breaches[:_DETAILS_MAX]:
        say(console, f"  {breach.invariant}: {breach.detail}")
    if len(breaches) > _DETAILS_MAX:
        say(console, f"  and {len(breaches) - _DETAILS_MAX} more")
