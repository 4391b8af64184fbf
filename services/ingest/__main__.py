"""`python -m services.ingest`."""

from __future__ import annotations

from services.ingest.app import run
from services.ingest.settings import Settings
from tradingtools.runtime import process

if __name__ == "__main__":
    process.main("ingest", Settings, run)
