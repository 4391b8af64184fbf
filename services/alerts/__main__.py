"""Command line: ``python -m services.alerts``."""

from __future__ import annotations

from tradingtools.runtime.loading import lean

if __name__ == "__main__":
    with lean():
        from services.alerts.app import run
        from services.alerts.settings import Settings
        from tradingtools.runtime import process

    process.main("alerts", Settings, run)
