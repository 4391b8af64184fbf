"""`python -m paper.insiders`: the paper insiders-api as a process."""

from __future__ import annotations

from paper.insiders.app import run
from paper.insiders.settings import Settings
from tradingtools.runtime.process import main

if __name__ == "__main__":
    main("insiders", Settings, run)
