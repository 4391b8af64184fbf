"""Each invariant is broken once, in evidence that is otherwise whole, and must be named."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from launcher import gather
from launcher.__main__ import main as launcher
from launcher.core.evidence import (
    BalanceRow,
    ControlChange,
    DecisionRow,
    EventRow,
    Evidence,
    FillRow,
    GatewayOrder,
    GatewayPost,
    GatewayRedemption,
    GatewayState,
    GatewayTrade,
    GatewayWallet,
    LeaderTrade,
    LotRow,
    OrderRow,
    RedemptionRow,
    ReservationRow,
    SubscriptionRow,
    TriggerRow,
)
from launcher.core.invariants import AT_ANY_TIME, CHECKS, breaches
from launcher.running_check import RunningCheck
from launcher.state import RunDescription, write_note
from tradingtools.domain.ids import entry_copy_key, guard_exit_key, order_key

WALLET = "0x" + "a" * 40
LEADER = "0x" + "b" * 40
TX = "0x" + "c" * 64
ASSET = "12345"
SUBSCRIPTION = "sub_" + "1" * 32
TRIGGER = "trg_" + "2" * 32
CASH = 10_000_000_000

BUY = order_key(entry_copy_key(TX, WALLET, ASSET), 0)
EXIT = order_key(guard_exit_key(TRIGGER, 0, 0), 0)
REFUSED = order_key(entry_copy_key(TX, WALLET, "777"), 0)

_PATHS = {
    "CONFIRMED": ("", "CLAIMED", "SUBMITTING", "SUBMITTED", "CONFIRMED"),
    "FAILED": ("", "CLAIMED", "FAILED"),
}


def _row(key: str, copy_key: str, **changed: object) -> OrderRow:
    row = OrderRow(
        order_key=key,
        copy_key=copy_key,
        ordinal=0,
        purpose="ENTRY",
        subscription_id=SUBSCRIPTION,
        trigger_id="",
        follower_proxy=WALLET,
        leader_tx=TX,
        asset_id=ASSET,
        side="BUY",
        size_micros=10_000_000,
        limit_micros=500_000,
        not_after_ms=5_000,
        body_hash="d" * 64,
        journal_seq=7,
        state="CONFIRMED",
        failed_kind="",
        epoch=1,
        filled_size_micros=10_000_000,
        filled_notional_micros=4_900_000,
        fee_micros=20_000,
        chain_head="",
    )
    return replace(row, **changed)  # type: ignore[arg-type]


def _history(row: OrderRow) -> tuple[OrderRow, list[EventRow]]:
    """The events that lead to a row's state, and the row with the head they lead to."""
    path = _PATHS[row.state]
    head = hashlib.sha256(
        f"{row.order_key}|CLAIMED|{row.body_hash}|{row.journal_seq}".encode()
    ).digest()
    events = []
    for number, (source, target) in enumerate(pairwise(path)):
        if number:
            text = f"{source}|{target}||{number}|{number * 1000}"
            head = hashlib.sha256(head + text.encode()).digest()
        events.append(
            EventRow(
                order_key=row.order_key,
                from_state=source,
                to_state=target,
                reason="",
                epoch=number,
                occurred_us=number * 1000,
                hash=head.hex(),
            )
        )
    return replace(row, chain_head=head.hex()), events


def _far(row: OrderRow) -> GatewayOrder:
    trade = GatewayTrade(
        trade_id=f"trade-{row.order_key[:8]}",
        size_micros=row.filled_size_micros,
        notional_micros=row.filled_notional_micros,
        fee_micros=row.fee_micros,
        status="CONFIRMED",
    )
    return GatewayOrder(
        order_key=row.order_key,
        follower_proxy=row.follower_proxy,
        asset_id=row.asset_id,
        side=row.side,
        size_micros=row.size_micros,
        limit_micros=row.limit_micros,
        closed=True,
        filled_size_micros=row.filled_size_micros,
        filled_notional_micros=row.filled_notional_micros,
        fee_micros=row.fee_micros,
        accepted_ms=4_000,
        trades=(trade,),
    )


