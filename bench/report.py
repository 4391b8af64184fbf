"""Shows a run's figures and keeps them: a table for people, JSON for machines, a history."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import msgspec
from rich.table import Table

from bench.core.figures import Change, Line, Setup, Spread
from bench.core.sheet import Figure
from bench.machine import Watch
from launcher.state import ROOT

HISTORY = ROOT / ".state" / "bench-history.jsonl"
_PACKAGES = ("grpcio", "psycopg", "aiohttp", "uvloop", "msgspec", "websockets", "protobuf")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark as it is kept."""

    at: str
    commit: str
    machine: dict[str, str]
    versions: dict[str, str]
    lines: list[Line] = []
    figures: list[Figure] = []


def described(watch: Watch, lines: Sequence[Line] = (), figures: Sequence[Figure] = ()) -> Run:
    """Return what was measured, and on what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=commit.stdout.strip(),
        machine={
            "system": platform.platform(),
            "cores": str(os.cpu_count()),
            "load": f"{os.getloadavg()[0]:.1f}",
            "stolen": f"{watch.stolen():.2f}",
            "python": platform.python_version(),
        },
        versions={name: metadata.version(name) for name in _PACKAGES},
        lines=list(lines),
        figures=list(figures),
    )


def keep(run: Run, path: Path) -> None:
    """Write a run to a file and add it to the history."""
    text = msgspec.json.encode(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(text, indent=2))
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("ab") as file:
        file.write(text + b"\n")


def read(path: Path) -> Run:
    """A kept run. Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


def table(lines: Sequence[Line]) -> Table:
    """First and last POST of floor and system, milliseconds, and the ratios."""
    shown = Table(
        title="frame to POST, ms (p50 / p90 / p99 / max); setup: followers x trades,"
        " other messages, venue gateway's time to answer"
    )
    for heading in ("setup", "rounds", "floor first", "floor last", "system first", "system last",
                    "ratio p50", "ratio p99", "hops p50"):  # fmt: skip
        shown.add_column(heading, justify="left" if heading == "setup" else "right")
    for each in lines:
        shown.add_row(
            _name(each.setup), str(each.rounds), _text(each.floor_first), _text(each.floor_last),
            _text(each.system_first), _text(each.system_last),
            f"{each.ratio_p50:.2f}", f"{each.ratio_p99:.2f}",
            ", ".join(f"{hop.name} {_number(hop.p50_ms)}" for hop in each.hops),
        )  # fmt: skip
    return shown


def said(line: Line) -> str:
    """One measured setup in a line."""
    reported = (
        f"{_name(line.setup)}: last POST p50 {_number(line.system_last.p50)} ms beside the floor's"
        f" {_number(line.floor_last.p50)} ({line.ratio_p50:.2f} times, p99 {line.ratio_p99:.2f})"
    )
    if line.skeleton_last is not None:
        reported += f" and the skeleton's {_number(line.skeleton_last.p50)}"
    return reported


def beside_skeleton(lines: Sequence[Line]) -> list[Table]:
    """Return what of a ratio is the architecture's and what the features', if the skeleton took
    part."""
    shown = Table(
        title="the skeleton, ms (p50 / p90 / p99 / max), and ratios of last POSTs, medians"
    )
    for heading in ("setup", "first", "last", "skeleton to floor", "system to skeleton"):
        shown.add_column(heading, justify="left" if heading == "setup" else "right")
    for each in lines:
        if each.skeleton_first is not None and each.skeleton_last is not None:
            shown.add_row(
                _name(each.setup), _text(each.skeleton_first), _text(each.skeleton_last),
                f"{each.architecture_p50:.2f}", f"{each.features_p50:.2f}",
            )  # fmt: skip
    return [shown] if shown.row_count else []


def beside_reads(lines: Sequence[Line]) -> list[str]:
    """Return what the reads did to the copies of the same setup without them, in words."""
    quiet = {each.setup: each for each in lines if not each.setup.reads}
    reported = []
    for each in lines:
        before, reads = quiet.get(replace(each.setup, reads=0)), each.reads
        if reads is None or before is None:
            continue
        ratio = each.system_last.p50 / before.system_last.p50
        reported.append(
            f"{_name(each.setup)}: {reads.answered:.0f} reads a second were answered; the"
            f" copies' p50 went from {_number(before.system_last.p50)} to"
            f" {_number(each.system_last.p50)} ms ({ratio:.2f} times)"
        )
        reported.append(
            f"of {reads.requested} reads {reads.right} were answered, {reads.late} of them late,"
            f" {reads.limited} refused as too many (429), {reads.unavailable} unavailable (503);"
            " ms of a core for each: "
            + ", ".join(f"{who} {reads.cpu_ms(who):.2f}" for who in reads.cpu_seconds)
        )
    return reported


def sheet(name: str, figures: Sequence[Figure]) -> Table:
    """The figures of one part, with their goals."""
    shown = Table(title=name)
    for heading in ("what", "under", "value", "", "goal", "met"):
        shown.add_column(heading, justify="right" if heading in ("value", "goal") else "left")
    for each in figures:
        goal = ""
        if each.goal is not None:
            goal = f"{'at least' if each.at_least else 'at most'} {_number(each.goal)}"
        met = {True: "yes", False: "no", None: ""}[each.met]
        shown.add_row(each.what, each.under, _number(each.value), each.unit, goal, met)
    return shown


def changes(found: Sequence[Change]) -> Table:
    """Return what has changed since another run."""
    shown = Table(title="ratio of medians to the floor")
    for heading in ("setup", "before", "after", ""):
        shown.add_column(heading, justify="left" if heading in ("setup", "") else "right")
    for each in found:
        shown.add_row(
            _name(each.setup), f"{each.before:.2f}", f"{each.after:.2f}",
            "slower" if each.slower else "",
        )  # fmt: skip
    return shown


def _name(setup: Setup) -> str:
    reads = f", {setup.reads} reads/s" if setup.reads else ""
    return f"N={setup.followers} x{setup.trades}, {setup.noise}/s, {setup.answer_ms} ms{reads}"


def _text(spread: Spread) -> str:
    return " / ".join(_number(v) for v in (spread.p50, spread.p90, spread.p99, spread.max))


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}"
