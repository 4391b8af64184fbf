"""Assign wallets to engines: to those that can their exchange, fairly, up to their capacity. Pure.

Each engine decides for itself, by what the database says of all: the same answer everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSeat:
    """An engine that lives."""

    name: str
    venues: frozenset[str]
    """Exchanges that it can; empty: none."""
    capacity: int
    """The most bots."""
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletLoad:
    """A wallet with a bot to run, or with an engine that holds its lease."""

    wallet_id: str
    exchange: str
    bots: int
    """Count of bots to run or to end."""
    engine: str = ""
    """Holder of its lease; empty: nobody."""
    heir: str = ""
    """Engine that has prepared for it; empty: none."""

    @property
    def weight(self) -> int:
        """Return what it takes of a capacity."""
        return max(self.bots, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All engines that live, and all wallets that concern them."""

    engines: Sequence[EngineSeat]
    wallets: Sequence[WalletLoad]

    def of(self, name: str) -> list[WalletLoad]:
        """Return the wallets of an engine, the heaviest first."""
        return _heaviest_first(one for one in self.wallets if one.engine == name)

    @property
    def free(self) -> list[WalletLoad]:
        """Return the wallets without an engine, the heaviest first."""
        return _heaviest_first(one for one in self.wallets if not one.engine)


def taken(name: str, fleet: Fleet) -> list[str]:
    """Return the free wallets that an engine takes: its part, when all take theirs."""
    loads = _loads(fleet)
    return [
        wallet
        for wallet, engine in _placed(fleet.free, fleet.engines, loads).items()
        if engine == name
    ]


def moved(name: str, fleet: Fleet) -> dict[str, str]:
    """Return the wallets that a draining engine hands over, each with its successor.

    One for which no other engine has room is left out: it stays where it is.
    """
    others = [one for one in fleet.engines if one.name != name]
    return _placed(fleet.of(name), others, _loads(fleet))


def rebalanced(name: str, fleet: Fleet) -> tuple[str, str] | None:
    """Return a wallet and its successor that make the heaviest engine's part smaller.

    None: no other engine would have a smaller part of its capacity with a wallet than this one has
    now, so it ends.
    """
    loads = _loads(fleet)
    mine = next((one for one in fleet.engines if one.name == name), None)
    if mine is None or not mine.capacity:
        return None
    part = Fraction(loads.get(name, 0), mine.capacity)
    others = [one for one in fleet.engines if one.name != name]
    for wallet in fleet.of(name):
        best = _best(wallet, others, loads)
        if best is not None and _part(best, loads, wallet) < part:
            return wallet.wallet_id, best.name
    return None


def homeless(fleet: Fleet) -> list[str]:
    """Return the free wallets for which no engine has room."""
    placed = _placed(fleet.free, fleet.engines, _loads(fleet))
    return [one.wallet_id for one in fleet.free if one.wallet_id not in placed]


def _heaviest_first(wallets: Iterable[WalletLoad]) -> list[WalletLoad]:
    return sorted(wallets, key=lambda one: (-one.weight, one.wallet_id))


def _loads(fleet: Fleet) -> dict[str, int]:
    loads: dict[str, int] = {}
    for one in fleet.wallets:
        if one.engine:
            loads[one.engine] = loads.get(one.engine, 0) + one.weight
    return loads


def _placed(
    wallets: Iterable[WalletLoad], engines: Sequence[EngineSeat], loads: dict[str, int]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for wallet in wallets:
        best = _best(wallet, engines, loads)
        if best is not None:
            loads[best.name] = loads.get(best.name, 0) + wallet.weight
            found[wallet.wallet_id] = best.name
    return found


def _best(
    wallet: WalletLoad, engines: Iterable[EngineSeat], loads: Mapping[str, int]
) -> EngineSeat | None:
    """Return the heir, or the engine that has most room: the least part of its capacity in use."""
    able = [
        one
        for one in engines
        if not one.draining
        and wallet.exchange in one.venues
        and loads.get(one.name, 0) + wallet.weight <= one.capacity
    ]
    return min(
        able,
        key=lambda one: (one.name != wallet.heir, _part(one, loads, wallet), one.name),
        default=None,
    )


def _part(engine: EngineSeat, loads: Mapping[str, int], wallet: WalletLoad) -> Fraction:
    return Fraction(loads.get(engine.name, 0) + wallet.weight, engine.capacity)
