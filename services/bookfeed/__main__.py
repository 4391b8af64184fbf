"""`python -m services.bookfeed`."""

from __future__ import annotations

from services.bookfeed.app import run
from services.bookfeed.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("bookfeed", Settings, run)
