"""Command line: ``python -m services.perfmon``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.perfmon.app import run
        from services.perfmon.settings import Settings
        from tradingtools.runtime import process

    process.main("perfmon", Settings, run)
