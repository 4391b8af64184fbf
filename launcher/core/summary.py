"""The numbers of a run as the live view and the summary show them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tradingtools.domain.money import MICROS, to_text

HOPS = (
    ("decide", "received_ns", "routed_ns"),
    ("claim", "routed_ns", "claimed_ns"),
    ("held by the collar", "held_ns", "cleared_ns"),
    ("commit to send", "cleared_ns", "submitting_ns"),
    ("wallet's turn", "submitting_ns", "turn_ns"),
    ("first byte", "turn_ns", "first_byte_ns"),
    ("our own time", "own_ns", "first_byte_ns"),
    ("answer", "first_byte_ns", "answered_ns"),
    ("confirmed", "answered_ns", "confirmed_ns"),
)
"""Name, from which instant, to which.

Our own time is all that passes before the first byte, what the venue takes included: REST's
answer where a copy needs a book that nobody watches ("decide"), and the answer to the entry before
it of the same wallet ("wallet's turn"). What the collar holds, of exits alone, waits by a rule that
an operator sets in milliseconds: it is a line of its own, over those that were held, and no part of
our own time.
"""

INSTANTS = (
    "received_ns", "own_ns", "routed_ns", "claimed_ns", "held_ns", "cleared_ns", "submitting_ns",
    "turn_ns", "first_byte_ns", "answered_ns", "confirmed_ns",
)  # fmt: skip
_DONE = ("CONFIRMED", "FAILED", "LOST")


@dataclass(frozen=True, slots=True)
class Hop:
    """The time of a step in milliseconds, and over how many orders."""

    name: str
    p50_ms: float
    p99_ms: float
    number: int


@dataclass(frozen=True, slots=True)
class RankedLeader:
    """A leader as REST ranks him, over all time; absent ratios are empty."""

    wallet: str
    trades: str
    realised: str
    roi: str
    win_rate: str
    gaps: int
    """Reasons why his record is no evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotNumbers:
    """A bot of the run."""

    name: str
    state: str
    quotes: int
    """Orders of it that rest."""
    fills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Everything that is shown. Amounts in micros."""

    leader_trades: int = 0
    decisions: int = 0
    copied: int = 0
    fills: int = 0
    journal_unbuilt: int = 0
    rejected_frames: int = 0
    skips: tuple[tuple[str, int], ...] = ()
    """Reason and number, most frequent first."""
    orders: dict[str, int] = field(default_factory=dict)
    """By state."""
    failures: tuple[tuple[str, int], ...] = ()
    """Kind with reason, and number."""
    triggers: dict[str, dict[str, int]] = field(default_factory=dict)
    """By type, by status."""
    fired: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By type: how many fired, how many of these sold something and are confirmed."""
    realised_micros: int = 0
    fee_micros: int = 0
    open_cost_micros: int = 0
    bought_micros: int = 0
    sold_micros: int = 0
    open_lots: int = 0
    backlogs: tuple[tuple[str, int], ...] = ()
    """Process, and milliseconds that the oldest of what waits there has waited."""
    alerts: tuple[str, ...] = ()
    """The newest alerts that a person got, or would have got with a target."""
    bots: tuple[BotNumbers, ...] = ()
    hops: tuple[Hop, ...] = ()
    leaders: tuple[RankedLeader, ...] = ()
    """The best first."""

    @property
    def behind_ms(self) -> int:
        """Milliseconds that the oldest of what waits anywhere has waited."""
        return max((age for _, age in self.backlogs), default=0)

    @property
    def skipped(self) -> int:
        """Decisions that did not copy."""
        return self.decisions - self.copied

    @property
    def open_orders(self) -> int:
        """Orders that are not at rest."""
        at_rest = {*_DONE, "DEAD", "RESURRECTED"}
        return sum(number for state, number in self.orders.items() if state not in at_rest)


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile of ascending numbers (at least one)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def hops(rows: Sequence[dict[str, int]]) -> tuple[Hop, ...]:
    """Each hop's percentiles over the orders that have both of its instants (not 0)."""
    found = []
    for name, begin, end in HOPS:
        taken = sorted(row[end] - row[begin] for row in rows if row[begin] and row[end])
        if taken:
            found.append(
                Hop(
                    name,
                    percentile(taken, 50) / 1e6,
                    percentile(taken, 99) / 1e6,
                    len(taken),
                )
            )
    return tuple(found)


def usdc(micros: int) -> str:
    """An amount for people: cents, rounded towards zero."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{rest // 10_000:02d}"


def exact(micros: int) -> str:
    """An amount to the micro."""
    return to_text(micros)


def brief(numbers: Numbers) -> str:
    """One line, for an output that is no terminal."""
    fired = ", ".join(f"{kind.lower()} {n}" for kind, (n, _) in sorted(numbers.fired.items()))
    own = next((hop for hop in numbers.hops if hop.name == "our own time"), None)
    latency = f"; own time p50 {own.p50_ms:.1f} p99 {own.p99_ms:.1f} ms" if own else ""
    held = next((hop for hop in numbers.hops if hop.name == "held by the collar"), None)
    latency += f"; {held.number} held by the collar" if held else ""
    behind = f"; behind by {numbers.behind_ms / 1000:.1f} s" if numbers.behind_ms >= 1000 else ""
    return (
        f"leader trades {numbers.leader_trades}, copied {numbers.copied}, skipped"
        f" {numbers.skipped}; orders open {numbers.open_orders}, confirmed"
        f" {numbers.orders.get('CONFIRMED', 0)}, failed {numbers.orders.get('FAILED', 0)};"
        f" fills {numbers.fills}; fired {fired or 'none'};"
        f" realised {usdc(numbers.realised_micros)} USDC{latency}{behind}"
        f"{f'; alert: {numbers.alerts[0]}' if numbers.alerts else ''}"
    )
