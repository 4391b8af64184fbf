"""Command line: ``python -m tools.verify_audit`` verifies the audit in ``TT_DATABASE_URL``.

Control's changes, the history of every order, and the seals over them. Exit status 0: whole; 1:
broken, with a line for the first break of each part; 2: it could not be verified.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field

import psycopg

from services.control.operators.verification import Part, verified
from tradingtools.settings import SettingError, SharedSettings, load

_NAMES = {Part.CHANGES: "control changes", Part.ORDERS: "orders", Part.SEALS: "seals"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Only the shared settings: where the database is."""

    shared: SharedSettings = field(default_factory=SharedSettings)


def main() -> int:
    """Verify, and say what was found."""
    try:
        url = load(Settings, "verify_audit").shared.database_url
        if not url:
            raise SettingError("TT_DATABASE_URL: required and not set")
        ends = asyncio.run(verified(url))
    except (SettingError, psycopg.Error) as error:
        sys.stderr.write(f"verify_audit: {error}\n")
        return 2
    for end in ends:
        if end.broken is not None:
            sys.stdout.write(f"the audit is broken at {end.broken}\n")
    if any(end.broken is not None for end in ends):
        return 1
    counts = ", ".join(f"{end.checked} {_NAMES[end.part]}" for end in ends)
    sys.stdout.write(f"the audit is whole: {counts} up to event {ends[-1].sealed_to}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