def _fill(order: GatewayOrder) -> FillRow:
    trade = order.trades[0]
    return FillRow(
        order_key=order.order_key,
        trade_id=trade.trade_id,
        status="CONFIRMED",
        size_micros=trade.size_micros,
        notional_micros=trade.notional_micros,
        fee_micros=trade.fee_micros,
    )


def whole() -> Evidence:
    """A run of one copy that was bought, sold in part by a trigger, and one that was refused."""
    buy, buy_events = _history(_row(BUY, entry_copy_key(TX, WALLET, ASSET)))
    sell, sell_events = _history(
        _row(
            EXIT,
            guard_exit_key(TRIGGER, 0, 0),
            purpose="GUARD_EXIT",
            trigger_id=TRIGGER,
            leader_tx="",
            side="SELL",
            size_micros=4_000_000,
            filled_size_micros=4_000_000,
            filled_notional_micros=2_100_000,
            fee_micros=9_000,
        )
    )
    unsent, unsent_events = _history(
        _row(
            REFUSED,
            entry_copy_key(TX, WALLET, "777"),
            asset_id="777",
            state="FAILED",
            failed_kind="UNSENT",
            filled_size_micros=0,
            filled_notional_micros=0,
            fee_micros=0,
        )
    )
    gateway = (_far(buy), _far(sell))
    decision = DecisionRow(
        leader_tx=TX,
        leader=LEADER,
        asset_id=ASSET,
        side="BUY",
        subscription_id=SUBSCRIPTION,
        copied=True,
        reason="",
        ordered_size_micros=10_000_000,
        order_keys=(BUY,),
    )
    other = replace(decision, asset_id="777", order_keys=(REFUSED,))
    return Evidence(
        orders=(buy, sell, unsent),
        events=(*buy_events, *sell_events, *unsent_events),
        fills=tuple(_fill(order) for order in gateway),
        decisions=(decision, other),
        subscriptions=(
            SubscriptionRow(
                id=SUBSCRIPTION,
                leader=LEADER,
                state="ACTIVE",
                version=1,
                created_ms=1_000,
                max_per_trade_micros=5_000_000,
            ),
        ),
        lots=(
            LotRow(
                follower_proxy=WALLET,
                asset_id=ASSET,
                origin=SUBSCRIPTION,
                shares_micros=6_000_000,
                # 4 of 10 shares that cost 4.9 were sold for 2.1.
                cost_micros=2_940_000,
                bought_size_micros=10_000_000,
                bought_notional_micros=4_900_000,
                sold_size_micros=4_000_000,
                sold_notional_micros=2_100_000,
                fee_micros=29_000,
                realised_micros=140_000,
            ),
        ),
        balances=(
            BalanceRow(
                follower_proxy=WALLET,
                cash_micros=CASH - 4_900_000 - 20_000 + 2_100_000 - 9_000,
            ),
        ),
        triggers=(TriggerRow(id=TRIGGER, status="DONE", generation=0),),
        control_changes=(
            ControlChange(seq=1, previous_hash="00", hash="01"),
            ControlChange(seq=2, previous_hash="01", hash="02"),
        ),
        gateway=GatewayState(
            orders=gateway,
            posts=tuple(
                GatewayPost(order_key=order.order_key, body_hash="d" * 64, ledger=True)
                for order in gateway
            ),
            wallets=(
                GatewayWallet(
                    follower_proxy=WALLET,
                    cash_micros=CASH - 4_900_000 - 20_000 + 2_100_000 - 9_000,
                    shares={ASSET: 6_000_000},
                ),
            ),
            default_cash_micros=CASH,
            enforces_not_after=True,
        ),
        leader_trades=(
            LeaderTrade(leader_tx=TX, leader=LEADER, asset_id=ASSET, side="BUY", traded_ms=9_000),
        ),
    )


