"""A Polygon node as far as the engine asks one: `eth_call` of a token's `balanceOf`, by JSON-RPC.

The answers are those of a node: a call of an address without a contract returns "0x", errors come
with status 200. Before: `core.positions`, which knows a leader's cash. After: ingest.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from paper.venue.core.positions import cash
from paper.venue.replies import reply

PUSD = "0xc011a7e12a19f7b1f670d46f03b03f3342e82dfb"
_EMPTY_TOKENS = (
    "0x2791bca1f2de4661ed88a30c99a7a9449aa84174",  # USDC.e
    "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",  # USDC
)
_BALANCE_OF = re.compile(r"0x70a08231(0{24}[0-9a-f]{40})")


class _Request(msgspec.Struct, frozen=True):
    jsonrpc: str
    method: str
    id: int | str | None = None
    params: list[Any] = []


class Rpc:
    """The route `/rpc`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [web.post("/rpc", self._requested)]

    async def _requested(self, request: web.Request) -> web.Response:
        try:
            requested = msgspec.json.decode(await request.read(), type=_Request)
        except msgspec.DecodeError:
            return _refused(None, -32600, "invalid request")
        if requested.method != "eth_call":
            return _refused(
                requested.id, -32601, f"the method {requested.method[:40]} does not exist"
            )
        match requested.params:
            case [{"to": str(to), "data": str(data)}, "latest"]:
                result = self._called(to.lower(), data.lower())
            case _:
                return _refused(requested.id, -32602, "invalid params")
        if result is None:
            return _refused(requested.id, 3, "execution reverted")
        return reply({"jsonrpc": "2.0", "id": requested.id, "result": result})

    def _called(self, to: str, data: str) -> str | None:
        """Return what a call returns; None when it reverts."""
        if to != PUSD and to not in _EMPTY_TOKENS:
            return "0x"
        found = _BALANCE_OF.fullmatch(data)
        if found is None:
            return None
        balance = cash("0x" + found[1][24:], self._seed) if to == PUSD else 0
        return f"0x{balance:064x}"


def _refused(number: int | str | None, code: int, message: str) -> web.Response:
    return reply({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}})
