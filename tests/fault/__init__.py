"""Faults on real processes: what the money path promises, judged by the far side's journal."""

from __future__ import annotations

import os

# initdb is started with a fork (it runs as another user); gRPC's own handling of forks stops, or
# aborts, the servers that this process has. Read when gRPC starts, which is after this import.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
