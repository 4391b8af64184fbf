"""Misbehaviour that the control port asked for, used up in the order of asking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

FaultKind = Literal[
    "delay", "drop", "lose", "late", "reject", "status", "limit", "sub_limit", "disconnect"
]
"""Before a request is done: `delay` holds it, `drop` forgets it without an answer, `late` answers a
timeout and does it after that, `reject` refuses each of its orders with a code, `status` answers an
HTTP status, `limit` and `sub_limit` say that there were too many. After it: `lose` gives no answer,
`disconnect` gives none and ends the account's sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour, `times` times."""

    number: int
    kind: FaultKind
    op: str = "any"
    """`order`, `amend-order`, `cancel-order`, a REST path, or `any`."""
    times: int = 1
    ms: int = 0
    code: str = "50026"
    status: int = 503
    skip: int = 0
    """So many requests of that kind pass before."""


def take(faults: Iterable[Fault], op: str, path: str) -> tuple[Fault | None, tuple[Fault, ...]]:
    """The fault of a request, and the faults after it."""
    chosen: Fault | None = None
    left: list[Fault] = []
    for fault in faults:
        if chosen is not None or fault.op not in ("any", op, path):
            left.append(fault)
        elif fault.skip:
            left.append(replace(fault, skip=fault.skip - 1))
        else:
            chosen = fault
            if fault.times > 1:
                left.append(replace(fault, times=fault.times - 1))
    return chosen, tuple(left)
