"""Processes tell the log of events when they start, end, and lose what they depend on."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.events.edge import Listening, listening
from tests.money_path.world import eventually
from tradingtools.runtime.lifecycle import Lifecycle


async def test_a_start_an_end_and_an_end_without_a_word_are_told(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with listening(tmp_path, database_url, redis_url) as world:
        world.kill("control")
        world.start("control")

        async def reported(*expected: tuple[str, str]) -> None:
            async def there() -> bool:
                return await _reported(world) == list(expected)

            await eventually(there)

        await reported(("engine.started", ""), ("engine.started", "it had ended without a word"))
        process = world.processes.pop("control")
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
        world.start("control")
        await reported(
            ("engine.started", ""),
            ("engine.started", "it had ended without a word"),
            ("engine.stopped", ""),
            ("engine.started", ""),
        )


async def _reported(world: Listening) -> list[tuple[str, str]]:
    """Return control's events from the log, once it answers."""
    await asyncio.to_thread(world.wait_until_ready)
    page = world.call("GET", "/events?limit=1000&types=engine.*").json()
    return [
        (event["type"], event["data"]["detail"])
        for event in page["events"]
        if event["data"]["process"] == "control"
    ]


def test_a_dependency_is_told_when_it_changes_and_not_again() -> None:
    said: list[tuple[str, str]] = []
    life = Lifecycle("router", "postgresql://nowhere")
    life.say = lambda action, detail="": said.append((action, detail))  # type: ignore[method-assign]
    for serving in (True, True, False, False, True, True, False):
        life.found("redis", serving=serving)
    life.found("postgresql", serving=True)
    assert said == [("degraded", "redis"), ("recovered", "redis"), ("degraded", "redis")]
