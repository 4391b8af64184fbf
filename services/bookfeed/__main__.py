"""`python -m services.bookfeed`."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.bookfeed.app import run
        from services.bookfeed.settings import Settings
        from tradingtools.runtime import process

    process.main("bookfeed", Settings, run)
