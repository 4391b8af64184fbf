"""Command line: ``python -m services.guard``."""

from __future__ import annotations

from services.guard.app import run
from services.guard.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("guard", Settings, run)
