"""Command line: ``python -m services.router``."""

from __future__ import annotations

from services.router.app import run
from services.router.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("router", Settings, run)
