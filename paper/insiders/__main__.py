"""`python -m paper.insiders`: the paper insiders-api as a process."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from paper.insiders.app import run
        from paper.insiders.settings import Settings
        from tradingtools.runtime import process

    process.main("insiders", Settings, run)
