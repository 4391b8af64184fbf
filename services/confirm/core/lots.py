"""Lots, first in, first out. Pure arithmetic in micros: sums stay exact to the micro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.confirm.core.booking import Action, Step


@dataclass(frozen=True, slots=True)
class Entry:
    """Shares that were bought together and are still held."""

    entry_seq: int
    """Its number; below zero while it has no row."""
    size_micros: int
    cost_micros: int
    order_key: str = ""
    trade_id: str = ""


@dataclass(frozen=True, slots=True)
class Consumed:
    """The part that a sell takes out of a lot."""

    entries: tuple[Entry, ...]
    """Entries that changed, with what is left of them."""
    size_micros: int
    """Shares that were found; less than asked means more was sold than held."""
    cost_micros: int
    """What they had cost."""


def consume(entries: Sequence[Entry], size_micros: int) -> Consumed:
    """Take shares out of a lot, oldest first.

    The cost of a part of an entry is rounded down; the rest keeps the remainder, so that the costs
    of all parts sum to the cost of the whole.
    """
    changed: list[Entry] = []
    left, cost = size_micros, 0
    for entry in entries:
        if left == 0:
            break
        if entry.size_micros == 0:
            continue
        taken = min(entry.size_micros, left)
        part = entry.cost_micros * taken // entry.size_micros
        changed.append(
            replace(
                entry, size_micros=entry.size_micros - taken, cost_micros=entry.cost_micros - part
            )
        )
        left -= taken
        cost += part
    return Consumed(tuple(changed), size_micros - left, cost)


def shift(shares_micros: int, net_micros: int, by_micros: int) -> int:
    """Return by how much the shares of a lot change when its trades move it.

    A lot holds what was bought less what was sold, whatever was undone and when: a buy that is
    undone after its shares were sold leaves the lot short, and what comes next covers that first.

    Args:
        shares_micros: what it holds; never below zero.
        net_micros: bought less sold and resolved. Below what it holds: it is short. Above: shares
            have left it by another way, and stay away.
        by_micros: above zero: a buy is booked or a sale undone; below: the other way round.
    """
    position = min(shares_micros, net_micros)
    return max(0, position + by_micros) - shares_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The shares and cost of a lot."""

    shares_micros: int = 0
    cost_micros: int = 0
    net_micros: int = 0
    """Bought less sold and resolved."""
    entries: tuple[Entry, ...] = ()
    """Oldest first; those that are used up are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotChange:
    """The effect of one trade on a lot."""

    holding: Holding
    """Afterwards."""
    changed: tuple[Entry, ...]
    """Entries that came, or of which something was taken."""
    sums: Mapping[str, int]
    """By how much the lot's sums change, by name, micros."""
    sold_cost_micros: int
    """Of a sale: what its shares had cost."""
    short: bool
    """More was sold than the lot held."""


def move(
    held: Holding, step: Step, *, buying: bool, order_key: str, cost_micros: int, entry_seq: int
) -> LotChange:
    """Book a trade in its lot, or undo it there.

    Args:
        held: the lot before.
        step: ``BOOK`` or ``UNDO`` of a trade.
        buying: whether its order buys.
        order_key: of its order.
        cost_micros: of an undone sale: what its shares had cost.
        entry_seq: for the entry of shares that come.
    """
    trade, sign = step.trade, 1 if step.action is Action.BOOK else -1
    change = shift(
        held.shares_micros, held.net_micros, sign * trade.size_micros * (1 if buying else -1)
    )
    changed: tuple[Entry, ...]
    if change > 0:
        moved = (trade.notional_micros if buying else cost_micros) * change // trade.size_micros
        named = trade.trade_id if step.action is Action.BOOK else f"{trade.trade_id}:undone"
        changed = (Entry(entry_seq, change, moved, order_key, named),)
        entries = (*held.entries, *changed)
    else:
        taken = consume(_first(held.entries, step, order_key), -change)
        moved, changed = -taken.cost_micros, taken.entries
        after = {entry.entry_seq: entry for entry in changed}
        left = (after.get(entry.entry_seq, entry) for entry in held.entries)
        entries = tuple(entry for entry in left if entry.size_micros)
    way, notional = "bought" if buying else "sold", sign * trade.notional_micros
    return LotChange(
        holding=Holding(
            shares_micros=held.shares_micros + change,
            cost_micros=held.cost_micros + moved,
            net_micros=held.net_micros + sign * trade.size_micros * (1 if buying else -1),
            entries=entries,
        ),
        changed=changed,
        sums={
            "shares": change,
            "cost": moved,
            "fee": sign * trade.fee_micros,
            # What sales brought, less what buys cost, plus what the shares still held had cost.
            "realised": moved - notional if buying else moved + notional,
            f"{way}_size": sign * trade.size_micros,
            f"{way}_notional": notional,
        },
        sold_cost_micros=0 if buying else -moved,
        short=not buying and step.action is Action.BOOK and -change < trade.size_micros,
    )


def _first(entries: tuple[Entry, ...], step: Step, order_key: str) -> list[Entry]:
    """Order trades as shares leave: the oldest first, but of an undone buy its own."""
    own = (order_key, step.trade.trade_id)
    undone = step.action is Action.UNDO
    return sorted(entries, key=lambda e: not (undone and (e.order_key, e.trade_id) == own))
