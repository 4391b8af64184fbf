"""A collector of traces and metrics (OTLP over gRPC) that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc


@contextmanager
def running_collector() -> Iterator[tuple[int, list[bytes]]]:
    """A collector of traces and metrics; its port, and what it was sent."""
    received: list[bytes] = []

    class Anything(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> Any:
            def take(request: bytes, _context: Any) -> bytes:
                received.append(request)
                return b""

            return grpc.unary_unary_rpc_method_handler(take)

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Anything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, received
    finally:
        server.stop(None).wait()
