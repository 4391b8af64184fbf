"""Command line: ``python -m tradingtools.runtime.migrate`` migrates ``TT_DATABASE_URL``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from tradingtools.settings import SettingError, SharedSettings, load
from tradingtools.storage.postgres.migrate import TooOldError, migrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Only the shared settings: where the database is."""

    shared: SharedSettings = field(default_factory=SharedSettings)


def main() -> None:
    """Apply what is missing and say what it was."""
    try:
        url = load(Settings, "migrate").shared.database_url
    except SettingError as error:
        sys.stderr.write(f"migrate: {error}\n")
        raise SystemExit(2) from None
    if not url:
        sys.stderr.write("migrate: TT_DATABASE_URL: required and not set\n")
        raise SystemExit(2)
    try:
        applied = migrate(url)
    except TooOldError as error:
        sys.stderr.write(f"migrate: TT_DATABASE_URL: {error}\n")
        raise SystemExit(2) from None
    for name in applied:
        sys.stdout.write(f"applied {name}\n")


if __name__ == "__main__":
    main()
