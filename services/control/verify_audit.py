"""Command line: ``python -m services.control.verify_audit`` checks the audit of control changes.

Exit status 0: whole; 1: broken, with the number of the first entry that does not fit; 2: it could
not be checked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg.rows import dict_row

from services.control.core.audit import Entry, first_break
from services.control.store import queries
from tradingtools.runtime.settings import SettingError, SharedSettings, load

_PAGE = 1000
_CHAIN = queries("changes")["chain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Only the shared settings: where the database is."""

    shared: SharedSettings = field(default_factory=SharedSettings)


def entries(url: str) -> Iterator[Entry]:
    """The whole audit in order, read page by page; raises psycopg.Error."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        after = 0
        while page := connection.execute(_CHAIN, {"after": after, "limit": _PAGE}).fetchall():
            yield from (
                Entry(
                    seq=row["seq"],
                    text=row["text"],
                    previous_hash=row["previous_hash"],
                    hash=row["hash"],
                )
                for row in page
            )
            after = page[-1]["seq"]


def main() -> int:
    """Check and say what was found."""
    try:
        url = load(Settings, "verify_audit").shared.database_url
        if not url:
            raise SettingError("TT_DATABASE_URL: required and not set")
        broken = first_break(entries(url))
    except (SettingError, psycopg.Error) as error:
        sys.stderr.write(f"verify_audit: {error}\n")
        return 2
    if broken is not None:
        sys.stdout.write(f"the audit is broken at change {broken}\n")
        return 1
    sys.stdout.write("the audit is whole\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
