"""`python -m services.ingest`."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.ingest.app import run
        from services.ingest.settings import Settings
        from tradingtools.runtime import process

    process.main("ingest", Settings, run)
