"""Command line: ``python -m services.console``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.console.app import run
        from services.console.settings import Settings
        from tradingtools.runtime import process

    process.main("console", Settings, run)
