"""A hostile neighbour: a stranger on the machine and at the edge while money moves.

Before it: `rig.py`, whose processes and stores he attacks, and `strangers.py`, what he tries. He
gets nothing. Meanwhile the product is served, an operator's halt lets no entry leave, and a
stop-loss sells; whether the books are right, the judge of the workload says.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx

from tests.control.edge import MANAGE, OPERATE, TOKENS, RunningEdge, digest, running_edge
from tests.control.requests import subscription_body
from tests.fault import strangers
from tests.fault.judge import Halted, sent_while_halted
from tests.fault.rig import TRIALS, Rig
from tests.fault.strangers import ANSWER_SECONDS, Place
from tests.fault.workload import Workload
from tests.money_path.test_forged_cursors import FAR
from tests.support.prepared import Popen
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1.operator_service_pb2_grpc import OperatorServiceStub

_HALTS_ALONE = 10
_PROBE_SECONDS = 60.0


class Neighbour:
    """Attacks one rig; the edge that he attacks is started with the first attack.

    Args:
        rig: whose ports and stores he reaches.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._place: Place | None = None

    async def attack(self, seconds: float, workload: Workload) -> None:
        """Try everything at once for a while, and once at least.

        Args:
            seconds: how long; what was begun is ended.
            workload: goes on meanwhile, by somebody else's task.

        Raises:
            AssertionError: something was taken from a stranger, somebody was kept out, a halt let
                an entry leave, or a stop-loss did not sell.
        """
        place = self._place or await self._open()
        end = time.monotonic() + seconds
        while True:
            async with (
                strangers.besieged(place),
                self._halting(place.edge),
                asyncio.TaskGroup() as attempts,
            ):
                for attempt in strangers.ATTEMPTS:
                    attempts.create_task(attempt(place))
                attempts.create_task(self._serve_the_product(place))
                attempts.create_task(self._halt(place.edge, workload))
                attempts.create_task(workload.stop_out())
            if time.monotonic() > end:
                break
        assert FAR not in {
            row["cursor"] for row in self._rig.world.sql("select cursor from consumer_cursor")
        }

    async def _open(self) -> Place:
        """Start control and Envoy on the rig's own stores; they end with the rig."""
        strangers.allow_many_files()
        directory = Path(self._rig.world.directory) / "edge"
        directory.mkdir()
        tokens = directory / "tokens"
        more = f"rude:manage:{digest(strangers.RUDE)},clumsy:operate:{digest(strangers.CLUMSY)}"
        tokens.write_text(f"{TOKENS},{more}".replace(",", "\n") + "\n")
        context = running_edge(
            directory, self._rig.world.database_url, self._rig.redis_url,
            # The product is at a network of its own, as in a deployment; strangers are elsewhere.
            trusted=("127.0.0.1/32",), shares=32,
            tokens="", tokens_file=str(tokens), refused_rate="20",
        )  # fmt: skip
        edge = await asyncio.to_thread(self._rig.stack.enter_context, context)
        wallet = "0x" + secrets.token_hex(20)
        created = await asyncio.to_thread(
            edge.call, "POST", "/subscriptions", json=subscription_body(wallet)
        )
        assert created.status_code == 201, created.text
        self._place = Place(self._rig, edge, tokens, wallet)
        alone = self._operator(edge, "alone", _HALTS_ALONE)
        assert await asyncio.to_thread(alone.wait, _PROBE_SECONDS) == 0, "an operator was kept out"
        return self._place

    def halts_us(self) -> dict[str, list[int]]:
        """How long an operator waited for his halts: alone, and under attack."""
        files = {name: self._halts(name) for name in ("alone", "attacked")}
        return {
            name: sorted(map(int, file.read_text().split()))
            for name, file in files.items()
            if file.exists()
        }

    def _halts(self, name: str) -> Path:
        return Path(self._rig.world.directory) / f"halts-{name}"

    def _operator(self, edge: RunningEdge, name: str, *more: object) -> Popen:
        command = ["tests.fault.halting", f"127.0.0.1:{edge.internal_port}", self._halts(name)]
        return Popen([sys.executable, "-m", *map(str, [*command, *more])])

    @asynccontextmanager
    async def _halting(self, edge: RunningEdge) -> AsyncIterator[None]:
        """Have an operator halt and let go on meanwhile, and never be refused."""
        person = self._operator(edge, "attacked")
        try:
            yield
            assert person.poll() is None, "an operator was kept out"
        finally:
            person.terminate()
            await asyncio.to_thread(person.wait, _PROBE_SECONDS)

    async def _serve_the_product(self, place: Place) -> None:
        """Read as the product does."""
        path = f"/subscriptions?followerProxy={place.wallet}"
        found: list[int] = []
        async with httpx.AsyncClient(
            base_url=place.edge.url, timeout=ANSWER_SECONDS, trust_env=False
        ) as client:
            # A database that has just come back may cost one answer its time.
            while 200 not in found and len(found) < TRIALS:
                try:
                    answer = await client.get(path, headers=strangers.bearer(MANAGE))
                    found.append(answer.status_code)
                except httpx.TransportError:
                    found.append(0)
        assert 200 in found, f"the product was kept out: {found}"

    async def _halt(self, edge: RunningEdge, workload: Workload) -> None:
        """An operator halts a wallet that trades: from his answer on, no entry of it leaves."""
        wallet = workload.probed_wallet()
        async with _operating(edge) as stub:
            await stub.SetHalt(_halt(wallet))
            started_ns = workload.database_ns()
            await workload.probe(_PROBE_SECONDS)
            ended_ns = workload.database_ns()
            await stub.ClearHalt(_cleared(wallet))
        halted = Halted(wallet, started_ns, ended_ns)
        assert not (broken := sent_while_halted(self._rig.world, halted)), broken


@asynccontextmanager
async def _operating(edge: RunningEdge) -> AsyncIterator[Any]:
    """The internal port as an operator has it: his calls show his token, and wait for the port."""
    target = f"127.0.0.1:{edge.internal_port}"
    async with grpc.aio.insecure_channel(target) as channel:
        yield _Operating(OperatorServiceStub(channel))


class _Operating:
    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        call, shown = getattr(self._stub, name), strangers.shown(OPERATE)
        return lambda request: call(
            request, metadata=shown, timeout=ANSWER_SECONDS, wait_for_ready=True
        )


def _halt(wallet: str) -> operator.SetHaltRequest:
    """Its entries; exits go on."""
    return operator.SetHaltRequest(
        scope=operator.HALT_SCOPE_WALLET, subject=wallet, mode=operator.HALT_MODE_REDUCING,
        reason="drill",
    )  # fmt: skip


def _cleared(wallet: str) -> operator.ClearHaltRequest:
    return operator.ClearHaltRequest(scope=operator.HALT_SCOPE_WALLET, subject=wallet)
