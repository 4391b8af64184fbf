"""Report orders that the engine cannot end, as log lines and metrics.

Alert on ``orders_called`` (each one is a human's work) and on ``orders_unresolved_oldest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from tradingtools.domain.order_states import OrderState
from tradingtools.runtime import instruments

_log = structlog.get_logger("confirm.alerts")
_meter = metrics.get_meter("tradingtools.confirm")
_S = OrderState
_called = instruments.counter(
    "tradingtools.confirm",
    "orders_called",
    "orders that need a person, by state",
    instruments.each(state=(_S.DEAD, _S.RESURRECTED, _S.LOST, _S.SUBMITTED)),
)
_SAYS = {
    _S.DEAD: "nobody can say what became of an order; a person has to look",
    _S.RESURRECTED: "an order appeared after its end; its wallet only sells until a person looked",
    _S.LOST: "an order never arrived; its money is released and its key still watched",
}
_standing: dict[str, tuple[int, int]] = {}


def moved(order_key: str, state: OrderState, problem: str = "") -> None:
    """Tell of an order that has come into a state."""
    if state not in _SAYS:
        return
    _called.add(1, {"state": state})
    say = _log.warning if state is _S.LOST else _log.error
    say(_SAYS[state], alert=True, order=order_key, state=state, problem=problem)


def silent(order_key: str, silent_ms: int) -> None:
    """Tell of an accepted order that insiders-api does not tell of any more."""
    _called.add(1, {"state": _S.SUBMITTED})
    _log.error("nothing is told of an accepted order; a person has to ask", alert=True,
               order=order_key, state=_S.SUBMITTED, silent_ms=silent_ms)  # fmt: skip


def count(rows: Iterable[Mapping[str, Any]]) -> None:
    """Take the numbers and ages (ms) of unresolved orders by state."""
    _standing.clear()
    _standing.update({row["state"]: (row["orders"], row["oldest_ms"]) for row in rows})


def _observe(which: int) -> list[Observation]:
    states = (_S.UNKNOWN, _S.DEAD, _S.LOST, _S.RESURRECTED, _S.SUBMITTED)
    return [Observation(_standing.get(s, (0, 0))[which], {"state": s}) for s in states]


def _orders(_: CallbackOptions) -> list[Observation]:
    return _observe(0)


def _ages(_: CallbackOptions) -> list[Observation]:
    return _observe(1)


_meter.create_observable_gauge(
    "orders_unresolved",
    [_orders],
    description="by state; LOST while it is watched, SUBMITTED when late",
)
_meter.create_observable_gauge(
    "orders_unresolved_oldest", [_ages], unit="ms", description="age of the oldest, by state"
)
