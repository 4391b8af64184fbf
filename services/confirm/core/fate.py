"""What to conclude about an order whose submission was not answered. Pure.

"Not found" is no verdict by itself: the request may still be on its way. Only a void of the key, or
a deadline that the far side enforces together with several spaced not-founds after it, proves that
nothing will come. Where one key is one order, it may be sent again instead, a bounded number of
times and while there is time. The sixteen combinations of what insiders-api promises all end here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.venues.ports import Capabilities


class Look(Enum):
    """What a question by key gave."""

    FOUND = auto()
    VOIDED = auto()
    NOT_FOUND = auto()
    NO_ANSWER = auto()
    """Transport error or an answer that says nothing; never a "not found"."""
    NOT_SUPPORTED = auto()


class Act(Enum):
    """What to do next."""

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
class Case:
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


def horizon_ms(case: Case, capabilities: Capabilities) -> int:
    """After this instant a request that was sent in time cannot be accepted any more (with B)."""
    return case.not_after_ms + capabilities.longest_processing_ms


def after_look(case: Case, look: Look, capabilities: Capabilities, now_ms: int) -> Act:
    """Decide after asking for the key."""
    if look is Look.FOUND:
        return Act.BOOK
    if look is Look.VOIDED:
        return Act.GIVE_UP
    if look is Look.NO_ANSWER:
        return Act.CALL if now_ms - case.unknown_since_ms > case.unreachable_ms else Act.WAIT
    if may_be_sent_again(case, capabilities, now_ms):
        pause_ms = case.send_again_ms << (case.attempt - 1)
        return Act.SEND_AGAIN if now_ms - case.unknown_since_ms >= pause_ms else Act.WAIT
    if capabilities.void:
        return Act.VOID
    if look is Look.NOT_SUPPORTED or not capabilities.get_by_key:
        # Without the promise to read its own writes, a not-found says nothing.
        return Act.CALL
    if now_ms <= horizon_ms(case, capabilities):
        return Act.WAIT
    if case.not_found_count + 1 < case.not_founds_needed:
        return Act.WAIT
    return Act.GIVE_UP if capabilities.not_after else Act.CALL


def may_be_sent_again(case: Case, capabilities: Capabilities, now_ms: int) -> bool:
    """Whether another attempt can only help: one key is one order, and it is wanted still."""
    return capabilities.idempotency and case.attempt < case.attempts and now_ms < case.not_after_ms


def after_void(case: Case, look: Look, now_ms: int) -> Act:
    """Decide after a void was asked for: VOIDED, FOUND (the key was used) or NO_ANSWER."""
    if look is Look.VOIDED:
        return Act.GIVE_UP
    if look is Look.FOUND:
        return Act.BOOK
    return Act.CALL if now_ms - case.unknown_since_ms > case.unreachable_ms else Act.WAIT


def reason(act: Act) -> Reason:
    """The reason code that goes with an end."""
    return {Act.GIVE_UP: Reason.NEVER_ARRIVED, Act.CALL: Reason.UNDECIDABLE}.get(act, Reason.NONE)


def pause_ms(checks: int) -> int:
    """How long to wait before the next question: doubling from 250 ms to 5 s."""
    return min(250 << min(checks, 10), 5_000)


def standing(order: VenueOrder) -> Look:
    """What an order resource says about its key."""
    return Look.VOIDED if order.voided else Look.FOUND
