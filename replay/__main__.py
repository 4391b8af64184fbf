"""Command line: ``python -m replay day``, as `tt` and control run it.

Standard output is lines of JSON: ``progress`` as often as there is some, at last ``answer`` or
``error``. The exit status is 0 for an answer, 2 for a request that is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from replay import analytics, tasks
from replay import journal as journals
from replay.core.report import Report
from replay.day import replay
from replay.errors import Refused
from replay.statistics import Versions
from tradingtools.domain.errors import Unavailable
from tradingtools.storage import recordings
from tradingtools.storage.analytics.port import WrongTypes

_STANDS_BACK = 10
"""The least niceness of what is computed beside an engine."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m replay")
    commands = parser.add_subparsers(dest="command", required=True)
    day = commands.add_parser("day", help="judge a recorded day again")
    day.add_argument("day", nargs="?", default="", help="YYYY-MM-DD, UTC; none: the newest")
    day.add_argument("--recording", required=True, type=Path, help="directory of the recordings")
    day.add_argument(
        "--database",
        action="store_true",
        help="compare with the journal of TT_DATABASE_URL, too",
    )
    commands.add_parser("simulate", help="follow a leader on paper; the request is on stdin")
    against = commands.add_parser("compare", help="follow recorded leaders by several settings")
    against.add_argument("--recording", required=True, type=Path)
    given = parser.parse_args(arguments)
    try:
        _say({"answer": _answer(given)})
    except (Refused, Unavailable, WrongTypes) as error:
        _say({"error": str(error)})
        return 2
    return 0


def _answer(given: argparse.Namespace) -> dict[str, Any]:
    if given.command == "day":
        return _day(given)
    # Nobody's order waits for it.
    os.nice(max(0, _STANDS_BACK - os.nice(0)))
    asked = sys.stdin.buffer.read()
    try:
        if given.command == "simulate":
            return tasks.simulate(msgspec.json.decode(asked, type=tasks.Simulation), os.environ)
        return tasks.compare(msgspec.json.decode(asked, type=tasks.Comparison), given.recording)
    except msgspec.MsgspecError as error:
        raise Refused(f"request: {error}") from None


def _day(given: argparse.Namespace) -> dict[str, Any]:
    day = _wanted(given.recording, given.day)
    with ExitStack() as stack:
        journal = None
        own = stack.enter_context(analytics.opened(os.environ, own=True))
        read_back = None if own is None else Versions(own).facts
        try:
            if given.database:
                journal = stack.enter_context(journals.opened(os.environ["TT_DATABASE_URL"]))
            report, took = replay(
                given.recording, day, journal=journal, read_back=read_back, progress=_progress
            )
        except psycopg.Error as error:
            raise Refused(f"database: {' '.join(str(error).split())}") from None
    return report.fields(took, database=given.database)


def _wanted(directory: Path, text: str) -> date:
    """Return the day that is meant. Raises Refused."""
    days = recordings.days(directory)
    if not days:
        raise Refused(f"{directory}: no day is recorded there (TT_RECORDING_DIR)")
    if not text:
        return days[-1]
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refused(f"day: {text!r} is not YYYY-MM-DD") from None
    if day not in days:
        there = f"{days[0]} to {days[-1]}"
        raise Refused(f"day: {day} is not recorded in {directory}; there is {there}")
    return day


def _progress(report: Report) -> None:
    _say({"progress": {"judgements": report.judgements, "different": report.different}})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
