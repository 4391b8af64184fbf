"""Command line: ``python -m tradingtools.runtime.dead_letters list | replay ID``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from tradingtools.settings import SettingError, SharedSettings, load
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent.parent / "storage" / "postgres" / "dead_letters.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Only the shared settings: where the database is."""

    shared: SharedSettings = field(default_factory=SharedSettings)


def main() -> None:
    """List what lies in quarantine, or have one message handled again."""
    parser = argparse.ArgumentParser(prog="python -m tradingtools.runtime.dead_letters")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what could not be handled, newest first")
    replay = commands.add_parser("replay", help="have a message handled again by its reader")
    replay.add_argument("id", type=int)
    arguments = parser.parse_args()
    try:
        url = load(Settings, "dead_letters").shared.database_url
    except SettingError as error:
        sys.stderr.write(f"dead_letters: {error}\n")
        raise SystemExit(2) from None
    if not url:
        sys.stderr.write("dead_letters: TT_DATABASE_URL: required and not set\n")
        raise SystemExit(2)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        if arguments.command == "list":
            rows = connection.execute(_QUERIES["list"]).fetchall()
            if not rows:
                sys.stdout.write("nothing is set aside\n")
            for row in rows:
                done = "replayed" if row["replayed_at"] else "quarantined"
                sys.stdout.write(
                    f"{row['id']:>8}  {row['quarantined_at']:%Y-%m-%d %H:%M:%S}  {done:<11}"
                    f"  {row['consumer']} <- {row['stream']} {row['cursor']}  {row['reason']}\n"
                )
        elif not connection.execute(_QUERIES["request_replay"], {"id": arguments.id}).fetchall():
            sys.stderr.write(f"dead_letters: {arguments.id}: no such message\n")
            raise SystemExit(1)


if __name__ == "__main__":
    main()
