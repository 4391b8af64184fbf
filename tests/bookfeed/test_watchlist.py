"""Test which assets are watched, and on which connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.bookfeed.core.watchlist import Interest, plan

assets = st.frozensets(st.integers(1, 30).map(str), max_size=30)


@given(st.lists(assets, min_size=1, max_size=8), st.integers(1, 7))
def test_any_sequence_of_wishes_is_met_with_bounded_shards(
    wishes: list[frozenset[str]], size: int
) -> None:
    shards: list[set[str]] = []
    for desired in wishes:
        before = {asset: number for number, shard in enumerate(shards) for asset in shard}
        for move in plan(shards, desired, size):
            if move.shard == len(shards):
                shards.append(set())
            assert set(move.unsubscribe) <= shards[move.shard]
            shards[move.shard] -= set(move.unsubscribe)
            shards[move.shard] |= set(move.subscribe)
        placed = [asset for shard in shards for asset in shard]
        assert sorted(placed) == sorted(desired), "each once, nothing else"
        assert all(len(shard) <= size for shard in shards)
        for number, shard in enumerate(shards):
            assert all(before.get(asset, number) == number for asset in shard), "none moves"
        assert plan(shards, desired, size) == []


def test_an_asset_is_wanted_while_anybody_wants_it() -> None:
    interest = Interest(linger_ms=100)
    interest.hold(["1"])
    interest.open_stream(["1", "2"])
    interest.open_stream(["2"])
    interest.touch("3", 0)
    assert interest.desired(99) == {"1", "2", "3"}
    assert interest.desired(100) == {"1", "2"}
    interest.close_stream(["2"])
    interest.hold([])
    assert interest.desired(100) == {"1", "2"}
    interest.close_stream(["1", "2"])
    assert interest.desired(100) == frozenset()


def test_asking_again_lingers_on() -> None:
    interest = Interest(linger_ms=100)
    interest.touch("3", 0)
    interest.touch("3", 90)
    assert interest.desired(150) == {"3"}
