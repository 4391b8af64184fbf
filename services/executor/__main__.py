"""Command line: ``python -m services.executor``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.executor.app import run
        from services.executor.settings import Settings
        from tradingtools.runtime import process

    process.main("executor", Settings, run)
