"""Command line: ``python -m services.signer``."""

from __future__ import annotations

from tradingtools.runtime.loading import lean

if __name__ == "__main__":
    with lean():
        from services.signer.app import run
        from services.signer.settings import Settings
        from tradingtools.runtime import process

    process.main("signer", Settings, run)
