"""Choose the fault of a request: a deterministic choice, so that a failing run can be repeated.

The control port installs faults; the server asks `plan` for each request and performs what it
says. A fault that draws does so from a digest of its seed and of how many requests it has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast, get_args

from paper.insiders.core.model import Settlement
from paper.insiders.core.requests import Fields, invalid, parse_asset, parse_fields

Where = Literal["before_accept", "after_accept"]
Kind = Literal[
    "status",
    "delay",
    "hang",
    "reset",
    "drip",
    "malformed",
    "oversized",
    "duplicate_answer",
    "wrong_key",
    "late_accept",
    "fail_trade",
    "retrying_trade",
    "balance_lag",
    "rate_limit",
]
Route = Literal["buy", "sell", "get", "void", "redeem", "wallet", "capabilities", "any"]

_SETTLEMENTS: Mapping[Kind, Settlement] = {"fail_trade": "failing", "retrying_trade": "retrying"}
_ONLY_BEFORE = frozenset({"late_accept", "rate_limit", "balance_lag"})
_ONLY_AFTER = frozenset({"wrong_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A misbehaviour to perform; field names and meanings are those of `POST /faults`."""

    fault_id: int
    where: Where
    kind: Kind
    status: int = 500
    code: str = "INTERNAL"
    ms: int = 0
    times: int | None = None
    """How often it still happens; None: without end."""
    probability_ppm: int = 1_000_000
    path: Route = "any"
    asset: str = ""
    """Only of requests whose body names it; empty: of all."""
    seed: int = 0
    seen: int = 0
    """Matching requests so far, hit or not."""


_BLANK = Fault(fault_id=0, where="before_accept", kind="status")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """The fault of one request."""

    before: Fault | None = None
    after: Fault | None = None
    settlement: Settlement = "normal"
    balance_lag: bool = False

    @property
    def names(self) -> str:
        """The faults for the journal, e.g. `before_accept:delay`; empty without one."""
        parts = [f"{fault.where}:{fault.kind}" for fault in (self.before, self.after) if fault]
        parts += ["balance_lag"] * self.balance_lag
        parts += [f"{self.settlement}_trade"] * (self.settlement != "normal")
        return ",".join(parts)


def parse_fault(given: Mapping[str, object], *, fault_id: int) -> Fault:
    """A fault as the control port gets it; raises Rejection naming what is wrong."""
    required = ("where", "kind", "seed")
    optional = frozenset(name for name in _FIELDS if name not in required)
    values = parse_fields(given, _FIELDS, optional=optional)
    fault = replace(_BLANK, fault_id=fault_id, **cast("dict[str, Any]", values))
    if fault.where == "after_accept" and fault.kind in _ONLY_BEFORE:
        raise invalid("where", f"must be before_accept for {fault.kind}")
    if fault.where == "before_accept" and fault.kind in _ONLY_AFTER:
        raise invalid("where", f"must be after_accept for {fault.kind}")
    return fault


def show_fault(fault: Fault) -> dict[str, object]:
    """A fault as the control port shows it."""
    shown = asdict(fault)
    shown["id"] = shown.pop("fault_id")
    return shown


def plan(
    faults: Iterable[Fault], route: Route, body: str = ""
) -> tuple[FaultPlan, tuple[Fault, ...]]:
    """The plan for one request and the faults as they are after it (used up ones left out).

    At each point the oldest fault that hits wins; later ones neither happen nor are used up.
    """
    chosen = FaultPlan()
    left: list[Fault] = []
    for fault in faults:
        if fault.path not in ("any", route) or not _about(fault, body):
            left.append(fault)
            continue
        hit = _hits(fault)
        extended = _extend(chosen, fault) if hit else chosen
        used = extended is not chosen
        chosen = extended
        times = fault.times - 1 if used and fault.times is not None else fault.times
        if times != 0:
            left.append(replace(fault, seen=fault.seen + 1, times=times))
    return chosen, tuple(left)


def _about(fault: Fault, body: str) -> bool:
    return not fault.asset or f'"{fault.asset}"' in body


def _hits(fault: Fault) -> bool:
    draw = hashlib.sha256(f"{fault.seed}:{fault.seen}".encode()).digest()
    return int.from_bytes(draw[:8], "big") % 1_000_000 < fault.probability_ppm


def _extend(chosen: FaultPlan, fault: Fault) -> FaultPlan:
    if fault.kind in _SETTLEMENTS:
        if chosen.settlement == "normal":
            return replace(chosen, settlement=_SETTLEMENTS[fault.kind])
    elif fault.kind == "balance_lag":
        if not chosen.balance_lag:
            return replace(chosen, balance_lag=True)
    elif fault.where == "before_accept":
        if chosen.before is None:
            return replace(chosen, before=fault)
    elif chosen.after is None:
        return replace(chosen, after=fault)
    return chosen


def _one_of(names: tuple[str, ...], value: object) -> str:
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"must be one of {', '.join(names)}")
    return value


def _integer(value: object, *, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"must be an integer from {low} to {high}")
    return value


def _status(value: object) -> int:
    status = _integer(value, low=200, high=599)
    if status in (204, 304):
        raise ValueError("must be a status that has a body")
    return status


def _code(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 64:
        raise ValueError("must be a string of 1 to 64 characters")
    return value


_FIELDS: Fields = {
    "where": lambda value: _one_of(get_args(Where), value),
    "kind": lambda value: _one_of(get_args(Kind), value),
    "status": _status,
    "code": _code,
    "ms": lambda value: _integer(value, low=0, high=600_000),
    "times": lambda value: None if value is None else _integer(value, low=1, high=1_000_000),
    "probability_ppm": lambda value: _integer(value, low=0, high=1_000_000),
    "path": lambda value: _one_of(get_args(Route), value),
    "asset": parse_asset,
    "seed": lambda value: _integer(value, low=0, high=2**63 - 1),
}
