"""insiders-api as the contract allows it to behave, and the meaning of what it answers.

A request is first let in (key and deadline are checked) and then finished (the key is checked again
in the transaction that accepts); anything may happen in between. What an answer means is asked of
the executor's own `classify`, with bytes like those of the contract's examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec.structs import replace

from tools.model.explore import Step
from tools.model.guards import Guard, Rules
from tools.model.state import BEFORE_DEADLINE, PAST_HORIZON, State
from tradingtools.venues.insiders.verdicts import classify
from tradingtools.venues.ports import Meaning

_KEY = "0" * 64


def _error(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "as the contract says"}}).encode()


_ORDER = json.dumps(
    {"idempotencyKey": _KEY, "orderId": "0x1", "status": "MATCHED", "closed": True, "trades": []}
).encode()

_ANSWERS = {
    "200 order": (200, _ORDER),
    "200 cut off": (200, _ORDER[:20]),
    "400 INSUFFICIENT_BALANCE": (400, _error("INSUFFICIENT_BALANCE")),
    "400 TOO_LATE": (400, _error("TOO_LATE")),
    "400 VOIDED": (400, _error("VOIDED")),
    "429 RATE_LIMITED": (429, _error("RATE_LIMITED")),
    "502 of a proxy": (502, b"<html>bad gateway</html>"),
    "504 UPSTREAM": (504, _error("UPSTREAM")),
}
MEANINGS: dict[str, str] = {
    name: classify(status, body, _KEY).meaning.name for name, (status, body) in _ANSWERS.items()
}
UNKNOWN = Meaning.UNKNOWN.name


def refusal(state: State, rules: Rules) -> str | None:
    """Return what a request is told when it arrives and cannot be let in; None: it is let in."""
    if state.voided:
        return "400 VOIDED"
    if rules.capabilities.idempotency and state.orders:
        return "200 order"
    if rules.capabilities.not_after and state.now > BEFORE_DEADLINE:
        return "400 TOO_LATE"
    return None


def finish(state: State, rules: Rules) -> tuple[str, State]:
    """Accept a request that was let in, unless the key or the clock forbid it by now."""
    if state.voided and rules.have(Guard.VOID_ATOMIC):
        return "400 VOIDED", state
    if rules.capabilities.idempotency and state.orders:
        return "200 order", state
    if rules.capabilities.not_after and state.now >= PAST_HORIZON:
        return "504 UPSTREAM", state
    return "200 order", replace(state, orders=state.orders + 1)


def arrivals(state: State, rules: Rules) -> Iterator[Step]:
    """Yield what becomes of requests that nobody waits for; nobody can count on it.

    One that is lost is one that never arrives: it needs no step of its own.
    """
    if state.net:
        lighter = replace(state, net=state.net - 1)
        if refusal(state, rules) is None:
            let_in = replace(lighter, taken=state.taken + 1)
            yield Step("venue gateway: lets a late request in", let_in, helps=False)
    if state.taken:
        lighter = replace(state, taken=state.taken - 1)
        answer, after = finish(lighter, rules)
        yield Step(f"venue gateway: finishes a late request ({answer})", after, helps=False)
