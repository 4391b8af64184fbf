"""Command line: ``python -m services.events``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.events.app import run
        from services.events.settings import Settings
        from tradingtools.runtime import process

    process.main("events", Settings, run)
