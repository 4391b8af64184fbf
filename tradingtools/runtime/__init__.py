"""The scaffolding of a process: settings, start and stop, gRPC server, errors, telemetry."""

import os

# Read by gRPC when it is imported, which comes after this. Its event engine hands each message from
# thread to thread once more than its own poller does, which costs more than what a reader does with
# it. What an operator has set counts instead.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
