"""The guards of the protocol by name: each can be taken away alone, to see that it was needed.

The worlds ask `Rules`; `python -m tools.model --without GUARD` and the mutation run of the tests
take one away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tradingtools.venues.ports import Capabilities


class Guard(Enum):
    """One guard; the text says what holds while it stands."""

    CLAIM_UNIQUE = "a copy's key is claimed once, by a unique index of PostgreSQL"
    COMMIT_BEFORE_STREAM = "a claim is committed before it is streamed on"
    POLLING = "claims that no stream brought are found in PostgreSQL"
    IN_FLIGHT_MEMORY = "a process handles a key once in its life"
    STREAM_AFTER_RECOVERY = (
        "a new owner takes no claim that has been handled: it reads the stream from after its "
        "recovery, and the statement refuses rows that have left CLAIMED"
    )
    LEASE_IN_STATEMENT = "the SUBMITTING statement checks the lease's epoch"
    LEASE_ROW_LOCK = "that check locks the lease's row until the commit"
    RECORDS_BEFORE_POLLING = "a new owner turns records into rows before it looks for claims"
    FAIL_UNDER_LEASE = "CLAIMED -> FAILED is written only by the owner of the partition"
    SUBMITTING_BEFORE_POST = "SUBMITTING is committed before the first byte leaves"
    LOST_ACK_NOT_SENT = "a COMMIT without acknowledgement is asked again, not acted on"
    NOT_AFTER_IN_STATEMENT = "the SUBMITTING statement compares not_after with the clock"
    PAUSE_IN_STATEMENT = "the SUBMITTING statement looks for pause and halt"
    PAUSE_LOCK = "pause and halt wait for a SUBMITTING statement under way, and it for them"
    EPOCH_CAS = "a transition compares the order's epoch, not only its state"
    FENCE = "SUBMITTING without an answer becomes UNKNOWN when its lease has run out"
    UNPROVEN_IS_UNKNOWN = "what does not prove acceptance or refusal leads to UNKNOWN"
    RETRY_REJECTION_UNKNOWN = "a refusal of a retry says nothing about the first attempt"
    NO_RESEND_WITHOUT_A = "an unresolved order is sent again only with capability A"
    RETRY_BEFORE_POST = "another attempt is committed before its first byte leaves"
    ATTEMPTS_BOUNDED = "an order is sent again only so often"
    WISH_OF_ONE_EPOCH = "a wish to send again does not outlive the attempt that it led to"
    BODY_FROZEN = "a retry carries the bytes that were claimed"
    NOT_FOUND_NEEDS_B = "not-founds prove a loss only where the venue gateway enforces not_after"
    HORIZON = "not-founds count only after the horizon"
    THREE_NOT_FOUNDS = "one not-found may be stale; three spaced ones are not"
    TRANSPORT_IS_NO_VERDICT = "a transport error is no not-found"
    VOID_ATOMIC = "a void excludes acceptance at the venue gateway, also of a request under way"
    DEAD_KEEPS_MONEY = "what cannot be decided keeps its reservation"
    PART_UNIQUE = "a part's key is claimed once, whatever claim record it comes in"
    PARTS_REBUILT = "a new router knows what its predecessor ordered"
    LOST_CLAIM_READ_AGAIN = "a router whose claim was not acknowledged reads what is durable"
    ROUTER_LEASE = "the claim statement checks the lease's epoch under the lock of its row"
    ROWS_BY_MAX = "a row that was counted adds nothing"
    FAILED_TRADE_NOTED = "a trade that failed unseen is noted, so that no older answer books it"
    CONTRADICTION_NOT_BOOKED = "what cannot be this order is never booked"
    ENDS_WATCHED = "an order that has ended is asked for again"
    DEAD_ASKED_AGAIN = "a dead order is asked for again"
    DEAD_STAYS = "a dead order that is told in contradictions stays dead"
    REDUCED_TOGETHER = "a breach sets its wallet to REDUCING in the transaction that notes it"
    RESERVED_AGAIN = "what appears and may still change has its money set aside again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The guards that hold in one world."""

    capabilities: Capabilities
    without: Guard | None = None
    lives: int = 3
    """Lives of executors, one after the other in two processes: 2 is an owner that may crash at
    each step and its successor; with 3 the successor may crash at each step, too, and restarts."""

    def have(self, guard: Guard) -> bool:
        """Return whether a guard stands."""
        return guard is not self.without


LONGEST_PROCESSING_MS = 500


def combination(letters: str) -> Capabilities:
    """Capabilities by their letters, e.g. ``"AC"``.

    Raises:
        ValueError: a letter that is no capability.
    """
    strange = set(letters) - set("ABCD")
    if strange:
        raise ValueError(f"no capability: {', '.join(sorted(strange))}")
    a, b, c, d = (letter in letters for letter in "ABCD")
    return Capabilities(a, b, c, d, LONGEST_PROCESSING_MS)


COMBINATIONS: tuple[str, ...] = tuple(
    "".join(letter for bit, letter in enumerate("ABCD") if number >> bit & 1)
    for number in range(16)
)

PARTS_GUARDS: frozenset[Guard] = frozenset(
    {
        Guard.PART_UNIQUE,
        Guard.PARTS_REBUILT,
        Guard.LOST_CLAIM_READ_AGAIN,
        Guard.ROUTER_LEASE,
        Guard.ROWS_BY_MAX,
    }
)
"""Guards of the world of parts."""

ENDS_GUARDS: frozenset[Guard] = frozenset(
    {
        Guard.FAILED_TRADE_NOTED,
        Guard.CONTRADICTION_NOT_BOOKED,
        Guard.ENDS_WATCHED,
        Guard.DEAD_ASKED_AGAIN,
        Guard.DEAD_STAYS,
        Guard.REDUCED_TOGETHER,
        Guard.RESERVED_AGAIN,
    }
)
"""Guards of the world of an order's end."""

SHOWN_IN: dict[Guard, str] = {
    Guard.RETRY_REJECTION_UNKNOWN: "AC",
    Guard.EPOCH_CAS: "AC",
    Guard.RETRY_BEFORE_POST: "AC",
    Guard.ATTEMPTS_BOUNDED: "AC",
    Guard.WISH_OF_ONE_EPOCH: "AC",
    Guard.BODY_FROZEN: "AC",
    Guard.HORIZON: "BC",
    Guard.THREE_NOT_FOUNDS: "BC",
    Guard.TRANSPORT_IS_NO_VERDICT: "BC",
    Guard.VOID_ATOMIC: "CD",
}
"""A combination in which the loss of a guard shows; others: C alone."""
