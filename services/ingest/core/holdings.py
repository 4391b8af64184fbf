"""Track what leaders hold: a baseline from the Data API, moved by facts.

A baseline already contains some of the recent transactions, and the feed tells of those, too;
which ones it contains is known, because positions are asked for between two equal answers about
the trades. The share that a leader sold of what he held decides how much his followers sell.

One answer may bring tens of thousands of transactions, and each is looked up: so what moved an
asset is kept in order with its sums, and a look-up goes through none of the others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from tradingtools.domain.money import MAX_MICROS

At = tuple[int, int, str]
"""A transaction in the order of trading: its time, ms, the number it was given, and its hash."""


class _Moves:
    """The net shares that each transaction moved of one asset, 1e-6, in the order of trading."""

    def __init__(self) -> None:
        self._at: list[At] = []
        self._net: list[int] = []
        # What the first ones come to together, one sum more than ones; as many as are still right.
        # They may all be too high by the same amount: what is taken away in front stays in them.
        self._sums = [0]

    def __bool__(self) -> bool:
        return bool(self._at)

    def __iter__(self) -> Iterator[tuple[At, int]]:
        return zip(self._at, self._net, strict=True)

    def put(self, at: At, net: int) -> int | None:
        """Take what a transaction moves now; return what it moved before, None:
        nothing."""
        index = bisect_left(self._at, at)
        del self._sums[index + 1 :]
        if index < len(self._at) and self._at[index] == at:
            old, self._net[index] = self._net[index], net
            return old
        self._at.insert(index, at)
        self._net.insert(index, net)
        return None

    def take(self, at: At) -> int:
        """Take a transaction away; what it moved."""
        index = bisect_left(self._at, at)
        if index == 0 and len(self._sums) > 1:
            del self._sums[0]
        else:
            del self._sums[index + 1 :]
        del self._at[index]
        return self._net.pop(index)

    def before(self, at: At) -> int:
        """Return what those before a transaction moved together."""
        index = bisect_left(self._at, at)
        known = len(self._sums) - 1
        if known < index:
            more = accumulate(self._net[known:index], initial=self._sums.pop())
            self._sums.extend(more)
        return self._sums[index] - self._sums[0]


class Holdings:
    """One leader's. Nothing is known of them before the first baseline."""

    def __init__(self) -> None:
        self._moves: dict[str, _Moves] = {}
        self._baseline: dict[str, int] | None = None
        self._contained: Mapping[str, dict[str, int]] = {}
        self._settled: set[str] = set()
        # Of each asset that was looked up: what the baseline contains of the moves.
        self._inside: dict[str, int] = {}

    @property
    def known(self) -> bool:
        """Return whether there is a baseline."""
        return self._baseline is not None

    def rest_on(
        self, baseline: dict[str, int], contained: Mapping[str, dict[str, int]], settled: set[str]
    ) -> None:
        """Begin with a new baseline; what moved stays known.

        Args:
            baseline: shares of each asset, 1e-6.
            contained: by asset and transaction, the net shares that the baseline contains already.
            settled: transactions that the baseline contains whole, whatever more comes of them.
        """
        self._baseline = baseline
        self._contained = contained
        self._settled = settled
        self._inside.clear()

    def settle(self, tx: str) -> None:
        """Take a transaction that has moved nothing yet as contained: it is so old that the
        baseline has it."""
        self._settled.add(tx)

    def moved(self, asset_id: str, at: At, net: int) -> None:
        """Note that a transaction moves so much of an asset: shares in less shares out, 1e-6."""
        moves = self._moves.get(asset_id)
        if moves is None:
            moves = self._moves[asset_id] = _Moves()
        old = moves.put(at, net)
        if asset_id in self._inside:
            before = 0 if old is None else self._part(asset_id, at, old)
            self._inside[asset_id] += self._part(asset_id, at, net) - before

    def before(self, asset_id: str, at: At) -> int | None:
        """Return shares held before a transaction, 1e-6, never negative; None: unknown, as
        without a baseline, or more than there can be.

        Nobody knows then what he held, and followers leave whole with his next sell. By the most
        there can be, they would sell next to nothing.
        """
        if self._baseline is None:
            return None
        held = self._baseline.get(asset_id, 0)
        moves = self._moves.get(asset_id)
        if moves is not None:
            held += moves.before(at) - self._inside_of(asset_id, moves)
        return max(held, 0) if held <= MAX_MICROS else None

    def fold(self, at: At, assets: Iterable[str]) -> None:
        """Put a transaction that is being forgotten, and moved these, into the baseline."""
        for asset_id in assets:
            moves = self._moves[asset_id]
            net = moves.take(at)
            part = self._part(asset_id, at, net)
            if not moves:
                del self._moves[asset_id]
                self._inside.pop(asset_id, None)
            elif asset_id in self._inside:
                self._inside[asset_id] -= part
            self._contained.get(asset_id, {}).pop(at[2], None)
            if self._baseline is not None:
                self._baseline[asset_id] = max(self._baseline.get(asset_id, 0) + net - part, 0)
        self._settled.discard(at[2])

    def _inside_of(self, asset_id: str, moves: _Moves) -> int:
        inside = self._inside.get(asset_id)
        if inside is None:
            inside = sum(self._part(asset_id, at, net) for at, net in moves)
            self._inside[asset_id] = inside
        return inside

    def _part(self, asset_id: str, at: At, net: int) -> int:
        if at[2] in self._settled:
            return net
        contained = self._contained.get(asset_id)
        return contained.get(at[2], 0) if contained else 0
