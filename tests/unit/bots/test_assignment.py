"""Wallets go to engines that can their exchange, fairly, and never past a capacity."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.bots.core.assignment import (
    EngineSeat,
    Fleet,
    WalletLoad,
    homeless,
    moved,
    rebalanced,
    taken,
)

_VENUES = ("okx", "polymarket")


def engine(
    name: str, *, capacity: int = 10, draining: bool = False, venues: str = "okx"
) -> EngineSeat:
    return EngineSeat(
        name=name, venues=frozenset(venues.split()), capacity=capacity, draining=draining
    )


def wallet(
    name: str, bots: int = 1, of: str = "", exchange: str = "okx", heir: str = ""
) -> WalletLoad:
    return WalletLoad(wallet_id=name, exchange=exchange, bots=bots, engine=of, heir=heir)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    names = [f"e-{number}" for number in range(draw(st.integers(1, 4)))]
    engines = [
        EngineSeat(
            name=name,
            venues=draw(st.frozensets(st.sampled_from(_VENUES))),
            capacity=draw(st.integers(0, 12)),
            draining=draw(st.booleans()),
        )
        for name in names
    ]
    wallets = [
        wallet(
            f"w{number}",
            draw(st.integers(0, 5)),
            draw(st.sampled_from(["", "dead", *names])),
            draw(st.sampled_from(_VENUES)),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    return Fleet(engines=engines, wallets=wallets)


def given_away(fleet: Fleet, moves: dict[str, str]) -> Fleet:
    """Return the fleet after wallets went to engines."""
    return replace(
        fleet,
        wallets=[
            replace(one, engine=moves.get(one.wallet_id, one.engine)) for one in fleet.wallets
        ],
    )


def load(fleet: Fleet, name: str) -> int:
    return sum(one.weight for one in fleet.of(name))


@given(fleets())
@settings(max_examples=60)
def test_every_engine_takes_its_own_part_within_its_capacity(fleet: Fleet) -> None:
    moves: dict[str, str] = {}
    for one in fleet.engines:
        for wallet_id in taken(one.name, fleet):
            assert wallet_id not in moves
            moves[wallet_id] = one.name
    after = given_away(fleet, moves)
    seats = {one.name: one for one in fleet.engines}
    for wallet_id, name in moves.items():
        mine = next(one for one in fleet.wallets if one.wallet_id == wallet_id)
        assert not mine.engine
        assert mine.exchange in seats[name].venues
        assert not seats[name].draining
        assert load(after, name) <= seats[name].capacity
    assert sorted(homeless(fleet)) == sorted(one.wallet_id for one in after.free)


@given(fleets())
@settings(max_examples=60)
def test_a_drain_moves_nothing_past_a_capacity_and_nothing_to_itself(fleet: Fleet) -> None:
    for one in fleet.engines:
        moves = moved(one.name, fleet)
        after = given_away(fleet, moves)
        for name in set(moves.values()):
            seat = next(other for other in fleet.engines if other.name == name)
            assert name != one.name
            assert load(after, name) <= seat.capacity


@given(fleets())
@settings(max_examples=60)
def test_balancing_ends(fleet: Fleet) -> None:
    for _ in range(200):
        move = next(
            (found for one in fleet.engines if (found := rebalanced(one.name, fleet))), None
        )
        if move is None:
            return
        fleet = given_away(fleet, dict([move]))
    raise AssertionError("wallets go round and round")


def test_twenty_wallets_are_shared_by_three_engines_alike() -> None:
    engines = [engine(f"e-{number}", capacity=200) for number in range(3)]
    fleet = Fleet(engines=engines, wallets=[wallet(f"w{n:02}", 10) for n in range(20)])
    assert [len(taken(one.name, fleet)) for one in engines] == [7, 7, 6]


def test_an_engine_without_exchanges_takes_nothing() -> None:
    fleet = Fleet(engines=[engine("e-1", venues="")], wallets=[wallet("w1")])
    assert taken("e-1", fleet) == []
    assert homeless(fleet) == ["w1"]


def test_an_engine_that_has_come_gets_wallets_of_the_one_that_has_all() -> None:
    wallets = [wallet(f"w{number}", 10, of="e-1") for number in range(4)]
    fleet = Fleet(
        engines=[engine("e-1", capacity=100), engine("e-2", capacity=100)], wallets=wallets
    )
    moves = []
    while found := rebalanced("e-1", fleet):
        moves.append(found)
        fleet = given_away(fleet, dict([found]))
    assert len(moves) == 2
    assert rebalanced("e-2", fleet) is None


def test_a_wallet_without_another_home_stays_where_it_is_drained() -> None:
    full = engine("e-2", capacity=2)
    fleet = Fleet(
        engines=[engine("e-1", draining=True), full],
        wallets=[wallet("w1", 2, of="e-1"), wallet("w2", 2, of="e-1")],
    )
    assert moved("e-1", fleet) == {"w1": "e-2"}


def test_a_wallet_goes_to_the_heir_that_has_prepared_as_long_as_it_can_have_it() -> None:
    engines = [engine("a"), engine("b"), engine("c", capacity=100)]
    mine = wallet("w1", 5, "a", heir="b")
    assert moved("a", Fleet(engines=engines, wallets=[mine])) == {"w1": "b"}
    full = [mine, wallet("w2", 6, "b")]
    assert moved("a", Fleet(engines=engines, wallets=full)) == {"w1": "c"}
    leaving = [engine("a"), engine("b", draining=True), engine("c", capacity=100)]
    assert moved("a", Fleet(engines=leaving, wallets=[mine])) == {"w1": "c"}
