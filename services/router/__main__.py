"""Command line: ``python -m services.router``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.router.app import run
        from services.router.settings import Settings
        from tradingtools.runtime import process

    process.main("router", Settings, run)
