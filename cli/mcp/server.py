"""Put the server together, and serve it over stdio or streamable HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp_types import Tool, ToolAnnotations
from pydantic import AnyHttpUrl

from cli.core.answers import UNTRUSTED
from cli.engine import Engine
from cli.mcp import acting, following, reading, resources
from cli.mcp.callers import Callers
from cli.mcp.serving import Changes, Serving
from cli.places import Place

_SAYS = f"""\
A copy-trading engine: followers' wallets copy leaders on Polymarket. A strategy is a subscription:
one follower, one leader, its settings. Begin with engine_health, list_strategies or list_leaders;
ask why_not_copied about a trade. tt://reasons has what reason codes mean, tt://docs the documents.
{UNTRUSTED}"""
VIEWER = "viewer"
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_STOPS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_LETS_GO = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)


class _Server(MCPServer[Serving]):
    """Offer a viewer no tool that changes something; the engine would refuse him.

    Over stdio he is who has logged in with `tt login`.
    """

    place: Place
    over_http: bool

    async def list_tools(self) -> list[Tool]:
        tools = await super().list_tools()
        if not await self._is_viewer():
            return tools
        return [one for one in tools if one.annotations and one.annotations.read_only_hint]

    async def _is_viewer(self) -> bool:
        if self.over_http:
            token = get_access_token()
            return token is not None and VIEWER in token.scopes
        return await anyio.to_thread.run_sync(_logged_in_as_viewer, self.place)


def _logged_in_as_viewer(place: Place) -> bool:
    if place.login is None or place.login.kept() is None:
        return False
    engine = Engine(place)
    try:
        return engine.rest.get_caller()["role"] == VIEWER
    finally:
        engine.close()


def build(place: Place, *, over_http: bool, changes: Changes | None) -> MCPServer[Serving]:
    """Return a server.

    Args:
        place: the engine that it is about.
        over_http: callers show tokens of their own.
        changes: how tools may change something; None: there is no such tool.
    """

    @asynccontextmanager
    async def serving(_server: MCPServer[Serving]) -> AsyncIterator[Serving]:
        shared = Serving(place, over_http=over_http, changes=changes)
        try:
            yield shared
        finally:
            shared.close()

    auth: dict[str, Any] = {}
    if over_http:
        # No authorization server: a token is an engine's own, given by its operator.
        settings = AuthSettings(issuer_url=AnyHttpUrl(place.url), resource_server_url=None)
        auth = {"auth": settings, "token_verifier": Callers(place.url)}
    server = _Server(
        name="trading-tools", title="Trading Tools", instructions=_SAYS, lifespan=serving,
        log_level="WARNING", **auth,
    )  # fmt: skip
    server.place, server.over_http = place, over_http
    _add(server, (*reading.TOOLS, *following.TOOLS), _READS)
    if changes is not None:
        _add(server, acting.STOPPING, _STOPS)
        _add(server, acting.LETTING_GO, _LETS_GO)
    resources.add(server)
    return server


def _add(server: MCPServer[Serving], tools: Sequence[Any], annotations: ToolAnnotations) -> None:
    for tool in tools:
        says = " ".join((tool.__doc__ or "").split())
        server.add_tool(tool, description=says, annotations=annotations)
