"""Start the process: ``python -m services.control``."""

from __future__ import annotations

from services.control.app import run
from services.control.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("control", Settings, run)
