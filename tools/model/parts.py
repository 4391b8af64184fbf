"""The world of one copy in two parts: two routers answer a leader trade that is seen as two rows.

A row may be read any number of times and late; a router may crash, or sleep through its lease while
its successor works. The first row allows one unit, both allow two. Each claimed part is sent once
(that is the other world's matter); here counts that the parts never exceed what the whole allows,
and that no part is silently missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tools.model.explore import Condition, Step
from tools.model.guards import Guard, Rules

ROWS = 2
_MISCOUNTED = ROWS + 1
_NAMES = ("router 1", "router 2")


class Router(NamedTuple):
    """One router process and its memory."""

    at: str
    life: int = 0
    known: int = 0
    """Rows it has counted."""
    ordered: int = 0
    parts: int = 0
    requested_before: bool = False
    """It repeats a claim whose commit was not acknowledged."""


class Parts(NamedTuple):
    """Everything at one instant."""

    lease: int = 1
    routers: tuple[Router, Router] = (Router("idle", 1), Router("off"))
    claims: tuple[tuple[int, int], ...] = ()
    """Durable: (number of the part, units), in the order of their commits."""
    rows: int = 0
    """Durable: rows that were counted by a committed claim."""
    sent: int = 0
    """How many of the claims the executor has sent."""
    broken: str = ""


class TwoParts:
    """Everything that can happen to one copy.

    Args:
        rules: the guard that is missing; capabilities play no part here.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def initial(self) -> Condition:
        """No row was read yet; router 1 owns the partition."""
        return Parts()

    def settled(self, state: Condition) -> bool:
        """Both rows are answered, and all of it was sent."""
        assert isinstance(state, Parts)  # noqa: S101 - a world is only given its own states
        whole = sum(units for _, units in state.claims) == ROWS
        return whole and state.sent == len(state.claims)

    def sight(self, state: Condition) -> str:
        """Return what was sent."""
        assert isinstance(state, Parts)  # noqa: S101 - a world is only given its own states
        return ", ".join(f"part {part} over {units}" for part, units in state.claims[: state.sent])

    def steps(self, state: Condition) -> Iterator[Step]:
        """Every step of everybody, judged."""
        assert isinstance(state, Parts)  # noqa: S101 - a world is only given its own states
        for step in self._all(state):
            assert isinstance(step.state, Parts)  # noqa: S101 - made here
            yield Step(step.label, _judge(step.state), step.helps)

    def _all(self, state: Parts) -> Iterator[Step]:
        for who in (0, 1):
            router = state.routers[who]
            name = _NAMES[who]
            if router.at in ("off", "down"):
                if who == 1 and state.lease == 1:
                    needed = state.routers[0].at == "down"
                    yield Step(f"{name}: takes over and rebuilds", self._rebuild(state), needed)
                continue
            yield from self._read(state, who)
            if router.at == "claim":
                yield from self._claim(state, who)
            if who == 0:
                yield Step(f"{name}: crashes", _put(state, who, Router("down")), helps=False)
        if state.sent < len(state.claims):
            yield Step("executor: sends the next part", state._replace(sent=state.sent + 1))

    def _rebuild(self, state: Parts) -> Parts:
        router = Router("idle", 2)
        if self._rules.have(Guard.PARTS_REBUILT):
            router = _reloaded(state, router)
        return _put(state._replace(lease=2), 1, router)

    def _read(self, state: Parts, who: int) -> Iterator[Step]:
        """A fact says that at least so many equal rows exist."""
        router = state.routers[who]
        if router.at != "idle":
            return
        for fact in range(1, ROWS + 1):
            known = max(router.known, fact)
            if not self._rules.have(Guard.ROWS_BY_MAX):
                known = min(router.known + 1, _MISCOUNTED)
            if known > router.known:
                at = "claim" if known > router.ordered else "idle"
                received = router._replace(at=at, known=known)
                yield Step(
                    f"{_NAMES[who]}: reads that there are {fact}", _put(state, who, received)
                )

    def _claim(self, state: Parts, who: int) -> Iterator[Step]:
        router, name = state.routers[who], _NAMES[who]
        if self._rules.have(Guard.ROUTER_LEASE) and state.lease != router.life:
            yield Step(f"{name}: is fenced and ends", _put(state, who, Router("down")))
            return
        there = any(number == router.parts for number, _ in state.claims)
        if there and self._rules.have(Guard.PART_UNIQUE):
            known = router._replace(at="idle", requested_before=False)
            if router.requested_before and self._rules.have(Guard.LOST_CLAIM_READ_AGAIN):
                known = _reloaded(state, known)
            yield Step(f"{name}: finds part {router.parts} claimed", _put(state, who, known))
            return
        units = router.known - router.ordered
        committed = state._replace(
            claims=(*state.claims, (router.parts, units)), rows=max(state.rows, router.known)
        )
        done = router._replace(
            at="idle", ordered=router.known, parts=router.parts + 1, requested_before=False
        )
        words = f"{name}: commits part {router.parts} over {units}"
        yield Step(words, _put(committed, who, done))
        unheard = _put(committed, who, router._replace(requested_before=True))
        yield Step(f"{words}, not acknowledged", unheard, helps=False)


def _reloaded(state: Parts, router: Router) -> Router:
    """Its memory as the database has it."""
    return router._replace(
        known=state.rows,
        ordered=sum(units for _, units in state.claims),
        parts=len(state.claims),
    )


def _put(state: Parts, who: int, router: Router) -> Parts:
    first, second = state.routers
    return state._replace(routers=(router, second) if who == 0 else (first, router))


def _judge(state: Parts) -> Parts:
    sent = state.claims[: state.sent]
    numbers = [number for number, _ in sent]
    if len(set(numbers)) < len(numbers):
        return state._replace(broken="I1: two orders were sent under the key of one part")
    if sum(units for _, units in sent) > ROWS:
        return state._replace(broken="I13: the parts exceed what the whole leader trade allows")
    return state
