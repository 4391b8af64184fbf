"""`python -m paper.venue`: play Polymarket on loopback."""

from __future__ import annotations

from paper.venue.app import run
from paper.venue.settings import Settings
from tradingtools.runtime.process import main

if __name__ == "__main__":
    main("venue", Settings, run)
