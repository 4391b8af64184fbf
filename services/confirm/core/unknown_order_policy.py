"""Decide what to do with an order whose submission was not answered. Pure.

"Not found" is no verdict by itself: the request may still be on its way. Only a void of the key, or
a deadline that the venue gateway enforces together with several spaced not-founds after it, proves
that nothing will come. Where one key is one order, it may be sent again instead, a bounded number
of times and while there is time. The sixteen combinations of what insiders-api promises all end
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.ports import Capabilities


class LookupResult(Enum):
    """The result of a lookup by key."""

    FOUND = auto()
    VOIDED = auto()
    NOT_FOUND = auto()
    NO_ANSWER = auto()
    """Transport error or an answer that says nothing; never a "not found"."""
    NOT_SUPPORTED = auto()


class NextAction(Enum):
    """The next action."""

    BOOK = auto()
    """It exists: SUBMITTED."""
    GIVE_UP = auto()
    """It provably never will: LOST."""
    SEND_AGAIN = auto()
    """Have the same bytes sent under the same key once more."""
    VOID = auto()
    """Ask for a void of the key."""
    CALL = auto()
    """Nobody can find out: DEAD, a human is called."""
    WAIT = auto()
    """Ask again later."""


NOT_FOUNDS_NEEDED = 3
"""What the protocol asks for at least."""
UNREACHABLE_MS = 15 * 60_000
ATTEMPTS = 3
SEND_AGAIN_MS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOrder:
    """One unresolved order."""

    not_after_ms: int
    not_found_count: int
    """Earlier not-founds that were asked for after the horizon."""
    unknown_since_ms: int
    not_founds_needed: int = NOT_FOUNDS_NEEDED
    """After the horizon."""
    unreachable_ms: int = UNREACHABLE_MS
    """Silence longer than this calls a human."""
    attempt: int = 1
    """How often SUBMITTING was committed."""
    attempts: int = ATTEMPTS
    """How often it may be."""
    send_again_ms: int = SEND_AGAIN_MS
    """From the first UNKNOWN to the second attempt; it doubles with each further one."""


def horizon_ms(case: UnknownOrder, capabilities: Capabilities) -> int:
    """Return the instant after which a request sent in time cannot be accepted (with B)."""
    return case.not_after_ms + capabilities.longest_processing_ms


def after_lookup(
    case: UnknownOrder, poll: LookupResult, capabilities: Capabilities, now_ms: int
) -> NextAction:
    """Decide after asking for the key."""
    if poll is LookupResult.FOUND:
        return NextAction.BOOK
    if poll is LookupResult.VOIDED:
        return NextAction.GIVE_UP
    if poll is LookupResult.NO_ANSWER:
        return (
            NextAction.CALL
            if now_ms - case.unknown_since_ms > case.unreachable_ms
            else NextAction.WAIT
        )
    if may_be_sent_again(case, capabilities, now_ms):
        pause_ms = case.send_again_ms << (case.attempt - 1)
        return (
            NextAction.SEND_AGAIN if now_ms - case.unknown_since_ms >= pause_ms else NextAction.WAIT
        )
    if capabilities.void:
        return NextAction.VOID
    if poll is LookupResult.NOT_SUPPORTED or not capabilities.get_by_key:
        # Without the promise to read its own writes, a not-found says nothing.
        return NextAction.CALL
    if now_ms <= horizon_ms(case, capabilities):
        return NextAction.WAIT
    if case.not_found_count + 1 < case.not_founds_needed:
        return NextAction.WAIT
    return NextAction.GIVE_UP if capabilities.not_after else NextAction.CALL


def may_be_sent_again(case: UnknownOrder, capabilities: Capabilities, now_ms: int) -> bool:
    """Return whether another attempt can only help: one key is one order, and it is wanted
    still."""
    return capabilities.idempotency and case.attempt < case.attempts and now_ms < case.not_after_ms


def after_void(case: UnknownOrder, poll: LookupResult, now_ms: int) -> NextAction:
    """Decide after a void was asked for: VOIDED, FOUND (the key was used) or NO_ANSWER."""
    if poll is LookupResult.VOIDED:
        return NextAction.GIVE_UP
    if poll is LookupResult.FOUND:
        return NextAction.BOOK
    return (
        NextAction.CALL if now_ms - case.unknown_since_ms > case.unreachable_ms else NextAction.WAIT
    )


def reason(act: NextAction) -> Reason:
    """Return the reason code that goes with an end."""
    return {NextAction.GIVE_UP: Reason.NEVER_ARRIVED, NextAction.CALL: Reason.UNDECIDABLE}.get(
        act, Reason.NONE
    )


def pause_ms(checks: int) -> int:
    """Return how long to wait before the next question: doubling from 250 ms to 5 s."""
    return min(250 << min(checks, 10), 5_000)


def standing(order: VenueOrder) -> LookupResult:
    """Return what an order resource says about its key."""
    return LookupResult.VOIDED if order.voided else LookupResult.FOUND
