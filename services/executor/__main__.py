"""Command line: ``python -m services.executor``."""

from __future__ import annotations

from services.executor.app import run
from services.executor.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("executor", Settings, run)
