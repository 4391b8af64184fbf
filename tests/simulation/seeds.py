"""One seed from its beginning to its verdict."""

from __future__ import annotations

import asyncio
import gc
import warnings
from dataclasses import dataclass, field

from launcher.core.invariants import Breach
from tests.simulation import mutations
from tests.simulation.disasters import Disasters
from tests.simulation.judge import judge, unrest
from tests.simulation.memory import still_not_as_committed
from tests.simulation.operators import Operators
from tests.simulation.workload import Workload
from tests.simulation.world import World

STORM_SECONDS = 8.0
_STEPS = 24
_QUIET_SECONDS = 2.0
_PATIENCE_SECONDS = 120.0
MUTATION_SEEDS = 400


@dataclass(slots=True)
class Outcome:
    """The result of a seed."""

    seed: int
    breaches: list[Breach]
    digest: str
    """Of the history; empty where nobody asked for it."""
    lines: list[str]
    """The history; empty where nobody asked for it and nothing is broken."""
    orders: int
    decisions: int
    virtual_seconds: float
    faults: dict[str, int] = field(default_factory=dict)


def run_seed(seed: int, *, calm: bool = False, without: str = "", shown: bool = False) -> Outcome:
    """Run a seed and judge it.

    Args:
        seed: decides everything.
        calm: nothing goes wrong.
        without: a protection that is missing; see `mutations`.
        shown: the history is wanted, whatever it is.
    """
    # A collection in the midst of it would end generators at an instant that no seed decides.
    gc.disable()
    with warnings.catch_warnings(), mutations.without(without):
        # Who is killed leaves coroutines that he had made and not begun.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            return _run(seed, calm=calm, shown=shown)
        finally:
            gc.enable()
            gc.collect()


def _run(seed: int, *, calm: bool, shown: bool) -> Outcome:
    world = World(seed, calm=calm)
    workload = Workload(world)
    operators = Operators(world)

    async def whole(_world: World) -> list[Breach]:
        await workload.prepare()
        world.start()
        stormy = 0 if calm else STORM_SECONDS
        disasters = asyncio.create_task(Disasters(world).run(stormy))
        people = asyncio.create_task(operators.run(stormy))
        if world.performance is not None:
            more = asyncio.create_task(world.performance.disasters(stormy))
        await workload.run(_STEPS, STORM_SECONDS / _STEPS)
        await disasters
        await people
        if world.performance is not None:
            await more
        world.storm.end()
        # What is in quarantine nobody knows before it is handled.
        await operators.replay()
        believed = await still_not_as_committed(world)
        await workload.calm()
        await _come_to_rest(world, operators)
        return [
            *judge(world, workload),
            *believed,
            *(Breach("it comes to rest", w) for w in operators.waiting()),
        ]

    breaches = world.run(whole)
    return Outcome(
        seed=seed,
        breaches=breaches,
        digest=world.history.digest() if shown else "",
        lines=list(world.history.lines()) if shown or breaches else [],
        orders=len(world.database.table("orders")),
        decisions=len(world.database.table("decision")),
        virtual_seconds=world.loop.time(),
        faults=world.storm.counts,
    )


async def _come_to_rest(world: World, operators: Operators) -> None:
    """Wait until nothing goes on for a while, but not for ever."""
    loop = world.loop
    deadline = loop.time() + _PATIENCE_SECONDS
    quiet_since = loop.time()
    commits = -1
    while loop.time() < deadline:
        orders = len(world.database.table("order_event"))
        if unrest(world) or operators.waiting() or orders != commits:
            quiet_since, commits = loop.time(), orders
        elif loop.time() - quiet_since >= _QUIET_SECONDS:
            return
        await asyncio.sleep(0.5)
        await operators.clear_up()


def run_twice(seed: int) -> Outcome:
    """Run a seed two times.

    Raises:
        AssertionError: the second history is another one; something asks the real world.
    """
    first, second = run_seed(seed, shown=True), run_seed(seed, shown=True)
    if first.digest != second.digest:
        at = next(
            (n for n, (a, b) in enumerate(zip(first.lines, second.lines, strict=False)) if a != b),
            min(len(first.lines), len(second.lines)),
        )
        raise AssertionError(
            f"seed {seed} went two ways at its line {at}:\n"
            + "\n".join([*first.lines[max(0, at - 5) : at + 2], "or", *second.lines[at : at + 2]])
        )
    return first


def failing(name: str) -> tuple[str, int | None]:
    """A seed that fails as it should without a protection: the one that is known to, if it still
    does, otherwise the first; None: `MUTATION_SEEDS` hold."""
    mutation = mutations.MUTATIONS[name]
    for seed in sorted(range(1, MUTATION_SEEDS + 1), key=lambda seed: seed != mutation.seed):
        outcome = run_seed(seed, without=name)
        if any(breach.invariant.startswith(mutation.breaks) for breach in outcome.breaches):
            return name, seed
    return name, None
