"""The last gate against a reference that keeps every order it ever let through."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.executor.core.pre_trade_limits import Halt, Limits, PreTradeLimits, SentEntry
from tests.unit.samples import order
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Order, Purpose

WALLETS = ["0x" + digit * 40 for digit in "12"]
NONE = Limits()


def entry(key: str, wallet: str, size: int, limit: int = 500_000) -> Order:
    made = order()
    follower = structs.replace(made.follower, proxy=wallet)
    market = made.condition_id if len(key) % 2 else "0x" + "9" * 64
    return structs.replace(
        made, order_key=key, follower=follower, size_micros=size, limit_micros=limit,
        condition_id=market,
    )  # fmt: skip


def leave(made: Order) -> Order:
    return structs.replace(made, purpose=Purpose.COPY_EXIT, side=Side.SELL)


def cost(made: Order) -> int:
    return -(-made.size_micros * made.limit_micros // 1_000_000)


limits = st.builds(
    Limits,
    order_notional_micros=st.none() | st.integers(0, 60),
    wallet_minute_micros=st.none() | st.integers(0, 150),
    market_minute_micros=st.none() | st.integers(0, 200),
    minute_micros=st.none() | st.integers(0, 250),
    orders_per_minute=st.none() | st.integers(0, 5),
)
arrivals = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.sampled_from(WALLETS),
        st.integers(1, 160),
        st.booleans(),
        st.booleans(),
    ),
    max_size=15,
)


@given(limits, arrivals)
def test_the_gate_against_a_plain_reference(
    bounds: Limits, rows: list[tuple[int, str, int, bool, bool]]
) -> None:
    gate, now = PreTradeLimits(bounds), 1_000_000
    passed: list[tuple[int, str, str, int]] = []
    for number, (pause, wallet, size, leaving, denied) in enumerate(rows):
        now += pause
        made = entry("k" * (number + 1), wallet, size)
        refused = gate.judge([leave(made) if leaving else made], now)
        if leaving:
            assert refused == {}
            continue
        recent = [row for row in passed if row[0] >= now - 60_000]
        spent = sum(money for _, who, _, money in recent if who == wallet) + cost(made)
        market = made.condition_id
        there = sum(money for _, _, where, money in recent if where == market) + cost(made)
        everything = sum(money for _, _, _, money in recent) + cost(made)
        over = [
            bounds.order_notional_micros is not None and cost(made) > bounds.order_notional_micros,
            bounds.wallet_minute_micros is not None and spent > bounds.wallet_minute_micros,
            bounds.market_minute_micros is not None and there > bounds.market_minute_micros,
            bounds.minute_micros is not None and everything > bounds.minute_micros,
            bounds.orders_per_minute is not None and len(recent) >= bounds.orders_per_minute,
        ]
        assert set(refused) == ({made.order_key} if any(over) else set())
        assert all(refusal.why for refusal in refused.values())
        if denied:
            gate.release([made])
        elif not any(over):
            passed.append((now, wallet, made.condition_id, cost(made)))


def test_absent_limits_do_not_limit_and_zero_ones_refuse() -> None:
    made = entry("k", WALLETS[0], 10**12)
    assert PreTradeLimits(NONE).judge([made], 0) == {}
    for bounds in (
        replace(NONE, order_notional_micros=0),
        replace(NONE, wallet_minute_micros=0),
        replace(NONE, orders_per_minute=0),
    ):
        assert set(PreTradeLimits(bounds).judge([made], 0)) == {"k"}


def test_orders_of_one_batch_count_against_each_other() -> None:
    gate = PreTradeLimits(replace(NONE, orders_per_minute=2))
    batch = [entry(str(n), WALLETS[0], 10) for n in range(4)]
    assert set(gate.judge(batch, 0)) == {"2", "3"}


def test_what_was_refused_does_not_count() -> None:
    gate = PreTradeLimits(replace(NONE, wallet_minute_micros=100))
    assert gate.judge([entry("a", WALLETS[0], 300)], 0)
    assert gate.judge([entry("b", WALLETS[0], 200)], 0) == {}


def test_an_order_that_is_judged_twice_counts_once() -> None:
    gate = PreTradeLimits(replace(NONE, orders_per_minute=2))
    made = entry("a", WALLETS[0], 10)
    assert gate.judge([made], 0) == gate.judge([made], 1) == {}
    assert gate.judge([entry("b", WALLETS[0], 10)], 2) == {}


def test_a_minute_later_there_is_room_again() -> None:
    gate = PreTradeLimits(replace(NONE, orders_per_minute=1))
    assert gate.judge([entry("a", WALLETS[0], 10)], 0) == {}
    assert gate.judge([entry("b", WALLETS[0], 10)], 60_000)
    assert gate.judge([entry("c", WALLETS[0], 10)], 60_001) == {}


def test_a_refusal_shows_its_numbers() -> None:
    gate = PreTradeLimits(replace(NONE, order_notional_micros=1_000_000))
    why = gate.judge([entry("a", WALLETS[0], 5_000_000)], 0)["a"].why
    assert why == "order 2.5 > 1 USDC"


def test_an_exposure_halts_its_wallet_and_a_rate_everything() -> None:
    gate = PreTradeLimits(replace(NONE, wallet_minute_micros=100, orders_per_minute=2))
    assert gate.judge([entry("a", WALLETS[0], 100)], 0) == {}
    halt = gate.judge([entry("b", WALLETS[0], 200)], 0)["b"].halt
    assert halt == Halt(
        scope="WALLET",
        subject=WALLETS[0],
        reason="last gate: wallet 0.00015 > 0.0001 USDC within a minute",
    )
    assert gate.judge([entry("c", WALLETS[1], 10)], 0) == {}
    halt = gate.judge([entry("d", WALLETS[1], 10)], 0)["d"].halt
    assert halt is not None
    assert (halt.scope, halt.subject) == ("GLOBAL", "")


def test_a_single_large_order_halts_nothing() -> None:
    gate = PreTradeLimits(replace(NONE, order_notional_micros=1))
    assert gate.judge([entry("a", WALLETS[0], 100)], 0)["a"].halt is None


def test_a_market_that_takes_too_much_is_halted_alone() -> None:
    gate = PreTradeLimits(replace(NONE, market_minute_micros=100))
    first, second = entry("a", WALLETS[0], 150), entry("b", WALLETS[1], 100)
    assert gate.judge([first], 0) == {}
    halt = gate.judge([second], 0)["b"].halt
    assert halt == Halt(
        scope="MARKET",
        subject=second.condition_id,
        reason="last gate: market 0.000125 > 0.0001 USDC within a minute",
    )
    assert gate.judge([entry("cc", WALLETS[1], 100)], 0) == {}, "another market"


def test_orders_of_a_minute_are_bounded_and_halt_everything() -> None:
    gate = PreTradeLimits(replace(NONE, minute_micros=100))
    assert gate.judge([entry("a", WALLETS[0], 150)], 0) == {}
    halt = gate.judge([entry("bb", WALLETS[1], 100)], 0)["bb"].halt
    assert halt is not None
    assert (halt.scope, halt.subject) == ("GLOBAL", "")


def test_a_restart_makes_no_room() -> None:
    gate = PreTradeLimits(replace(NONE, wallet_minute_micros=100))
    gate.remember([(-10_000, SentEntry("before", WALLETS[0], "0xc", 80))])
    assert set(gate.judge([entry("a", WALLETS[0], 60)], 0)) == {"a"}
    assert gate.judge([entry("b", WALLETS[0], 60)], 50_001) == {}
