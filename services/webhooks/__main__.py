"""Command line: ``python -m services.webhooks``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.webhooks.app import run
        from services.webhooks.settings import Settings
        from tradingtools.runtime import process

    process.main("webhooks", Settings, run)
