"""The table of what each combination of the capabilities of insiders-api leads to.

`docs/failure-modes.md` shows this table; a test compares the two, and the fault suite compares
both with what real processes do. ``python -m tests.fault.table`` prints it.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass

from services.confirm.core import unknown_order_policy
from services.confirm.core.unknown_order_policy import LookupResult, NextAction, UnknownOrder
from tradingtools.domain.order_states import OrderState
from tradingtools.venues.ports import Capabilities

_LONGEST_MS = 500
_NOT_AFTER_MS = 5_000
_SPACING_MS = 500
"""Between two "not found" that count, as `TT_CONFIRM_NOT_FOUND_SPACING_MS` has it by default."""
_ENDS = {
    NextAction.BOOK: OrderState.SUBMITTED,
    # With A the answer is that of the first attempt, or the order's own.
    NextAction.SEND_AGAIN: OrderState.SUBMITTED,
    NextAction.GIVE_UP: OrderState.LOST,
    NextAction.CALL: OrderState.DEAD,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One combination, and how an order ends whose answer, or whose request, was lost."""

    capabilities: Capabilities
    answer_lost: OrderState
    request_lost: OrderState
    at_once: bool
    """Whether a lost request is decided before its horizon."""
    answer_sent_again: bool
    request_sent_again: bool

    @property
    def settles(self) -> bool:
        """Return whether an accepted order's end can be seen."""
        return self.capabilities.get_by_key or self.capabilities.void

    def shown(self, end: OrderState) -> OrderState:
        """Where an order with this end comes to a rest."""
        found = end is OrderState.SUBMITTED and self.settles
        return OrderState.CONFIRMED if found else end

    @property
    def name(self) -> str:
        """E.g. ``A-C-``."""
        promised = self.capabilities
        switches = (promised.idempotency, promised.not_after, promised.get_by_key, promised.void)
        return "".join(letter if on else "-" for letter, on in zip("ABCD", switches, strict=True))


def _poll(capabilities: Capabilities, *, accepted: bool) -> LookupResult:
    if not capabilities.get_by_key:
        return LookupResult.NOT_SUPPORTED
    return LookupResult.FOUND if accepted else LookupResult.NOT_FOUND


def _fate(capabilities: Capabilities, *, accepted: bool) -> tuple[OrderState, int, bool]:
    """The end of an unanswered order, when (ms), and whether it was sent again.

    Asked again and again as confirm does; another attempt is delivered and answered.
    """
    now, found, checks = 0, 0, 0
    while True:
        case = UnknownOrder(not_after_ms=_NOT_AFTER_MS, not_found_count=found, unknown_since_ms=0)
        poll = _poll(capabilities, accepted=accepted)
        act = unknown_order_policy.after_lookup(case, poll, capabilities, now)
        if act is NextAction.VOID:
            # The answer to a void tells which: 200 voided, 409 with the order that used the key.
            act = unknown_order_policy.after_void(
                case, LookupResult.FOUND if accepted else LookupResult.VOIDED, now
            )
        if act in _ENDS:
            return _ENDS[act], now, act is NextAction.SEND_AGAIN
        if poll is LookupResult.NOT_FOUND and now > unknown_order_policy.horizon_ms(
            case, capabilities
        ):
            found += 1
        now += max(unknown_order_policy.pause_ms(checks), _SPACING_MS)
        checks += 1


def rows() -> list[Row]:
    """All sixteen, from none to all."""
    found = []
    for a, b, c, d in itertools.product((False, True), repeat=4):
        capabilities = Capabilities(a, b, c, d, _LONGEST_MS)
        answer_lost, _, answer_again = _fate(capabilities, accepted=True)
        request_lost, when, request_again = _fate(capabilities, accepted=False)
        found.append(
            Row(
                capabilities,
                answer_lost,
                request_lost,
                when <= _NOT_AFTER_MS + _LONGEST_MS,
                answer_again,
                request_again,
            )
        )
    return found


def _means(row: Row) -> str:
    promised = row.capabilities
    if not promised.idempotency:
        return _without_sending(promised)
    again = "sent again" if row.answer_sent_again else "found by key, or sent again"
    return f"{again}; in vain: {_without_sending(promised)}"


def _without_sending(promised: Capabilities) -> str:
    if promised.get_by_key:
        found = "found by key"
    elif promised.void:
        found = "found by the answer to the void"
    else:
        return "nothing can be asked: a person decides, money stays reserved"
    if promised.void:
        return f"{found}, or the key is voided"
    if promised.not_after:
        return f"{found}, or three not-founds after the horizon"
    return f"{found}; a not-found never proves anything, so a person decides"


def markdown() -> str:
    """The table as the documentation shows it."""
    lines = [
        "| promises | the answer was lost | the request was lost | decided | how |",
        "|---|---|---|---|---|",
    ]
    for row in rows():
        ends = row.shown(row.answer_lost), row.shown(row.request_lost)
        when = "at once" if row.at_once else "after the horizon"
        lines.append(f"| `{row.name}` | {ends[0]} | {ends[1]} | {when} | {_means(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown() + "\n")
