"""Put a backup back in the place of a run's database, halted until a person has looked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg

from backup.errors import Refused
from backup.taking import verify_files
from backup.trying import copy, started
from launcher import embedded
from launcher.state import StateError, open_state

_ACTOR = "tt backup restore"


def restore(backup: Path, state: Path) -> dict[str, Any]:
    """Make a backup the database of a run that does not go on.

    Nothing is sent when the run starts again: orders that left after the backup was taken are at
    the exchange and not in it, so everything is halted until an operator clears the halt. What was
    in the database's place is moved aside and not deleted.

    Args:
        backup: the directory of the backup.
        state: the run's, ``STATE`` of ``make run``; a new one is made.

    Raises:
        Refused: the run goes on, or the backup is not whole; then nothing has changed.
    """
    verify_files(backup)
    try:
        held = open_state(str(state))
    except StateError as error:
        raise Refused(str(error)) from None
    try:
        data = embedded.postgres_data(held.directory)
        fresh = data.with_name(f"{data.name}.restored")
        if fresh.exists():
            raise Refused(f"{fresh}: left by a restore that was broken off; remove it first")
        copy(backup, fresh)
        with started(fresh, held.logs / "restore.log") as url:
            _halt(url, backup)
        aside = data.with_name(f"{data.name}.replaced-{time.strftime('%Y%m%d-%H%M%S')}")
        replaced = data.exists()
        if replaced:
            data.rename(aside)
        fresh.rename(data)
    finally:
        held.close()
    return {
        "state": str(state),
        "data": str(data),
        "replaced": str(aside) if replaced else "",
        "halted": True,
    }


def _halt(url: str, backup: Path) -> None:
    reason = f"restored from {backup.name}: orders since then are not in it"
    with psycopg.connect(url) as connection:
        connection.execute(
            "select halt_by_engine('GLOBAL', '', 'HALTED', %s, %s)", (_ACTOR, reason)
        )
