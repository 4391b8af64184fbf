"""The journal of changes that assistants asked for: who, what, what it may cost, and how it ended.

A row is committed before the engine is asked. So a limit of a day survives a kill -9, a call that
got no answer stays counted, and the same key asks for the same change, never for a second one.
SQLite: several servers of one person share the file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.core.allowance import Allowance

Json = dict[str, Any]
_WAIT_SECONDS = 5.0
_SCHEMA = """
create table if not exists call (
    place text not null,
    caller text not null,
    key text not null,
    client text not null,
    tool text not null,
    arguments text not null,
    cost_micros integer not null,
    day text not null,
    asked_at text not null,
    state text not null check (state in ('BEGUN', 'DONE', 'REFUSED', 'DECLINED')),
    unanswered integer not null default 0,
    answer text not null default '',
    primary key (place, caller, key)
) strict;
create index if not exists call_by_day on call (place, day);
"""


class Refused(Exception):
    """The change may not be made; the message says why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that an assistant asks for.

    Attributes:
        place: URL of the engine.
        caller: a digest of the token: nobody reads another's answers by his keys.
        key: the same change has the same one.
        client: the program, as it calls itself.
        tool: its name.
        arguments: of the tool.
        cost_micros: USDC that it may cost at most.
    """

    place: str
    caller: str
    key: str
    client: str
    tool: str
    arguments: Mapping[str, Any]
    cost_micros: int = 0

    @property
    def text(self) -> str:
        """Return its arguments as they are compared and kept."""
        return json.dumps(self.arguments, sort_keys=True)


class Journal:
    """The file.

    Args:
        path: made with its folder when it is not there.
        allowance: what calls may cost.
    """

    def __init__(self, path: Path, allowance: Allowance) -> None:
        self._path = path
        self._allowance = allowance
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with closing(self._open()) as connection:
            connection.executescript(_SCHEMA)

    def judge(self, change: Change, now: datetime) -> Json | None:
        """Say whether a change may be made, and count nothing; as ``begin``."""
        with self._transaction() as connection:
            return self._judged(connection, change, _day(now))

    def begin(self, change: Change, now: datetime) -> Json | None:
        """Write down that a change is asked for, and count what it may cost.

        Args:
            change: what is asked for.
            now: in UTC.

        Returns:
            The answer that the same change had before; None: ask the engine.

        Raises:
            Refused: the key was used for another change, or it may cost too much.
        """
        with self._transaction() as connection:
            known = self._judged(connection, change, _day(now))
            if known is None:
                _write(connection, change, now, "BEGUN")
            return known

    def end(self, change: Change, answer: Json) -> None:
        """Keep the answer of a change that was made."""
        with self._transaction() as connection:
            connection.execute(
                "update call set state = 'DONE', answer = ?"
                " where place = ? and caller = ? and key = ?",
                (json.dumps(answer), change.place, change.caller, change.key),
            )

    def refuse(self, change: Change, why: str) -> None:
        """Note that the engine refused a change: it costs nothing.

        One that was asked for before, and got no answer, may have happened then: it stays counted.
        """
        with self._transaction() as connection:
            connection.execute(
                "update call set state = 'REFUSED', answer = ?"
                " where place = ? and caller = ? and key = ? and unanswered = 0",
                (why, change.place, change.caller, change.key),
            )

    def decline(self, change: Change, now: datetime) -> None:
        """Note that the person who was asked said no."""
        with self._transaction() as connection:
            if _known(connection, change) is None:
                _write(connection, change, now, "DECLINED")

    def calls(self) -> list[Json]:
        """Return all rows, the oldest first."""
        with closing(self._open()) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("select * from call order by asked_at, rowid")
            return [dict(row) for row in rows]

    def _judged(self, connection: sqlite3.Connection, change: Change, day: str) -> Json | None:
        known = _known(connection, change)
        if known is not None or not change.cost_micros:
            return known
        (spent,) = connection.execute(
            "select coalesce(sum(cost_micros), 0) from call where place = ? and day = ?"
            " and state in ('BEGUN', 'DONE') and not (caller = ? and key = ?)",
            (change.place, day, change.caller, change.key),
        ).fetchone()
        if why := self._allowance.refusal(change.cost_micros, int(spent)):
            raise Refused(why)
        return None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.execute("pragma synchronous = full")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(self._open()) as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")


def path_of(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the journal of this person is."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "tt" / "mcp.sqlite3"


def _known(connection: sqlite3.Connection, change: Change) -> Json | None:
    row = connection.execute(
        "select tool, arguments, state, answer from call"
        " where place = ? and caller = ? and key = ?",
        (change.place, change.caller, change.key),
    ).fetchone()
    if row is None:
        return None
    tool, arguments, state, answer = row
    if (tool, arguments) != (change.tool, change.text):
        raise Refused(f"key {change.key!r} was used for another change")
    return json.loads(answer) if state == "DONE" else None


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def _write(connection: sqlite3.Connection, change: Change, now: datetime, state: str) -> None:
    connection.execute(
        "insert into call (place, caller, key, client, tool, arguments, cost_micros, day,"
        " asked_at, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (place, caller, key) do update set client = excluded.client,"
        " cost_micros = excluded.cost_micros, day = excluded.day, asked_at = excluded.asked_at,"
        " unanswered = max(call.unanswered, call.state = 'BEGUN'), state = excluded.state"
        " where call.state <> 'BEGUN' or excluded.state = 'BEGUN'",
        (
            change.place, change.caller, change.key, change.client, change.tool, change.text,
            change.cost_micros, _day(now), now.isoformat(), state,
        ),
    )  # fmt: skip
