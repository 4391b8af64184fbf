"""Command line: ``python -m services.enrichment``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.enrichment.app import run
        from services.enrichment.settings import Settings
        from tradingtools.runtime import process

    process.main("enrichment", Settings, run)
