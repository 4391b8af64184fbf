"""Decide which assets are watched, and on which connection. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardChange:
    """The change that one connection has to send. ``shard`` may be one past the last: a new one."""

    shard: int
    subscribe: tuple[str, ...]
    unsubscribe: tuple[str, ...]


def plan(
    shards: Sequence[Collection[str]], desired: Collection[str], size: int
) -> list[ShardChange]:
    """Return differences that make the shards hold exactly ``desired``, none above ``size`` assets.

    Assets stay where they are; free places are filled from the first shard on.
    """
    have = {asset for shard in shards for asset in shard}
    new = sorted(set(desired) - have)
    moves = []
    for number, shard in enumerate(shards):
        gone = tuple(sorted(asset for asset in shard if asset not in desired))
        free = max(size - (len(shard) - len(gone)), 0)
        fill, new = tuple(new[:free]), new[free:]
        if fill or gone:
            moves.append(ShardChange(number, fill, gone))
    number = len(shards)
    while new:
        fill, new = tuple(new[:size]), new[size:]
        moves.append(ShardChange(number, fill, ()))
        number += 1
    return moves


class Interest:
    """The assets that are wanted, and by whom: held, streamed, asked for lately, or likely to be
    traded next."""

    def __init__(self, linger_ms: int) -> None:
        self._linger_ms = linger_ms
        self._held: frozenset[str] = frozenset()
        self._foreseen: dict[str, frozenset[str]] = {}
        self._streamed: dict[str, int] = {}
        self._requested_ms: dict[str, int] = {}

    def hold(self, assets: Collection[str]) -> None:
        """Set the assets with shares or live triggers, from the database."""
        self._held = frozenset(assets)

    def prefetch(self, why: str, assets: Collection[str]) -> None:
        """Set the assets that a leader is likely to trade next, by what says so."""
        self._foreseen[why] = frozenset(assets)

    def open_stream(self, assets: Collection[str]) -> None:
        """Watch assets for as long as a reader's stream is open."""
        for asset in assets:
            self._streamed[asset] = self._streamed.get(asset, 0) + 1

    def close_stream(self, assets: Collection[str]) -> None:
        """Note that the stream that named the assets is closed."""
        for asset in assets:
            left = self._streamed[asset] - 1
            if left:
                self._streamed[asset] = left
            else:
                del self._streamed[asset]

    def touch(self, asset: str, now_ms: int) -> None:
        """Watch an asset for a while: its book was requested once."""
        self._requested_ms[asset] = now_ms

    def desired(self, now_ms: int) -> frozenset[str]:
        """Return every asset that is to be watched now."""
        self._requested_ms = {
            asset: at for asset, at in self._requested_ms.items() if now_ms - at < self._linger_ms
        }
        return (
            self._held.union(*self._foreseen.values())
            | _keys(self._streamed)
            | _keys(self._requested_ms)
        )


def _keys(mapping: Mapping[str, int]) -> frozenset[str]:
    return frozenset(mapping)
