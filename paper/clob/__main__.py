"""`python -m paper.clob`: be Polymarket's order API on loopback."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from paper.clob.app import run
        from paper.clob.settings import Settings
        from tradingtools.runtime import process

    process.main("paper_clob", Settings, run)
