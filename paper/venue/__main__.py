"""`python -m paper.venue`: play Polymarket on loopback."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from paper.venue.app import run
        from paper.venue.settings import Settings
        from tradingtools.runtime import process

    process.main("venue", Settings, run)