def _with_order(key: str, **changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        return replace(
            evidence,
            orders=tuple(
                replace(row, **changed) if row.order_key == key else row  # type: ignore[arg-type]
                for row in evidence.orders
            ),
        )

    return change


def _with_gateway(**changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        assert evidence.gateway is not None
        return replace(evidence, gateway=replace(evidence.gateway, **changed))  # type: ignore[arg-type]

    return change


def _with_far_order(**changed: object) -> Callable[[Evidence], Evidence]:
    """The first order at insiders-api, changed."""

    def change(evidence: Evidence) -> Evidence:
        assert evidence.gateway is not None
        first, *rest = evidence.gateway.orders
        return _with_gateway(orders=(replace(first, **changed), *rest))(evidence)  # type: ignore[arg-type]

    return change


def _with_first(name: str, **changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        first, *rest = getattr(evidence, name)
        return replace(evidence, **{name: (replace(first, **changed), *rest)})  # type: ignore[arg-type]

    return change


def _second_order_of_the_key(evidence: Evidence) -> Evidence:
    assert evidence.gateway is not None
    return _with_gateway(orders=(*evidence.gateway.orders, evidence.gateway.orders[0]))(evidence)


def _far_order_of_the_unsent(evidence: Evidence) -> Evidence:
    assert evidence.gateway is not None
    ghost = replace(evidence.gateway.orders[0], order_key=REFUSED, asset_id="777")
    return _with_gateway(orders=(*evidence.gateway.orders, ghost))(evidence)


def _post(**changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        assert evidence.gateway is not None
        first, *rest = evidence.gateway.posts
        return _with_gateway(posts=(replace(first, **changed), *rest))(evidence)  # type: ignore[arg-type]

    return change


def _wallet(**changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        assert evidence.gateway is not None
        return _with_gateway(
            wallets=(replace(evidence.gateway.wallets[0], **changed),)  # type: ignore[arg-type]
        )(evidence)

    return change


def _slice_beside_an_open_one(evidence: Evidence) -> Evidence:
    exit_row = next(row for row in evidence.orders if row.order_key == EXIT)
    following = replace(exit_row, order_key="e" * 64, ordinal=1)
    opened = _with_order(EXIT, state="SUBMITTED")(evidence)
    return replace(opened, orders=(*opened.orders, following))


def _rungs_side_by_side(evidence: Evidence) -> Evidence:
    exit_row = next(row for row in evidence.orders if row.order_key == EXIT)
    second = replace(
        exit_row, order_key="e" * 64, copy_key=guard_exit_key(TRIGGER, 0, 1), state="SUBMITTED"
    )
    opened = _with_order(EXIT, state="SUBMITTED")(evidence)
    ladder = tuple(replace(row, rungs=2) for row in evidence.triggers)
    return replace(opened, orders=(*opened.orders, second), triggers=ladder)


HELD = ReservationRow(order_key=BUY, money_micros=1, shares_micros=0)

CORRUPTIONS: list[tuple[str, str, Callable[[Evidence], Evidence]]] = [
    ("I1", "2 orders", _second_order_of_the_key),
    ("I2", "has no row", _with_far_order(order_key="f" * 64)),
    ("I2", "size_micros is", _with_far_order(size_micros=1)),
    ("I3", "no decision", lambda e: replace(e, decisions=e.decisions[1:])),
    ("I3", "still UNKNOWN", _with_order(BUY, state="UNKNOWN")),
    ("I4", "filled_notional_micros is 4900000", _with_far_order(filled_notional_micros=4_900_001)),
    ("I4", "fee_micros is 20000", _with_far_order(fee_micros=20_001)),
    ("I4", "its fills", lambda e: replace(e, fills=e.fills[1:])),
    ("I4", "FAILED (UNSENT) and is at insiders-api", _far_order_of_the_unsent),
    ("I4", "standing fill", _with_order(BUY, state="FAILED", failed_kind="UNDONE")),
    ("I4", "appeared after all", _with_order(REFUSED, state="RESURRECTED", failed_kind="")),
    ("I4", "and is at insiders-api", _with_order(BUY, state="LOST")),
    ("I5", "before it was committed", _post(ledger=False)),
    ("I6", "no legal transition", _with_first("events", to_state="CONFIRMED")),
    ("I6", "chain is broken", _with_first("events", hash="00" * 32)),
    ("I6", "does not lead to", _with_order(BUY, chain_head="00" * 32)),
    ("I6", "no history", lambda e: replace(e, events=e.events[4:])),
    ("I6", "epoch falls", _with_first("events", epoch=9)),
    ("I6", "control change 2", _with_first("control_changes", hash="03")),
    ("I7", "other bytes", _post(body_hash="0" * 64)),
    ("I8", "too late", _with_far_order(accepted_ms=5_001)),
    ("I9 reservations", "still reserves", lambda e: replace(e, reservations=(HELD,))),
    ("I9 cash", "micros of cash", _wallet(cash_micros=CASH)),
    ("I9 cash", f"micros of {ASSET}", _wallet(shares={ASSET: 5_999_999})),
    ("I9 ledger", "realised_micros", _with_first("lots", realised_micros=140_001)),
    ("I9 ledger", "realised_micros", _with_first("lots", cost_micros=2_940_001)),
    ("I9 ledger", "bought less sold", _with_first("lots", shares_micros=5_999_999)),
    ("I9 ledger", "fee_micros", _with_first("lots", fee_micros=0)),
    ("I9 ledger", "its orders say", _with_first("lots", sold_notional_micros=0)),
    ("I9 ledger", "there is no lot", lambda e: replace(e, lots=())),
    ("I9 cash", "lots", _with_first("lots", shares_micros=1)),
    ("I9 payouts", "more than was redeemed", _with_first("lots", payout_micros=1)),
    ("I9 balances", "kept are", _with_first("balances", cash_micros=CASH)),
    ("I9 within", "off what is booked", _wallet(cash_micros=CASH)),
    ("I9 within", f"{ASSET} is -1 micros", _wallet(shares={ASSET: 5_999_999})),
    ("I10", "3 journal records", lambda e: replace(e, journal_unbuilt=3)),
    ("I11", "never had", _with_order(EXIT, copy_key="9" * 64)),
    ("I11", "generation or rung", _with_order(EXIT, copy_key=guard_exit_key(TRIGGER, 0, 1))),
    ("I11", "more than one exit", _rungs_side_by_side),
    ("I11", "one by one", _with_order(EXIT, ordinal=1)),
    ("I11", "the one before was open", _slice_beside_an_open_one),
    ("I11", "sold 11000000", _with_first("lots", sold_size_micros=11_000_000)),
    ("I12", "allowed are", _with_first("subscriptions", max_per_trade_micros=4_999_999)),
    ("I13", "parts sum to", _with_first("decisions", ordered_size_micros=9_999_999)),
    ("I13", "has no row", _with_first("decisions", order_keys=("8" * 64,))),
    ("I13", "without an order", _with_first("decisions", order_keys=())),
    ("I13", "without a reason", _with_first("decisions", copied=False)),
]


def test_whole_evidence_breaks_nothing() -> None:
    assert breaches(whole()) == []


@pytest.mark.parametrize(
    ("invariant", "words", "corrupt"),
    CORRUPTIONS,
    ids=[f"{name}-{words}" for name, words, _ in CORRUPTIONS],
)
def test_a_corruption_is_named(
    invariant: str, words: str, corrupt: Callable[[Evidence], Evidence]
) -> None:
    found = breaches(corrupt(whole()))
    assert any(
        f"{b.invariant} ".startswith(f"{invariant} ") and words in b.detail for b in found
    ), found


def test_every_invariant_is_corrupted_once() -> None:
    corrupted = {
        name for name in CHECKS for prefix, _, _ in CORRUPTIONS if name.startswith(f"{prefix} ")
    }
    assert corrupted == set(CHECKS)


def test_what_must_hold_only_at_rest_is_not_judged_while_trading() -> None:
    going_on = replace(whole(), settled=False, decisions=(), journal_unbuilt=2)
    going_on = _with_order(BUY, state="CLAIMED")(going_on)
    names = {breach.invariant.split(" ")[0] for breach in breaches(going_on)}
    assert names.isdisjoint({"I3", "I9", "I10"})


@pytest.mark.parametrize(("going_on", "status", "message"), [
    (True, 0, f"all {len(AT_ANY_TIME)} checks hold"),
    (False, 1, "BROKEN: I2 every order has its row"),
])  # fmt: skip
def test_order_between_two_looks_is_no_breach_of_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    going_on: bool,
    status: int,
    message: str,
) -> None:
    """Rows are read first, and the far side behind them."""
    evidence = _with_far_order(order_key="f" * 64)(whole())
    note = RunDescription(
        run_id="r", started_ms=0, port_base=0, pid=0, database_url="", insiders_control_url="",
        venue_url="", default_cash_micros=CASH, rest_url="",
    )  # fmt: skip
    write_note(tmp_path, note)
    gather.keep(tmp_path, evidence)
    monkeypatch.setattr(gather, "gather", lambda **requested: replace(evidence, settled=False))
    held = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    if going_on:
        fcntl.flock(held, fcntl.LOCK_EX)
    assert launcher(["check", str(tmp_path)]) == status
    os.close(held)
    assert message in capsys.readouterr().out


def _in_flight(evidence: Evidence, *, booked: int, cost: int, reserved: int) -> Evidence:
    """The buy is open, and a part of it is booked."""
    row = {"state": "SUBMITTED", "filled_notional_micros": booked, "fee_micros": 0}
    going_on = _with_order(BUY, **row)(replace(evidence, settled=False))
    held = ReservationRow(order_key=BUY, money_micros=reserved, shares_micros=0)
    gateway = _with_far_order(filled_notional_micros=cost, fee_micros=0)(going_on)
    paid = _wallet(cash_micros=CASH - cost + 2_100_000 - 9_000)(gateway)
    return replace(paid, reservations=(held,))


@pytest.mark.parametrize(
    ("booked", "cost", "reserved", "words"),
    [
        (0, 4_900_000, 4_900_000, ""),
        (1_000_000, 4_900_000, 4_900_000, ""),
        (4_900_000, 4_900_000, 4_900_000, ""),
        # A trade that failed to settle there is still booked here.
        (4_900_000, 0, 4_900_000, ""),
        (0, 4_900_001, 4_900_000, "has cost 4900001 micros, reserved are 4900000"),
        (0, 4_900_001, 4_900_000, "cash is -4900001 micros off what is booked, in flight are"),
    ],
)
def test_open_orders_are_apart_by_no_more_than_what_is_in_flight(
    booked: int, cost: int, reserved: int, words: str
) -> None:
    evidence = _in_flight(whole(), booked=booked, cost=cost, reserved=reserved)
    found = [b.detail for b in breaches(evidence, ["I9 within what is in flight"])]
    assert any(words in detail for detail in found) if words else found == []


def test_what_was_sent_after_our_rows_were_read_is_in_flight() -> None:
    evidence = replace(whole(), settled=False)
    later = replace(evidence, orders=tuple(r for r in evidence.orders if r.order_key != EXIT))
    assert breaches(later, ["I9 within what is in flight"]) == []


def test_a_run_is_judged_on_its_way_and_each_breach_named_once() -> None:
    check = RunningCheck(whole)
    check.judge(replace(whole(), settled=False))
    assert (check.looks, check.found) == (1, [])
    for _ in range(2):
        check.judge(_wallet(cash_micros=1)(replace(whole(), settled=False)))
    assert (check.looks, len(check.found)) == (3, 1)
    assert check.found[0].detail.startswith("while it ran: wallet")


def test_a_trade_before_the_subscription_needs_no_decision() -> None:
    early = replace(whole().leader_trades[0], traded_ms=2_999)  # type: ignore[index]
    assert breaches(replace(whole(), leader_trades=(early,), decisions=())) == []


def test_without_a_far_side_only_our_rows_are_judged() -> None:
    alone = replace(whole(), gateway=None, leader_trades=None)
    assert breaches(alone) == []
    broken = breaches(_with_order(BUY, chain_head="00" * 32)(alone))
    assert [b.invariant.split(" ")[0] for b in broken] == ["I6"]


def resolved() -> Evidence:
    """The same run after its market has resolved at 0.5: six shares were paid 3 USDC."""
    row = RedemptionRow(
        redeem_key="f" * 64, follower_proxy=WALLET, condition_id="0x1", state="CONFIRMED",
        expected_micros=3_000_000, paid_micros=3_000_000,
    )  # fmt: skip
    done = GatewayRedemption(
        redeem_key="f" * 64, follower_proxy=WALLET, condition_id="0x1", payout_micros=3_000_000
    )
    paid = _with_first(
        "lots", shares_micros=0, cost_micros=0, resolved_size_micros=6_000_000,
        payout_micros=3_000_000, realised_micros=140_000 + 60_000,
    )(whole())  # fmt: skip
    assert paid.gateway is not None
    cash = paid.gateway.wallets[0].cash_micros + 3_000_000
    gateway = _wallet(cash_micros=cash, shares={})(paid)
    kept = _with_first("balances", cash_micros=cash)(replace(gateway, redemptions=(row,)))
    return _with_gateway(redemptions=(done,))(kept)


def _far_redemption(**changed: object) -> Callable[[Evidence], Evidence]:
    def change(evidence: Evidence) -> Evidence:
        assert evidence.gateway is not None
        (done,) = evidence.gateway.redemptions
        return _with_gateway(redemptions=(replace(done, **changed),))(evidence)  # type: ignore[arg-type]

    return change


def _redeemed_twice(evidence: Evidence) -> Evidence:
    assert evidence.gateway is not None
    return _with_gateway(redemptions=evidence.gateway.redemptions * 2)(evidence)


def test_a_resolved_market_balances() -> None:
    assert breaches(resolved()) == []


@pytest.mark.parametrize(
    ("invariant", "words", "corrupt"),
    [
        ("I9 payouts", "still UNKNOWN", _with_first("redemptions", state="UNKNOWN")),
        ("I9 payouts", "micros were paid", _with_first("redemptions", paid_micros=2_999_999)),
        ("I9 payouts", "2 of them", _redeemed_twice),
        ("I9 payouts", "has no row", _far_redemption(redeem_key="0" * 64)),
        ("I9 payouts", "are booked, there", _far_redemption(payout_micros=3_000_001)),
        ("I9 payouts", "unknown at insiders-api", _with_gateway(redemptions=())),
        ("I9 payouts", "-1 micros more", _with_first("lots", payout_micros=2_999_999)),
        ("I9 ledger", "realised_micros", _with_first("lots", payout_micros=2_999_999)),
        ("I9 ledger", "and resolved is", _with_first("lots", resolved_size_micros=5_999_999)),
        ("I9 cash", "micros of cash", _far_redemption(payout_micros=1)),
        ("I9 cash", "less payouts", _wallet(shares={ASSET: 6_000_000})),
        ("I9 cash", "corrected are 5", _with_first("lots", elsewhere_micros=5)),
    ],
)
def test_a_corrupted_payout_is_named(
    invariant: str, words: str, corrupt: Callable[[Evidence], Evidence]
) -> None:
    found = breaches(corrupt(resolved()))
    assert any(b.invariant.startswith(invariant) and words in b.detail for b in found), found
