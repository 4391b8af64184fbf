"""Command line: ``python -m services.alerts``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.alerts.app import run
        from services.alerts.settings import Settings
        from tradingtools.runtime import process

    process.main("alerts", Settings, run)
