"""The contestants that are brought up for the race alone: the floor and the skeleton.

Before them: a feed and a venue gateway. After them: `rounds`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.gateway import Contestant
from bench.scene import Leaders
from bench.system import BenchError
from launcher.state import ROOT


@asynccontextmanager
async def floor(feed: int, far: int, leaders: Leaders) -> AsyncIterator[None]:
    """The floor's process; gone when the block ends. Raises BenchError.

    Args:
        feed: port of the feed.
        far: port of the venue gateway.
        leaders: by number of followers.
    """
    path = ROOT / ".state" / "bench-floor.log"
    path.unlink(missing_ok=True)
    command = ["bench.floor", str(feed), str(far), str(path)]
    async with _process([*command, *_counts(leaders, Contestant.FLOOR)]):
        yield
    path.unlink(missing_ok=True)


@asynccontextmanager
async def skeleton(feed: int, far: int, leaders: Leaders, url: str) -> AsyncIterator[None]:
    """The skeleton's three processes; gone when the block ends. Raises BenchError.

    Args:
        feed: port of the feed.
        far: port of the venue gateway.
        leaders: by number of followers.
        url: of a database that is its own, with the present schema.
    """
    environ = {
        "TT_DATABASE_URL": url,
        "TT_LOG_LEVEL": "error",
        "TT_ENGINE_OPEN": "true",
        "TT_SKELETON_FEED_URL": f"ws://127.0.0.1:{feed}",
        "TT_SKELETON_INSIDERS_URL": f"http://127.0.0.1:{far}{Contestant.SKELETON.value}",
        "TT_SKELETON_LEADERS": ",".join(_counts(leaders, Contestant.SKELETON)),
    }
    async with (
        _process(["bench.skeleton", "ingest"], environ) as ingest,
        _process(["bench.skeleton", "router"], environ | {"TT_SKELETON_TARGET": ingest}) as router,
        _process(["bench.skeleton", "executor"], environ | {"TT_SKELETON_TARGET": router}),
    ):
        yield


def _counts(leaders: Leaders, of: Contestant) -> list[str]:
    return [f"{wallets[of]}={count}" for count, wallets in leaders.items()]


@asynccontextmanager
async def _process(
    command: list[str], environ: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """A module of ours, up, until the block ends; the line that it says then.

    Raises:
        BenchError: it does not come up.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own module; started once
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**kept, **(environ or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise BenchError(f"{command[0]} has no output")
    try:
        said = (await asyncio.to_thread(process.stdout.readline)).strip()
        if not said:
            raise BenchError(f"{' '.join(command[:2])} does not come up")
        yield said
    finally:
        process.kill()
        process.stdout.close()
        await asyncio.to_thread(process.wait)
