"""From a PATCH over REST to its effect in the router: sizes in its previews follow the amount."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bench.core.sheet import Figure, times
from bench.routing import Router, router
from bench.scene import Scene, scene
from bench.system import BenchError
from tradingtools_client import ApiError, Client, Unreachable

_GOAL_MS = 50.0
_CHANGES = 200
_AMOUNTS = ("20", "10")
_PATIENCE_SECONDS = 30.0


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own. Raises BenchError, and what the launcher raises."""
    changes = max(4, int(_CHANGES * factor))
    async with scene([1], say) as here, router(here) as requested:
        say(f"{changes} changes")
        rest = here.engine.client()
        try:
            found = [
                await _change(here, rest, requested, _AMOUNTS[number % 2])
                for number in range(changes)
            ]
        except (ApiError, Unreachable) as error:
            raise BenchError(f"changing a subscription: {error}") from error
        finally:
            rest.close()
    under = f"{changes} PATCHes through Envoy, one after the other"
    return [
        *times("from a PATCH's leaving to the router's next preview", under, [s for s, _ in found]),
        *times(
            "from a PATCH's answer to it", under, [a for _, a in found], goal_p99=_GOAL_MS
        ),
    ]  # fmt: skip


async def _change(here: Scene, rest: Client, requested: Router, amount: str) -> tuple[float, float]:
    """Milliseconds until a changed size is seen: since the PATCH left, and since its answer."""
    before = await _size(requested, here)
    left = time.perf_counter()
    await asyncio.to_thread(
        rest.update_subscription, here.subscription_id, {"sizing": {"fixed": {"amount": amount}}}
    )
    answered = time.perf_counter()
    while await _size(requested, here) == before:
        if time.perf_counter() - answered > _PATIENCE_SECONDS:
            raise BenchError(f"a change is not in the router after {_PATIENCE_SECONDS:.0f} s")
    seen = time.perf_counter()
    return (seen - left) * 1000, (seen - answered) * 1000


async def _size(requested: Router, here: Scene) -> int:
    found = await requested.preview(here.leader(1), here.subscription_id)
    if found is None:
        raise BenchError("the router does not know a follower whom it has served")
    return found.size_micros
