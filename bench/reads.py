"""Other clients of the REST surface while copies are measured: what they ask, and what it took.

Before it: a scene whose copies have been booked. After it: `bench.rounds`, which measures copies
without and beside the reads in turns. The reading itself is a process of its own, `bench.reader`.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import psutil
import psycopg

from bench.core.reads import Tally
from bench.scene import Scene
from bench.system import SQL, BenchError, Engine
from launcher.state import ROOT
from tradingtools_client import ApiError, Unreachable

_BEGIN_SECONDS = 60.0
_END_SECONDS = 60.0
_FAR_PRICE = "0.99"
"""Of a take-profit that is there to be read."""


class Reader:
    """Reads when told, and adds up what came of it.

    Args:
        process: of ``bench.reader``.
        engine: which is read.
    """

    def __init__(self, process: Process, engine: Engine) -> None:
        self._process = process
        self._engine = engine
        self.tally = Tally()

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Read meanwhile. Raises BenchError: an answer was neither right nor a refusal."""
        # Not before the first answer: a short stretch would be over before anybody reads.
        await self._reported(b"read\n", _BEGIN_SECONDS)
        before = await asyncio.to_thread(self._spent)
        yield
        counted = msgspec.json.decode(await self._reported(b"rest\n", _END_SECONDS), type=Tally)
        after = await asyncio.to_thread(self._spent)
        counted.cpu_seconds = {who: after[who] - before.get(who, 0.0) for who in after}
        if counted.wrong:
            raise BenchError(f"{counted.wrong} of the reads were answered wrongly")
        self.tally += counted

    def _spent(self) -> Mapping[str, float]:
        # Where it is deployed, who reads is another machine.
        return {**_spent(self._engine), "who reads": _seconds(self._process.pid)}

    async def _reported(self, line: bytes, seconds: float) -> bytes:
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError("the reads have no input or output")
        self._process.stdin.write(line)
        try:
            async with asyncio.timeout(seconds):
                return await self._process.stdout.readline()
        except TimeoutError:
            raise BenchError(f"the reads do not answer within {seconds:.0f} s") from None


@asynccontextmanager
async def reader(here: Scene, per_second: int) -> AsyncIterator[Reader]:
    """Give what the product's backend reads, at this rate; gone when the block ends.

    Raises:
        BenchError: there is nothing to read.
    """
    note = here.engine.prepared.note
    paths = await asyncio.to_thread(_paths, here)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.reader", note.rest_url, str(per_second), *paths,
        cwd=ROOT, stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        if process.stdin is not None:
            process.stdin.write(here.engine.prepared.token.encode() + b"\n")
        yield Reader(process, here.engine)
    finally:
        process.kill()
        await process.wait()


def _paths(here: Scene) -> list[str]:
    """A page of the product shows one subscription, and polls its profit more than the rest."""
    client = here.engine.client()
    try:
        found = client.get_subscription(here.subscription_id)
        wallet = found["follower"]["followerProxy"]
        armed = client.create_trigger(
            {
                "wallet": wallet,
                "conditionId": here.asset.condition_id,
                "assetId": here.asset.asset_id,
                "triggerType": "TRIGGER_TYPE_TAKE_PROFIT",
                "triggerPrice": _FAR_PRICE,
                "subscriptionId": here.subscription_id,
            }
        )
    except (ApiError, Unreachable) as error:
        raise BenchError(f"what is to be read: {error}") from error
    finally:
        client.close()
    one = f"/subscriptions/{here.subscription_id}"
    return [
        one,
        f"{one}/decisions?pageSize=20",
        one,
        f"{one}/fills?pageSize=20",
        f"{one}/positions",
        f"/triggers/{armed['id']}",
        f"/subscriptions?followerProxy={wallet}",
    ]


def _spent(engine: Engine) -> Mapping[str, float]:
    """Seconds of a core that reads have used so far, and whatever else those processes do."""
    pids = {state.name: [state.pid] for state in engine.supervisor.states()}
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        backends = [pid for (pid,) in connection.execute(SQL["backends_of_control"])]
    who = {"control": pids["control"], "envoy": pids["envoy"], "postgresql": backends}
    return {name: sum(map(_seconds, found)) for name, found in who.items()}


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
