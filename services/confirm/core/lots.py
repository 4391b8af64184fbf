"""Lots, first in, first out. Pure arithmetic in micros: sums stay exact to the micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Shares that were bought together and are still held."""

    entry_seq: int
    size_micros: int
    cost_micros: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a sell takes out of a lot."""

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
        changed.append(Entry(entry.entry_seq, entry.size_micros - taken, entry.cost_micros - part))
        left -= taken
        cost += part
    return Consumed(tuple(changed), size_micros - left, cost)


def shift(shares_micros: int, net_micros: int, by_micros: int) -> int:
    """By how much the shares of a lot change when its trades move it.

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
