"""The operators' guide: every grpcurl line has its buf twin, and every twin works.

grpcurl is no Python package; that the two lines say the same is checked word by word.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from tests.control.edge import INTERNAL, OPERATE, ROOT, RunningEdge
from tests.control.requests import Database, create_subscription, put_order
from tradingtools.rpc.transport import serving
from tradingtools.v1 import router_service_pb2 as pb

GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
BUF = Path(sys.executable).with_name("buf")
ADDRESS = "127.0.0.1:PORT"
ROUTER = "tradingtools.v1.RouterService"


def _commands() -> list[list[str]]:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    text = "\n".join(block for block in blocks if "curl -" in block and "127.0.0.1:PORT" in block)
    words = shlex.split(text.replace("\\\n", " "), comments=True)
    starts = [n for n, word in enumerate(words) if word in ("grpcurl", "buf")]
    return [words[a:b] for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]


COMMANDS = _commands()
REFUSED = {
    "ResolveOrder": "failed_precondition", "ReplayDeadLetter": "not_found",
    "ResetBreaker": "not_found", "CorrectLot": "not_found", "AdoptLot": "not_found",
}  # fmt: skip
"""What is refused here for want of its object, and for nothing that the line says."""
TWINS = [command for command in COMMANDS if command[0] == "buf"]


Said = tuple[str, str, list[str]]
"""Address, what is asked, and the header and the data as they are given."""


def _said_by_grpcurl(words: list[str]) -> Said:
    assert words[:2] == ["grpcurl", "-plaintext"], words
    return words[-2], words[-1], words[2:-2]


def _said_by_buf(words: list[str]) -> Said:
    assert words[:4] == ["buf", "curl", "--protocol", "grpc"], words
    address, _, requested = words[-1].removeprefix("http://").partition("/")
    return (address, requested, words[4:-1]) if requested else (address, "list", [])


def test_every_line_has_its_twin() -> None:
    assert len(COMMANDS) >= 20
    for line, twin in zip(COMMANDS[::2], COMMANDS[1::2], strict=True):
        assert _said_by_grpcurl(line) == _said_by_buf(twin)
        assert _said_by_buf(twin)[0] == ADDRESS


def _router(server: grpc.aio.Server) -> None:
    """A router with one batch to tell; the real one tells for ever."""

    async def notify(_request: Message, _context: Any) -> AsyncIterator[pb.StreamOrdersResponse]:
        yield pb.StreamOrdersResponse(cursor="1")

    handler: Any = grpc.unary_stream_rpc_method_handler(
        notify,
        request_deserializer=pb.StreamOrdersRequest.FromString,
        response_serializer=pb.StreamOrdersResponse.SerializeToString,
    )
    handlers = grpc.method_handlers_generic_handler(ROUTER, {"StreamOrders": handler})
    server.add_generic_rpc_handlers((handlers,))


async def _run(words: list[str], port: int, **filled: str) -> tuple[int, str, str]:
    """Status, output and errors of a twin, with its placeholders filled in."""
    arguments = [str(BUF), *words[1:]]
    for name, value in {"PORT": str(port), **filled}.items():
        arguments = [argument.replace(name, value) for argument in arguments]
    child = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("words", TWINS, ids=lambda words: _said_by_buf(words)[1])
async def test_every_twin_works(
    edge: RunningEdge, database: Database, wallet: Callable[[], str], words: list[str]
) -> None:
    follower = wallet()
    made = create_subscription(edge, follower)["id"]
    # Nobody waits for it, so to end it is refused.
    key = put_order(database, follower, made, "CONFIRMED")
    filled = {"0x...": follower, "KEY": key, "TOKEN": INTERNAL, "OPERATOR": OPERATE,
              "sub_...": f"sub_{'0' * 32}", "MARKET": f"0x{'c' * 64}"}  # fmt: skip
    requested = _said_by_buf(words)[1]
    if requested.startswith(ROUTER):
        async with serving("127.0.0.1:0", [ROUTER], _router) as router:
            status, out, err = await _run(words, router.port, **filled)
    else:
        status, out, err = await _run(words, edge.internal_port, **filled)
    refusal = REFUSED.get(requested.rpartition("/")[2])
    if refusal is not None:
        assert (status != 0, json.loads(err)["code"]) == (True, refusal), err
        return
    assert status == 0, err
    assert requested != "list" or "tradingtools.v1.OperatorService/SetHalt" in out
    assert not requested.endswith("GetOrder") or json.loads(out)["order"]["orderKey"] == key
