"""Test liquidation: a warning, then orders, then two tiers at a time, then bankruptcy."""

from __future__ import annotations

from paper.okx.core.amounts import ONE
from paper.okx.core.exchange import Exchange
from paper.okx.core.happenings import Liquidated, LiquidationWarning, OrderChanged
from paper.okx.core.orders import OrderRequest
from tests.paper_okx.crowd import START_MS, exchange
from tests.paper_okx.test_margin import LINEAR, opened

NOW = START_MS


def fall(at: Exchange, inst_id: str, *prices: int) -> list[object]:
    """Let the mark fall step by step; what happened."""
    at.drain()
    found: list[object] = []
    for price in prices:
        at.mark(inst_id, at.world.instruments[inst_id].ticks(str(price)), NOW)
        found += at.drain()
    return found


def test_a_holder_is_warned_once_before_he_is_liquidated() -> None:
    at, account, _ = opened(LINEAR, "buy", "100", "50000", "isolated", 10)
    found = fall(at, LINEAR, 45_600, 45_590, 45_580)
    assert [type(one) for one in found if isinstance(one, (LiquidationWarning, Liquidated))] == [
        LiquidationWarning
    ]
    found = fall(at, LINEAR, 45_100)
    assert [one.lots for one in found if isinstance(one, Liquidated)] == [10_000]
    assert account.held(LINEAR, "isolated") is None


def test_what_a_full_liquidation_leaves_is_the_insurances() -> None:
    at, account, _ = opened(LINEAR, "buy", "100", "50000", "isolated", 10)
    cash = account.cash["USDT"]
    found = fall(at, LINEAR, 45_100)
    order = next(one.order for one in found if isinstance(one, OrderChanged))
    assert (order.category, order.state, order.filled) == ("full_liquidation", "filled", 10_000)
    assert order.last is not None
    assert order.last.price == 450_000  # the bankruptcy price
    assert account.cash["USDT"] == cash
    # 100 USDT above bankruptcy, less the fee of closing 1 BTC at 45,100.
    assert at.world.ledger.insurance["USDT"] == 100 * ONE - 45_100 * ONE * 5 // 10_000


def test_a_gap_beyond_bankruptcy_is_paid_by_the_insurance() -> None:
    at, account, _ = opened(LINEAR, "buy", "100", "50000", "isolated", 10)
    cash = account.cash["USDT"]
    fall(at, LINEAR, 40_000)
    assert account.cash["USDT"] == cash
    assert at.world.ledger.insurance["USDT"] == -5_000 * ONE - 40_000 * ONE * 5 // 10_000


def test_a_large_position_shrinks_by_two_tiers_first() -> None:
    at, account, of = opened(LINEAR, "buy", "9000", "50000", "isolated", 10)
    position = account.positions[LINEAR, "isolated"]
    found = fall(at, LINEAR, 45_450)
    steps = [one.lots * of.lot // ONE for one in found if isinstance(one, Liquidated)]
    orders = [one.order.category for one in found if isinstance(one, OrderChanged)]
    assert steps == [8_000]  # tier 3 to the top of tier 1
    assert orders == ["partial_liquidation"]
    assert position.lots * of.lot == 1_000 * ONE
    assert position.margin > 0


def test_orders_go_before_positions() -> None:
    at = exchange("ann")
    of = at.world.instruments[LINEAR]
    at.set_leverage("ann", LINEAR, "cross", 50, NOW)
    at.market_level(LINEAR, "sell", of.ticks("50000"), 10**9, NOW)
    for kind, size, price in (("market", "700", ""), ("limit", "20", "49000")):
        at.place(
            "ann",
            OrderRequest(
                inst_id=LINEAR, td_mode="cross", side="buy", ord_type=kind, sz=size, px=price
            ),
            NOW,
        )
    at.place(
        "ann",
        OrderRequest(
            inst_id="BTC-USDT", td_mode="cash", side="buy", ord_type="limit", sz="0.03", px="49000"
        ),
        NOW,
    )
    found = fall(at, LINEAR, 48_870)
    reported = [one.order for one in found if isinstance(one, OrderChanged)]
    assert [(one.state, one.cancel_source) for one in reported[:2]] == [("canceled", "3")] * 2
    account = at.world.account("ann")
    assert account.held(LINEAR, "cross") is not None  # without them the pool is enough
    fall(at, LINEAR, 48_700)
    assert account.held(LINEAR, "cross") is None
    assert account.cash["USDT"] == 0


def test_a_pool_loses_its_most_demanding_position_first() -> None:
    at = exchange("ann")
    for inst_id, size in ((LINEAR, "600"), ("ETH-USDT-SWAP", "500")):
        of = at.world.instruments[inst_id]
        at.set_leverage("ann", inst_id, "cross", 50, NOW)
        at.market_level(inst_id, "sell", at.world.marks[inst_id], 10**9, NOW)
        at.place(
            "ann",
            OrderRequest(inst_id=inst_id, td_mode="cross", side="buy", ord_type="market", sz=size),
            NOW,
        )
        assert of.settle == "USDT"
    found = fall(at, LINEAR, 48_500, 48_420)
    gone = [one.inst_id for one in found if isinstance(one, Liquidated)]
    assert gone == [LINEAR]
    account = at.world.account("ann")
    assert account.held("ETH-USDT-SWAP", "cross") is not None
    assert account.cash["USDT"] > 0
