"""Command line: ``python -m services.signer``."""

from __future__ import annotations

import os

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    # A check of credentials is a child; gRPC's handling of forks would stop its server for it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    with without_gc():
        from services.signer.app import run
        from services.signer.settings import Settings
        from tradingtools.runtime import process

    process.main("signer", Settings, run)
