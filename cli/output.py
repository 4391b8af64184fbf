"""Print the answer of a command as a table for people or as JSON, NDJSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cli.errors import Status

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![0-9.]+$)")

Json = dict[str, Any]


class Format(StrEnum):
    """The format of an answer."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    value: Callable[[Json], object]
    right: bool = False
    """Numbers stand on the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer: what programs get, and how people see it."""

    data: Any
    """JSON: an object, or a list of objects."""
    columns: Sequence[Column] = ()
    lines: Sequence[str] = ()
    """In place of a table, or above it."""
    empty: str = ""
    """Words for people where a table would have no row."""
    status: Status = Status.OK


def write(shown: Shown, desired: Format) -> None:
    """Write an answer to standard output."""
    rows = shown.data if isinstance(shown.data, list) else [shown.data]
    match desired:
        case Format.JSON:
            say(json.dumps(shown.data, indent=2, ensure_ascii=False))
        case Format.NDJSON:
            for row in rows:
                say(ndjson(row))
        case Format.CSV:
            sys.stdout.write(_csv(rows, shown.columns))
        case Format.TABLE:
            for line in shown.lines:
                say(plain(line))
            if shown.columns and rows:
                sys.stdout.write(table(rows, shown.columns))
            elif shown.columns and shown.empty:
                say(shown.empty)


def say(line: str) -> None:
    """Write a line to standard output, at once: a reader of what is followed waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ndjson(row: Any) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def table(rows: Iterable[Json], columns: Sequence[Column]) -> str:
    """Return rows as columns that are as wide as what they hold, numbers on the right."""
    titles = [column.title for column in columns]
    cells = [[plain(column.value(row)) for column in columns] for row in rows]
    widths = [max(map(len, found)) for found in zip(titles, *cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(texts, widths, columns, strict=True)
        ]
        return "  ".join(padded).rstrip() + "\n"

    return "".join(line(texts) for texts in (titles, *cells))


def _csv(rows: Iterable[Json], columns: Sequence[Column]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if columns:
        writer.writerow([column.title.lower() for column in columns])
        writer.writerows([_cell(plain(column.value(row))) for column in columns] for row in rows)
        return out.getvalue()
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer.writerow(names)
    writer.writerows([_cell(row.get(name, "")) for name in names] for row in flat)
    return out.getvalue()


def _cell(text: str) -> str:
    # A spreadsheet would take it for a formula; names of markets come from strangers.
    return f"'{text}" if _FORMULA.match(text) else text


def _flat(row: Any, before: str = "") -> dict[str, str]:
    if not isinstance(row, dict):
        return {before or "value": plain(row)}
    found: dict[str, str] = {}
    for name, value in row.items():
        path = f"{before}.{name}" if before else name
        found |= _flat(value, path) if isinstance(value, dict) else {path: plain(value)}
    return found


def plain(value: object) -> str:
    """Return a value for a cell or a line; what a stranger wrote moves no cursor."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else "?" for char in text)
