"""Serve over streamable HTTP. TLS and other machines are the work of a proxy before it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cli.errors import Failure, Status
from cli.mcp import callers
from cli.mcp.serving import Serving
from tradingtools_client import ApiError, Unreachable

PATH = "/mcp"
_BODY_BYTES = 65_536
_SESSIONS = 64
_IDLE_SECONDS = 600.0
_AT_ONCE = 64
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class _Around:
    """Tells where a request comes from, and answers 503 while the engine cannot say whose token it
    shows: at 401 a client would throw it away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        callers.address.set((scope.get("client") or ("",))[0])
        try:
            await self._app(scope, receive, send)
        except (ApiError, Unreachable):
            reported = {"error": "temporarily_unavailable", "error_description": "no answer"}
            await JSONResponse(reported, 503, {"retry-after": "1"})(scope, receive, send)


def serve(
    server: MCPServer[Serving], listen: str, *, hosts: Sequence[str], origins: Sequence[str]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        server: what is served.
        listen: ``host:port``.
        hosts: further names under which it is asked for; others are refused (DNS rebinding).
        origins: of pages that may call it from a browser; without one none may.

    Raises:
        Failure: it cannot listen there.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise Failure(f"--http {listen}: expected host:port", Status.USAGE)
    names = [*_LOCAL, host, *hosts]
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=_BODY_BYTES,
        session_idle_timeout=_IDLE_SECONDS,
        max_sessions=_SESSIONS,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[*names, *(f"{name}:*" for name in names)], allowed_origins=list(origins)
        ),
    )
    app.add_middleware(_Around)
    config = uvicorn.Config(
        app, host=host.strip("[]"), port=int(port), log_level="warning", access_log=False,
        limit_concurrency=_AT_ONCE, server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise Failure(f"--http {listen}: it cannot listen there", Status.USAGE) from None
    where = f"{socket.getsockname()[0]}:{socket.getsockname()[1]}"
    sys.stderr.write(f"MCP at http://{where}{PATH}\n")
    uvicorn.Server(config).run(sockets=[socket])
