"""Command line: ``python -m backup take|check|restore``, as `tt backup` runs it.

Standard output is one line of JSON, ``answer`` or ``error``. The exit status is 0 for an answer, 2
for what is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import psycopg

from backup.errors import Refused
from backup.restoring import restore
from backup.taking import take
from backup.trying import examine


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m backup")
    commands = parser.add_subparsers(dest="command", required=True)
    taking = commands.add_parser("take", help="from the server of TT_DATABASE_URL")
    taking.add_argument("directory", type=Path)
    trying = commands.add_parser("check", help="on a server of its own")
    trying.add_argument("directory", type=Path)
    trying.add_argument("--database", default="postgres", help="its name; that of a run, if none")
    restoring = commands.add_parser("restore", help="as the database of a run")
    restoring.add_argument("directory", type=Path)
    restoring.add_argument("--state", required=True, type=Path)
    given = parser.parse_args(arguments)
    try:
        _say({"answer": _answer(given)})
    except (Refused, psycopg.Error) as error:
        _say({"error": str(error)})
        return 2
    return 0


def _answer(given: argparse.Namespace) -> dict[str, Any]:
    directory = given.directory.resolve()
    if given.command == "restore":
        return restore(directory, given.state)
    if given.command == "take":
        return examine(directory, take(os.environ["TT_DATABASE_URL"], directory))
    return examine(directory, given.database)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
