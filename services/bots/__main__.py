"""Command line: ``python -m services.bots``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.bots.app import run
        from services.bots.settings import Settings
        from tradingtools.runtime import process

    process.main("bots", Settings, run)
