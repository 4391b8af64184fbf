"""Command line: ``python -m replay day``, as `tt` and control run it.

Standard output is lines of JSON: ``progress`` as often as there is some, at last ``answer`` or
``error``. The exit status is 0 for an answer, 2 for a request that is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from replay.errors import Refused
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.analytics.port import WrongTypes

_STANDS_BACK = 5
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
        from replay import day_command

        return day_command.day(given.recording, given.day, _say, database=given.database)
    from replay import tasks

    # Nobody's order waits for it.
    os.nice(max(0, _STANDS_BACK - os.nice(0)))
    body = sys.stdin.buffer.read()
    try:
        if given.command == "simulate":
            return tasks.simulate(msgspec.json.decode(body, type=tasks.Simulation), os.environ)
        return tasks.compare(msgspec.json.decode(body, type=tasks.Comparison), given.recording)
    except msgspec.MsgspecError as error:
        raise Refused(f"request: {error}") from None


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
