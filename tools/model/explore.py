"""Breadth-first walk over every state that a world can reach.

Breadth-first, so that a counterexample is as short as any. A world says what can happen next and
when it is settled; this module remembers where it has been, and asks afterwards whether every state
still has a way out once faults stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec


class Condition(Protocol):
    """One state of a world: immutable, hashable, and its own judge."""

    @property
    def broken(self) -> str:
        """The invariant that the step into this state broke, in words; empty: none."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """Something that can happen.

    `helps` is false for faults and for what nobody can count on (a crash, a lost answer, a request
    that arrives after all): settling must not depend on them.
    """

    label: str
    state: Condition
    helps: bool = True


class World(Protocol):
    """A world that can be walked."""

    def initial(self) -> Condition:
        """Where everything begins."""

    def steps(self, state: Condition) -> Iterable[Step]:
        """Everything that can happen next."""

    def settled(self, state: Condition) -> bool:
        """Nothing is owed to anybody any more."""

    def sight(self, state: Condition) -> str:
        """Return what is worth telling of a state: a walk reports which of these it saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The result of a walk."""

    states: int
    transitions: int
    broken: str
    """The invariant that does not hold, in words; empty: all hold."""
    trace: tuple[str, ...]
    """How to get there from the beginning; empty when all hold."""
    last: Condition | None = None
    """The state in which it broke."""
    sights: frozenset[str] = frozenset()
    """What was seen on the way, by `World.sight`; only of a whole walk."""


class TooManyStates(Exception):
    """The world is larger than the caller was ready to walk."""


def walk(world: World, *, limit: int = 2_000_000) -> Walk:
    """Visit every state; stop at the first broken invariant.

    Raises:
        TooManyStates: more than `limit` states were found.
    """
    first = world.initial()
    found: dict[Condition, int] = {first: 0}
    order: list[Condition] = [first]
    came_from: list[tuple[int, str]] = [(0, "")]
    ways_in: list[list[int]] = [[]]
    transitions = 0
    for number, state in enumerate(order):  # grows while it is walked
        for step in world.steps(state):
            if step.state == state:
                continue
            transitions += 1
            known = found.get(step.state)
            if known is None:
                known = found[step.state] = len(order)
                order.append(step.state)
                came_from.append((number, step.label))
                ways_in.append([])
                if step.state.broken:
                    return _stop(order, came_from, transitions, known, step.state.broken)
            if step.helps:
                ways_in[known].append(number)
        if len(order) > limit:
            raise TooManyStates(f"more than {limit} states")
    stuck = _stuck(world, order, ways_in)
    if stuck is None:
        sights = frozenset(world.sight(state) for state in order)
        return Walk(states=len(order), transitions=transitions, broken="", trace=(), sights=sights)
    return _stop(
        order, came_from, transitions, stuck,
        "SILENT: no way leads from here to an end or to a human",
    )  # fmt: skip


def _stop(
    order: list[Condition],
    came_from: list[tuple[int, str]],
    transitions: int,
    number: int,
    broken: str,
) -> Walk:
    labels = []
    last = order[number]
    while number:
        number, label = came_from[number]
        labels.append(label)
    return Walk(
        states=len(order),
        transitions=transitions,
        broken=broken,
        trace=tuple(reversed(labels)),
        last=last,
    )


def _stuck(world: World, order: list[Condition], ways_in: list[list[int]]) -> int | None:
    """The nearest state from which no helpful steps lead to a settled one; None: there is none."""
    alive = [world.settled(state) for state in order]
    work = [number for number, yes in enumerate(alive) if yes]
    while work:
        for before in ways_in[work.pop()]:
            if not alive[before]:
                alive[before] = True
                work.append(before)
    return next((number for number, yes in enumerate(alive) if not yes), None)
