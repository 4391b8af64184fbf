"""The sums that are kept say what adding everything up says, after whatever has happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from services.control.store import queries
from tests.control.requests import ASSET, Database, put_decision, put_lot, put_order
from tradingtools.domain.order_states import TRANSITIONS

_DIFFERENCES = queries("statistics/queries")["differences"]
_WALLET = "0x" + "5a" * 20
_LEADER = "0x" + "be" * 20
_SUBSCRIPTIONS = tuple(f"sub_{number:032x}" for number in range(3))
_ASSETS = (ASSET, "8" * 30)


def _connection(url: str) -> psycopg.Connection[DictRow]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row)


@pytest.fixture
def booked(database_url: str) -> Iterator[Database]:
    """A database with subscriptions."""
    with _connection(database_url) as database:
        for identifier in _SUBSCRIPTIONS:
            database.execute(
                "insert into subscription (id, follower_user_id, follower_wallet_id,"
                " follower_proxy, leader, state, version, sizing_mode, sizing_micros, changed_seq)"
                " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 0)",
                [identifier, _WALLET, _LEADER],
            )
        yield database


def _differences(database: Database) -> list[DictRow]:
    return database.execute(_DIFFERENCES).fetchall()


def _fold(database: Database, limit: int) -> int:
    row = database.execute("select fold_statistics(%s) as n", [limit]).fetchone()
    assert row is not None
    return int(row["n"])


class _History:
    """Rows as the other processes write them, changed as they change them, by chance."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._random = Random(seed)  # noqa: S311 - chance that repeats
        self._orders: dict[str, tuple[str | None, int, int]] = {}
        """State, filled, notional by key."""
        self._decisions: list[tuple[str, str, str, str]] = []

    def step(self) -> None:
        """One change; what it is says the seed."""
        steps = [self._decide, self._order, self._move, self._move, self._fill, self._lot]
        if self._orders:
            self._random.choice([*steps, self._decide_again])()
        else:
            self._decide()
            self._order()

    def _paper(self) -> str | None:
        size = self._random.choice([None, None, 5_000_000, -5_000_000])
        if size is None:
            return self._random.choice([None, '{"accrued_micros": 1}'])
        return json.dumps(
            {
                "paper_size_micros": size,
                "paper_notional_micros": size // 2,
                "paper_cost_micros": size // 3,
            }
        )

    def _decide(self) -> None:
        asset, side = self._random.choice(_ASSETS), self._random.choice(["BUY", "SELL"])
        subscription = self._random.choice(_SUBSCRIPTIONS)
        tx = put_decision(
            self._database, _WALLET, subscription, asset_id=asset, side=side,
            copied=self._random.random() < 0.5, frozen=self._paper(),
            leader_size_micros=self._random.randint(1, 10**9),
            leader_notional_micros=self._random.choice([0, self._random.randint(1, 10**9)]),
        )  # fmt: skip
        self._decisions.append((tx, asset, side, subscription))

    def _decide_again(self) -> None:
        """A later part of the leader's trade."""
        tx, asset, side, subscription = self._random.choice(self._decisions)
        self._database.execute(
            "insert into decision (leader_tx, leader, asset_id, side, subscription_id,"
            " condition_id, follower_proxy, copied, reason, detail, leader_size_micros,"
            " leader_notional_micros, frozen)"
            " values (%s, %s, %s, %s, %s, 'c', %s, %s, '', '', %s, %s, %s)"
            " on conflict (leader_tx, leader, asset_id, side, subscription_id) do update set"
            " copied = excluded.copied, frozen = excluded.frozen,"
            " leader_size_micros = excluded.leader_size_micros,"
            " leader_notional_micros = excluded.leader_notional_micros",
            [
                tx, _LEADER, asset, side, subscription, _WALLET, self._random.random() < 0.5,
                self._random.randint(1, 10**9), self._random.randint(0, 10**9), self._paper(),
            ],
        )  # fmt: skip

    def _order(self) -> None:
        tx, asset, side, subscription = self._random.choice(self._decisions)
        state = self._random.choice(["CLAIMED", "CLAIMED", "CLAIMED", "CONFIRMED", "UNKNOWN"])
        filled = self._random.choice([0, 0, 4_000_000])
        key = put_order(
            self._database, _WALLET, subscription, state, leader_tx=tx, asset_id=asset, side=side,
            filled_size_micros=filled, filled_notional_micros=filled // 2,
            purpose=self._random.choice(["ENTRY", "COPY_EXIT", "GUARD_EXIT"]),
            received_ns=self._random.choice([0, 10**9]),
            answered_ns=self._random.choice([0, 10**9 + self._random.randint(-5, 10**18)]),
        )  # fmt: skip
        self._database.execute(
            "update decision set order_keys = order_keys || %s where leader_tx = %s", [[key], tx]
        )
        self._orders[key] = (state, filled, filled // 2)

    def _move(self) -> None:
        key, (state, filled, notional) = self._random.choice(list(self._orders.items()))
        onward = [move.target for move in TRANSITIONS if move.source == state]
        if not onward:
            return
        target = self._random.choice(onward)
        self._database.execute(
            "update orders set state = %s, failed_kind = %s where order_key = %s",
            [target, "KILLED" if target == "FAILED" else None, key],
        )
        self._orders[key] = (target, filled, notional)

    def _fill(self) -> None:
        """A fill, or one that did not stand and is taken back."""
        key, (state, filled, _) = self._random.choice(list(self._orders.items()))
        filled = 0 if filled else self._random.randint(1, 10_000_000)
        notional = filled // self._random.randint(1, 5)
        self._database.execute(
            "update orders set filled_size_micros = %s, filled_notional_micros = %s"
            " where order_key = %s",
            [filled, notional, key],
        )
        self._orders[key] = (state, filled, notional)

    def _lot(self) -> None:
        """Bookings of several lots in one statement: bought, sold, corrected, paid out."""
        for origin in (*_SUBSCRIPTIONS, "manual"):
            if self._random.random() < 0.2:
                asset = str(self._random.randint(10**29, 10**30))
                put_lot(self._database, _WALLET, origin, asset_id=asset)
        self._database.execute(
            "update lot set bought_notional_micros = bought_notional_micros + %s,"
            " sold_notional_micros = sold_notional_micros + %s, fee_micros = fee_micros + 7,"
            " realised_micros = realised_micros - %s, cost_micros = %s, shares_micros = %s,"
            " payout_micros = payout_micros + 11 where random() < 0.5",
            [self._random.randint(-1000, 1000) for _ in range(3)]
            + [self._random.randint(0, 1000) for _ in range(2)],
        )


@pytest.mark.parametrize("seed", range(2))
def test_sums_are_exact_after_any_history(booked: Database, seed: int) -> None:
    history = _History(booked, seed)
    when = Random(seed)  # noqa: S311 - chance that repeats
    for number in range(80):
        history.step()
        if when.random() < 0.3:
            _fold(booked, when.choice([1, 3, 1000]))
        if number % 10 == 9:
            assert _differences(booked) == []
    while _fold(booked, 7):
        pass
    assert _differences(booked) == []
    left = booked.execute(
        "select (select count(*) from statistics_delta) + (select count(*) from slippage_due) as n"
    ).fetchone()
    assert left == {"n": 0}


@pytest.mark.parametrize("fold_at", [1, 2, 3])
def test_what_is_not_committed_yet_is_in_no_sum(
    booked: Database, database_url: str, fold_at: int
) -> None:
    """Two transactions fill an order and change its decision, and do not see each other."""
    one = _SUBSCRIPTIONS[0]
    tx = put_decision(booked, _WALLET, one, copied=True)
    key = put_order(booked, _WALLET, one, "SUBMITTED", leader_tx=tx)
    booked.execute("update decision set order_keys = array[%s]", [key])
    with _connection(database_url) as confirm, _connection(database_url) as router:
        steps: list[Callable[[], object]] = [
            lambda: confirm.execute(
                "begin; update orders set filled_size_micros = 1000000,"
                " filled_notional_micros = 900000, state = 'CONFIRMED'"
            ),
            lambda: router.execute("begin; update decision set leader_notional_micros = 300000"),
            lambda: confirm.execute("commit"),
            lambda: router.execute("commit"),
        ]
        for number, step in enumerate(steps):
            if number == fold_at:
                _fold(booked, 1000)
            step()
            assert _differences(booked) == []
    while _fold(booked, 1000):
        pass
    assert _differences(booked) == []
    kept = booked.execute("select confirmed, slippage from statistics_sum").fetchone()
    # 0.9 USDC for what cost the leader 0.3 for 1.5 shares.
    assert kept == {"confirmed": 1, "slippage": 700_000}
