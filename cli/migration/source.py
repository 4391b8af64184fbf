"""Old subscriptions from a file or a database, as plain values; numbers stay as written."""

from __future__ import annotations

import csv
import getpass
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import Failure, Status

if TYPE_CHECKING:
    import psycopg

Json = dict[str, Any]


def read(where: str, query: str) -> list[Json]:
    """Return all old subscriptions.

    Args:
        where: a file that ends in .json or .csv, or ``postgresql://...``.
        query: what a database is asked; a row is a subscription.

    Raises:
        Failure: it cannot be read.
    """
    if where.startswith(("postgresql://", "postgres://")):
        return _rows(where, query)
    try:
        text = Path(where).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"--from {where}: {error}", Status.USAGE) from None
    found = _csv(text) if where.endswith(".csv") else _json(where, text)
    if not all(isinstance(row, dict) for row in found):
        raise Failure(f"--from {where}: expected a list of objects", Status.USAGE)
    return found


def _json(where: str, text: str) -> list[Any]:
    try:
        # As a float 0.1 would be another number.
        value = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise Failure(f"--from {where}: {error}", Status.USAGE) from None
    if isinstance(value, dict):
        value = value.get("subscriptions")
    if not isinstance(value, list):
        raise Failure(f"--from {where}: expected a list of subscriptions", Status.USAGE)
    return value


def _csv(text: str) -> list[Any]:
    """Rows with dotted titles; a cell that is JSON is taken for it, an empty one is absent."""
    found = []
    for row in csv.DictReader(io.StringIO(text)):
        made: Json = {}
        for title, cell in row.items():
            if title is None or not cell:
                continue
            *parents, last = title.split(".")
            at = made
            for parent in parents:
                at = at.setdefault(parent, {})
            at[last] = json.loads(cell, parse_float=Decimal) if cell[:1] in "[{" else cell
        found.append(made)
    return found


def _rows(url: str, query: str) -> list[Json]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.rows import dict_row

    if not query:
        raise Failure("the mapping has no `query` for a database", Status.USAGE)
    try:
        if conninfo_to_dict(url).get("password"):
            raise Failure(
                "--from: a password on the command line is seen by every user of this machine",
                Status.USAGE, "leave it out: PGPASSWORD or ~/.pgpass has it, or you are asked",
            )  # fmt: skip
        with _connected(url) as connection:
            connection.read_only = True
            cursor = connection.cursor(row_factory=dict_row)
            return list(cursor.execute(query.encode()))
    except psycopg.Error as error:
        # Without the URL: it may hold a password.
        raise Failure(f"--from postgresql: {error}", Status.USAGE) from None


def _connected(url: str) -> psycopg.Connection:
    """Return a connection; who is at the terminal is asked for the password that it needs."""
    import psycopg

    try:
        return psycopg.connect(url)
    except psycopg.OperationalError as error:
        if error.pgconn is None or not error.pgconn.needs_password or not sys.stdin.isatty():
            raise
    return psycopg.connect(url, password=getpass.getpass(f"Password for {url}: "))
