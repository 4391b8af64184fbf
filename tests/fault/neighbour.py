"""A hostile neighbour: what a stranger on the machine and at the edge tries while money moves.

Before it: `rig.py`, whose processes and stores he attacks. He gets nothing, and operators are
served meanwhile; whether money, stops and halts hold, the judge of the workload says.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import grpc
import httpx
import psycopg
import pytest

from tests.control.edge import MANAGE, OPERATE, READ, RunningEdge, running_edge
from tests.control.requests import subscription_body
from tests.fault.rig import Rig
from tests.money_path.test_forged_cursors import FAR, PORTS
from tests.money_path.world import SERVICES
from tradingtools.rpc import callers
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1.operator_service_pb2_grpc import OperatorServiceStub

_ANSWER_SECONDS = 30.0
"""How long an answer may take on a machine that does much else; before, some took for ever."""
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNAVAILABLE"}
"""What a stranger is told; UNAVAILABLE, where the process has just died of another fault."""


class Neighbour:
    """Attacks one rig; the edge that he attacks is started with the first attack.

    Args:
        rig: whose ports and stores he reaches.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._edge: RunningEdge | None = None

    async def attack(self, seconds: float) -> None:
        """Try everything at once for a while.

        Raises:
            AssertionError: something was taken from a stranger, or an operator was kept out.
        """
        edge = self._edge or await self._open()
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            async with asyncio.TaskGroup() as attacks:
                attacks.create_task(self._forge_cursors())
                attacks.create_task(self._log_in())
                attacks.create_task(self._ask_too_much(edge))
                attacks.create_task(self._halt(edge))
        assert FAR not in {
            row["cursor"] for row in self._rig.world.sql("select cursor from consumer_cursor")
        }

    async def _open(self) -> RunningEdge:
        """Start control and Envoy on the rig's own stores; they end with the rig."""
        directory = Path(self._rig.world.directory) / "edge"
        directory.mkdir()
        context = running_edge(directory, self._rig.world.database_url, self._rig.redis_url)
        self._edge = await asyncio.to_thread(self._rig.stack.enter_context, context)
        return self._edge

    async def _forge_cursors(self) -> None:
        for name in SERVICES:
            make, reader, _ = PORTS[name]
            forged = common.AcknowledgeRequest(consumer=reader, cursor=FAR)
            async with grpc.aio.insecure_channel(self._rig.world.target(name)) as channel:
                for metadata in ((), ((callers.HEADER, secrets.token_hex(32)),)):
                    told = "OK"
                    try:
                        stub: Any = make(channel)
                        await stub.Acknowledge(forged, metadata=metadata, timeout=_ANSWER_SECONDS)
                    except grpc.aio.AioRpcError as error:
                        told = error.code().name
                    assert told in _REFUSED, f"{name} took a stranger's cursor: {told}"

    async def _log_in(self) -> None:
        """Log in to PostgreSQL as whoever is on the machine. (Nothing here reads the log of leader
        trades in Redis; `tests/ingest` forges its entries.)"""
        url = _without_password(self._rig.world.database_url)
        with suppress(psycopg.OperationalError):
            connection = await psycopg.AsyncConnection.connect(url, connect_timeout=5)
            await connection.close()
            raise AssertionError("PostgreSQL believes a stranger")

    async def _ask_too_much(self, edge: RunningEdge) -> None:
        """Requests that are within every limit but that of counts, beside one without a token."""
        wallet = "0x" + secrets.token_hex(20)
        huge = subscription_body(wallet, sizing={"tiers": {"tiers": [{}] * 21_000}})
        states = "&".join(["status=TRIGGER_STATUS_ARMED"] * 300)
        async with httpx.AsyncClient(
            base_url=edge.url, timeout=_ANSWER_SECONDS, trust_env=False
        ) as client:
            told = [
                (await client.post("/subscriptions", json=huge, headers=_bearer(MANAGE))),
                (await client.get(f"/triggers?wallet={wallet}&{states}", headers=_bearer(READ))),
                (await client.post("/subscriptions", json=huge)),
                (await client.get("/subscriptions", headers=_bearer("0" * 64))),
            ]
        found = [answer.status_code for answer in told]
        assert found[2:] == [401, 401], found
        # 429 and 503: his own share of the edge is used up.
        assert set(found[:2]) <= {400, 429, 503}, found

    async def _halt(self, edge: RunningEdge) -> None:
        """An operator halts a wallet of nobody's, and clears it: he is answered meanwhile."""
        wallet = "0x" + secrets.token_hex(20)
        scope = operator.HALT_SCOPE_WALLET
        asked = operator.SetHaltRequest(
            scope=scope, subject=wallet, mode=operator.HALT_MODE_HALTED, reason="drill"
        )
        shown = (("authorization", f"Bearer {OPERATE}"),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
            stub: Any = OperatorServiceStub(channel)
            more: Any = {"timeout": _ANSWER_SECONDS, "wait_for_ready": True}
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.SetHalt(asked, **more)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            await stub.SetHalt(asked, metadata=shown, **more)
            cleared = operator.ClearHaltRequest(scope=scope, subject=wallet)
            await stub.ClearHalt(cleared, metadata=shown, **more)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{host}"))
