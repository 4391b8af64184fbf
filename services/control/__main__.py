"""Start the process: ``python -m services.control``."""

from __future__ import annotations

from tradingtools.runtime.loading import lean

if __name__ == "__main__":
    with lean():
        from services.control.app import run
        from services.control.settings import Settings
        from tradingtools.runtime import process

    process.main("control", Settings, run)
