"""The world of one order: router, two owners, confirm, network, venue gateway, clock and operator.

`executor`, `reconciler` and `gateway` bring the steps of each; `explore` walks what is put together
here.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from tools.model import executor, gateway, reconciler
from tools.model.canon import canonical
from tools.model.explore import Condition, Step
from tools.model.guards import Guard, Rules
from tools.model.state import CLAIMED, ENDS, PAST_HORIZON, Row, State, build, judge, move

_TICKS = ("not_after passes", "the horizon passes")


class OneOrder:
    """Everything that can happen to one order.

    Args:
        rules: capabilities of the venue gateway, and the guard that is missing.
        forget: whether equal worlds are walked once (see `canon`).
    """

    def __init__(self, rules: Rules, *, forget: bool = True) -> None:
        self._rules = rules
        self._forget = forget
        self._judged: dict[State, State] = {}
        """By the state that a step leads to: many lead to the same."""

    def initial(self) -> Condition:
        """Nothing was claimed yet; A owns the partition."""
        return State()

    def settled(self, state: Condition) -> bool:
        """The order has ended, or a human was called."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        return state.row is not None and state.row.state in ENDS

    def sight(self, state: Condition) -> str:
        """Where the row stands, and what the venue gateway has."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        row = state.row
        stands = "unclaimed" if row is None else f"{row.state} {row.failed}".strip()
        return f"{stands}, {'an order' if state.orders else 'no order'}"

    def steps(self, state: Condition) -> Iterator[Step]:
        """Every step of everybody, judged."""
        assert isinstance(state, State)  # noqa: S101 - a world is only given its own states
        for step in self._all(state):
            after = step.state
            assert isinstance(after, State)  # noqa: S101 - made here
            judged = self._judged.get(after)
            if judged is None:
                judged = self._judged[after] = self._judge(after)
            yield Step(step.label, judged, step.helps)

    def _judge(self, state: State) -> State:
        return judge(canonical(state, self._rules) if self._forget else state, self._rules)

    def _all(self, state: State) -> Iterator[Step]:
        rules = self._rules
        yield from _router(state, rules)
        yield from executor.steps(state, rules, 0)
        yield from executor.steps(state, rules, 1)
        yield from reconciler.steps(state, rules)
        yield from gateway.arrivals(state, rules)
        yield from _surroundings(state, rules)


def _router(state: State, rules: Rules) -> Iterator[Step]:
    early = not rules.have(Guard.COMMIT_BEFORE_STREAM)
    if state.router == "plan":
        claimed = move(state, Row(CLAIMED))
        if early:
            yield Step("router: streams the claim", replace(state, router="due", message=True))
            return
        yield Step("router: commits the claim", replace(claimed, router="due"))
        unheard = replace(claimed, router="done")
        yield Step("router: commits the claim, not acknowledged", unheard, helps=False)
    elif state.router == "due":
        if early:
            yield Step(
                "router: commits the claim", replace(move(state, Row(CLAIMED)), router="done")
            )
        else:
            streamed = replace(state, router="done", message=True)
            yield Step("router: streams the claim", streamed)
            crashed = replace(state, router="done")
            yield Step("router: crashes before it streams", crashed, helps=False)
    elif state.router == "done" and not rules.have(Guard.CLAIM_UNIQUE):
        # With the guard the same claim is refused, and nothing changes.
        doubled = replace(state, router="again", row=Row(CLAIMED), message=True)
        yield Step("router: claims the same copy again", doubled, helps=False)


def _surroundings(state: State, rules: Rules) -> Iterator[Step]:
    if state.now < PAST_HORIZON:
        yield Step(f"clock: {_TICKS[state.now]}", replace(state, now=state.now + 1))
    if not state.paused and not _held_by_statement(state, rules):
        yield Step("operator: a pause is acknowledged", replace(state, paused=True), helps=False)
    if state.message:
        yield Step("Redis: loses the message", replace(state, message=False), helps=False)
    if state.unbuilt:
        yield Step("owner: builds rows of records", build(state, rules), helps=_somebody(state))


def _held_by_statement(state: State, rules: Rules) -> bool:
    return rules.have(Guard.PAUSE_LOCK) and any(o.at == "checked" for o in state.owners)


def _somebody(state: State) -> bool:
    return any(owner.at not in ("off", "down", "recovering") for owner in state.owners)
