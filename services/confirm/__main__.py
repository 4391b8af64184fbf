"""Command line: ``python -m services.confirm``."""

from __future__ import annotations

from services.confirm.app import run
from services.confirm.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("confirm", Settings, run)
