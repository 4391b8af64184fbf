"""Command line: ``python -m services.confirm``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.confirm.app import run
        from services.confirm.settings import Settings
        from tradingtools.runtime import process

    process.main("confirm", Settings, run)
