"""A recorded day as a command judges it: with the stores that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from replay import analytics
from replay import journal as journals
from replay.core.report import Report
from replay.day import replay
from replay.errors import Refused
from replay.statistics import Versions
from tradingtools.storage import recordings


def day(
    directory: Path, text: str, say: Callable[[dict[str, Any]], None], *, database: bool
) -> dict[str, Any]:
    """Return the report of a day.

    Args:
        directory: of the recordings.
        text: YYYY-MM-DD, UTC; empty: the newest day.
        say: called with how far it is.
        database: compare with the journal of ``TT_DATABASE_URL``, too.

    Raises:
        Refused: the day is not recorded, or the database does not answer.
        Unavailable, WrongTypes: of the analytical store.
    """
    desired = _desired(directory, text)

    def progress(report: Report) -> None:
        say({"progress": {"judgements": report.judgements, "different": report.different}})

    with ExitStack() as stack:
        journal = None
        own = stack.enter_context(analytics.opened(os.environ, own=True))
        read_back = None if own is None else Versions(own).facts
        try:
            if database:
                journal = stack.enter_context(journals.opened(os.environ["TT_DATABASE_URL"]))
            report, took = replay(
                directory, desired, journal=journal, read_back=read_back, progress=progress
            )
        except psycopg.Error as error:
            raise Refused(f"database: {' '.join(str(error).split())}") from None
    return report.fields(took, database=database)


def _desired(directory: Path, text: str) -> date:
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
