"""Command line: ``python -m services.guard``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.guard.app import run
        from services.guard.settings import Settings
        from tradingtools.runtime import process

    process.main("guard", Settings, run)
