"""`python -m paper.okx`: play OKX on loopback."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from paper.okx.app import run
        from paper.okx.settings import Settings
        from tradingtools.runtime import process

    process.main("paper_okx", Settings, run)
