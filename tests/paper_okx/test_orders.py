"""Test orders as the exchange takes, amends, fills and ends them, with its own codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paper.okx.core.amounts import ONE
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.happenings import OrderChanged, PublicTrade
from paper.okx.core.orders import OrderRequest
from tests.paper_okx.crowd import START_MS, exchange

NOW = START_MS
SWAP = "BTC-USDT-SWAP"
BUY = OrderRequest(inst_id=SWAP, td_mode="cross", side="buy", ord_type="limit", sz="1", px="50000")
SPOT = replace(BUY, inst_id="BTC-USDT", td_mode="cash", sz="0.01")


@pytest.fixture
def at() -> Exchange:
    made = exchange("ann", "bob")
    for inst_id in (SWAP, "BTC-USDT", "BTC-USD-SWAP"):
        made.market_book(inst_id, [(499_900, 10**9)], [(500_100, 10**9)], NOW)
    made.drain()
    return made


def reported(at: Exchange) -> list[tuple[str, int]]:
    """State and filled lots of what was said of orders."""
    return [
        (one.order.state, one.order.filled) for one in at.drain() if isinstance(one, OrderChanged)
    ]


def test_an_order_lives_is_filled_in_parts_and_keeps_its_average(at: Exchange) -> None:
    order = at.place("ann", replace(BUY, sz="3"), NOW)
    at.market_print(SWAP, "sell", 500_000, 100, NOW)
    at.market_print(SWAP, "sell", 499_950, 500, NOW)
    assert reported(at) == [("live", 0), ("partially_filled", 100), ("filled", 300)]
    assert order.value == 300 * 500_000
    assert order.fee == 3 * 500 * ONE * 2 // 10_000  # a maker's, of 3 contracts of 0.01 BTC


def test_a_taker_pays_more_than_a_maker_and_levels_differ(at: Exchange) -> None:
    at.open_account("vip", level="VIP5")
    at.deposit("vip", "USDT", 10_000 * ONE, NOW)
    maker = at.place("vip", replace(BUY, sz="1"), NOW)
    taker = at.place("ann", replace(BUY, side="sell", ord_type="market", px="", sz="1"), NOW)
    assert (maker.fee, maker.rebate) == (0, 500 * ONE * 2 // 100_000)
    assert taker.fee == 500 * ONE * 5 // 10_000


def test_a_client_id_is_unique_among_open_orders_only(at: Exchange) -> None:
    first = at.place("ann", replace(BUY, cl_ord_id="a1"), NOW)
    with pytest.raises(Refusal, match="51016"):
        at.place("ann", replace(BUY, cl_ord_id="a1"), NOW)
    at.place("bob", replace(BUY, cl_ord_id="a1"), NOW)
    at.market_print(SWAP, "sell", 499_000, 10**6, NOW)
    assert first.state == "filled"
    second = at.place("ann", replace(BUY, cl_ord_id="a1"), NOW)
    assert at.world.find("ann", "", "a1", NOW) is second
    assert at.world.find("ann", first.ord_id, "", NOW) is first


def test_a_cancelled_order_without_a_fill_is_forgotten_after_two_hours(at: Exchange) -> None:
    order = at.place("ann", BUY, NOW)
    at.cancel("ann", SWAP, order.ord_id, "", NOW)
    assert at.world.find("ann", order.ord_id, "", NOW + 7_200_000) is order
    assert at.world.find("ann", order.ord_id, "", NOW + 7_200_001) is None
    with pytest.raises(Refusal, match="51400"):
        at.cancel("ann", SWAP, order.ord_id, "", NOW)


def test_an_amended_size_includes_what_is_filled(at: Exchange) -> None:
    order = at.place("ann", replace(BUY, sz="3"), NOW)
    at.market_print(SWAP, "sell", 500_000, 100, NOW)
    at.amend("ann", SWAP, order.ord_id, "", size="2", req_id="r1", now_ms=NOW)
    assert (order.size, order.left) == (200, 100)
    at.amend("ann", SWAP, order.ord_id, "", size="1", now_ms=NOW)
    assert (order.state, order.size, order.filled) == ("filled", 100, 100)
    with pytest.raises(Refusal, match="51503"):
        at.amend("ann", SWAP, order.ord_id, "", size="2", now_ms=NOW)


def test_an_amend_that_fails_leaves_or_takes_the_order(at: Exchange) -> None:
    order = at.place("ann", BUY, NOW)
    for cancel, state in ((False, "live"), (True, "canceled")):
        with pytest.raises(Refusal, match="51008"):
            at.amend("ann", SWAP, order.ord_id, "", size="90", cancel_on_fail=cancel, now_ms=NOW)
        assert order.state == state


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"inst_id": "XYZ-USDT"}, "51001"),
        ({"side": "hold"}, "51000"),
        ({"td_mode": "cash"}, "51000"),
        ({"pos_side": "long"}, "51000"),
        ({"cl_ord_id": "a-1"}, "51000"),
        ({"sz": "0.005"}, "51121"),
        ({"sz": ""}, "51000"),
        ({"px": ""}, "50014"),
        ({"px": "50000.05"}, "51000"),
        ({"px": "52500.1"}, "51006"),
        ({"sz": "100000000.01"}, "51203"),
        ({"ord_type": "market", "sz": "12000.01"}, "51202"),
        ({"sz": "2000"}, "51008"),
        ({"reduce_only": True}, "51169"),
    ],
)
def test_what_is_wrong_has_the_exchanges_code(
    at: Exchange, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        at.place("ann", replace(BUY, **changes), NOW)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert at.drain() == []


def test_modes_bound_what_may_be_traded(at: Exchange) -> None:
    at.open_account("spot", mode="1")
    at.deposit("spot", "USDT", 1_000 * ONE, NOW)
    with pytest.raises(Refusal, match="51010"):
        at.place("spot", BUY, NOW)
    at.place("spot", SPOT, NOW)


def test_leverage_is_bound_by_the_tier(at: Exchange) -> None:
    at.deposit("ann", "USDT", 10**9 * ONE, NOW)
    at.set_leverage("ann", SWAP, "cross", 100, NOW)
    with pytest.raises(Refusal, match="51004"):
        at.place("ann", replace(BUY, sz="1000.01"), NOW)
    at.place("ann", replace(BUY, sz="1000"), NOW)
    with pytest.raises(Refusal, match="59102"):
        at.set_leverage("ann", SWAP, "cross", 101, NOW)


def test_post_only_is_cancelled_and_was_never_live(at: Exchange) -> None:
    order = at.place("ann", replace(BUY, ord_type="post_only", px="50010"), NOW)
    assert reported(at) == [("canceled", 0)]
    assert order.cancel_source == "31"


@pytest.mark.parametrize(("kind", "source"), [("ioc", "14"), ("fok", "13")])
def test_what_does_not_wait_says_why_it_left(at: Exchange, kind: str, source: str) -> None:
    order = at.place("ann", replace(BUY, ord_type=kind, px="49000"), NOW)
    assert (order.state, order.cancel_source) == ("canceled", source)


def test_a_spot_market_buy_spends_quote(at: Exchange) -> None:
    order = at.place("ann", replace(SPOT, ord_type="market", px="", sz="1000"), NOW)
    account = at.world.account("ann")
    assert (order.state, order.fee_currency) == ("filled", "BTC")
    spent = order.filled * order.instrument.worth(500_100)
    assert account.cash["USDT"] == 10_000 * ONE - spent
    assert 999 * ONE < spent <= 1_000 * ONE
    bought = order.instrument.base_of(order.filled)
    assert account.cash["BTC"] == ONE // 5 + bought - order.fee


def test_open_orders_bind_what_they_need(at: Exchange) -> None:
    at.place("ann", replace(SPOT, sz="0.15"), NOW)  # 7,500 of 10,000 USDT
    with pytest.raises(Refusal, match="51008"):
        at.place("ann", replace(SPOT, sz="0.06"), NOW)
    with pytest.raises(Refusal, match="51008"):
        at.place("ann", replace(BUY, sz="20"), NOW)
    at.place("ann", replace(BUY, sz="10"), NOW)  # a third of 5,000


def test_a_taker_pays_for_the_depth_that_he_goes_to(at: Exchange) -> None:
    """What a market order may cost is counted by the last price that it reaches, and a limit that
    crosses by what it gets."""
    at.market_book("BTC-USDT", [], [(499_000, 10**6), (600_000, 10**9)], NOW)
    deep = replace(SPOT, ord_type="market", px="", tgt_ccy="base_ccy", sz="0.19")
    with pytest.raises(Refusal, match="51008"):
        at.place("ann", deep, NOW)
    at.set_leverage("ann", SWAP, "isolated", 1, NOW)
    low = replace(BUY, td_mode="isolated", side="sell", px="47500.5", sz="20.5")
    with pytest.raises(Refusal, match="51008"):
        at.place("ann", low, NOW)


def test_reduce_only_never_opens(at: Exchange) -> None:
    at.place("ann", replace(BUY, ord_type="market", px=""), NOW)
    closing = replace(BUY, side="sell", px="50100", sz="5", reduce_only=True)
    order = at.place("ann", closing, NOW)
    assert order.size == 100
    at.place("ann", replace(BUY, side="sell", ord_type="market", px="", sz="0.4"), NOW)
    assert (order.state, order.cancel_source) == ("canceled", "22")


def test_a_net_position_turns(at: Exchange) -> None:
    at.place("ann", replace(BUY, ord_type="market", px=""), NOW)
    at.place("ann", replace(BUY, side="sell", ord_type="market", px="", sz="3"), NOW)
    position = at.world.account("ann").positions[SWAP, "cross"]
    assert position.lots == -200
    assert position.average() == 49_990 * ONE


def test_the_dead_mans_switch_takes_its_tag_alone(at: Exchange) -> None:
    mine = at.place("ann", replace(BUY, tag="bot1"), NOW)
    other = at.place("ann", BUY, NOW)
    with pytest.raises(Refusal, match="51000"):
        at.trading.cancel_all_after("ann", "bot1", 9, NOW)
    assert at.trading.cancel_all_after("ann", "bot1", 10, NOW) == NOW + 10_000
    at.trading.cancel_all_after("ann", "bot1", 10, NOW + 5_000)
    at.at(NOW + 14_999)
    assert mine.state == "live"
    at.at(NOW + 15_000)
    assert (mine.state, mine.cancel_source, other.state) == ("canceled", "20", "live")


def test_an_order_too_late_is_not_taken(at: Exchange) -> None:
    with pytest.raises(Refusal, match="51149"):
        at.place("ann", BUY, NOW, expires_ms=NOW - 1)
    at.place("ann", BUY, NOW, expires_ms=NOW)


def test_funding_moves_cash_or_the_isolated_margin(at: Exchange) -> None:
    for name, mode in (("ann", "cross"), ("bob", "isolated")):
        at.place(name, replace(BUY, td_mode=mode, ord_type="market", px=""), NOW)
    cash = at.world.account("ann").cash["USDT"]
    margin = at.world.account("bob").positions[SWAP, "isolated"].margin
    at.at(NOW + 1)  # 0.01 % of 500 USDT
    assert at.world.account("ann").cash["USDT"] == cash - ONE // 20
    assert at.world.account("bob").positions[SWAP, "isolated"].margin == margin - ONE // 20
    assert at.world.funding[SWAP].at_ms == NOW + 60_001
    assert list(at.world.funding[SWAP].settled) == [(NOW + 1, 100_000)]


def test_a_suspended_instrument_takes_cancels_alone(at: Exchange) -> None:
    order = at.place("ann", BUY, NOW)
    at.set_state(SWAP, "suspend", NOW)
    with pytest.raises(Refusal, match="51022"):
        at.place("ann", BUY, NOW)
    at.cancel("ann", SWAP, order.ord_id, "", NOW)
    at.set_state(SWAP, "live", NOW)
    at.place("ann", BUY, NOW)


def test_a_dated_contract_ends_at_its_time(at: Exchange) -> None:
    dated = next(one for one in at.world.instruments.values() if one.kind == "FUTURES")
    at.market_book(dated.inst_id, [(499_900, 10**6)], [(500_100, 10**6)], NOW)
    request = replace(BUY, inst_id=dated.inst_id)
    at.place("ann", replace(request, ord_type="market", px=""), NOW)
    order = at.place("ann", request, NOW)
    before = at.world.account("ann").cash["USDT"]
    at.mark(dated.inst_id, 510_100, NOW)
    assert dated.expires_ms is not None
    at.at(dated.expires_ms)
    assert (order.state, order.cancel_source) == ("canceled", "7")
    assert at.world.account("ann").held(dated.inst_id, "cross") is None
    assert at.world.account("ann").cash["USDT"] == before + 10 * ONE
    reported, fill = at.world.fills["ann"][-1]
    assert (reported.category, reported.side, reported.state) == ("delivery", "sell", "filled")
    assert (fill.price, fill.lots, fill.fee, fill.gain) == (510_100, 100, 0, 10 * ONE)
    with pytest.raises(Refusal, match="51027"):
        at.place("ann", request, NOW)


def test_our_accounts_trade_with_each_other_in_public(at: Exchange) -> None:
    at.place("ann", BUY, NOW)
    at.place("bob", replace(BUY, side="sell"), NOW)
    prints = [one for one in at.drain() if isinstance(one, PublicTrade)]
    assert [(one.side, one.price, one.lots) for one in prints] == [("sell", 500_000, 100)]
