"""Twins of `services/router/queries.sql`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from tradingtools.domain.order_states import RELEASING
from tradingtools.testing.memory_database.balances import balances
from tradingtools.testing.memory_database.building import build_rows
from tradingtools.testing.memory_database.functions import SUBMITTING_LOCK, apply_transitions
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.submitting import quarantined_keys
from tradingtools.testing.memory_database.transactions import (
    Transaction,
    Twin,
    microseconds,
    nanoseconds,
)

_DAY_NS = 86_400_000_000_000


def control_seq(tx: Transaction, _values: Row) -> list[Row]:
    """The last control change."""
    return [{"seq": max((row["seq"] for row in tx.rows("control_change")), default=0)}]


_SUBSCRIPTION = (
    "id", "follower_user_id", "follower_wallet_id", "follower_proxy", "leader", "state",
    "version", "sizing_mode", "sizing_micros", "max_per_trade_micros", "max_per_market_micros",
    "max_slippage_micros", "max_age_ms", "settings", "scale_micros", "changed_seq",
)  # fmt: skip


def subscriptions_changed(tx: Transaction, values: Row) -> list[Row]:
    """Return what of the index has changed, oldest first."""
    found = [row for row in tx.rows("subscription") if row["changed_seq"] > values["after"]]
    found.sort(key=lambda row: (row["created_at"], row["id"]))
    return [
        {**_pick(row, _SUBSCRIPTION), "created_ms": microseconds(row["created_at"]) // 1000}
        for row in found
    ]


def fundings_changed(tx: Transaction, values: Row) -> list[Row]:
    """Return what of the budgets has changed."""
    return [
        _pick(row, ("follower_proxy", "funded_micros"))
        for row in tx.rows("funding")
        if row["changed_seq"] > values["after"]
    ]


def halts(tx: Transaction, _values: Row) -> list[Row]:
    """Return what may send nothing at all."""
    return [_pick(row, ("scope", "subject")) for row in tx.where("halt", mode="HALTED")]


def lots(tx: Transaction, _values: Row) -> list[Row]:
    """Lots that hold something."""
    names = (
        "follower_proxy", "asset_id", "origin", "condition_id", "shares_micros", "cost_micros",
    )  # fmt: skip
    return [_pick(row, names) for row in tx.rows("lot") if row["shares_micros"] > 0]


def lot_cost(tx: Transaction, values: Row) -> list[Row]:
    """Return what the shares of a lot cost by now."""
    row = tx.get("lot", values["follower_proxy"], values["asset_id"], values["origin"])
    return [{"cost_micros": 0 if row is None else row["cost_micros"]}]


def booked_to(tx: Transaction, _values: Row) -> list[Row]:
    """The newest booking."""
    return [{"seq": max((row["fill_seq"] for row in tx.rows("booking")), default=0)}]


def open_entries(tx: Transaction, values: Row) -> list[Row]:
    """Entries that still hold a reservation."""
    names = (
        "order_key", "copy_key", "subscription_id", "follower_proxy", "condition_id", "asset_id",
    )  # fmt: skip
    found = []
    for held in tx.where("reservation", released_at=None):
        order = tx.get("orders", held["order_key"])
        if order is None or order["purpose"] != "ENTRY":
            continue
        if order["partition"] == values["partition"]:
            day = {"day": order["claimed_ns"] // _DAY_NS}
            found.append({**_pick(order, names), **day, "money_micros": held["money_micros"]})
    return found


def spent_by_ended(tx: Transaction, values: Row) -> list[Row]:
    """Return the most that ended entries with fills cost, by subscription and day."""
    spent: defaultdict[tuple[str, int], int] = defaultdict(int)
    since = tx.now - timedelta(days=2)
    for order, held in _ended_entries(tx, values):
        day = order["claimed_ns"] // _DAY_NS
        if held is not None and order["created_at"] > since and day >= values["day"]:
            cost = -(-held["money_micros"] * order["filled_size_micros"] // order["size_micros"])
            spent[order["subscription_id"], day] += cost
    return [
        {"subscription_id": origin, "day": day, "money_micros": micros}
        for (origin, day), micros in spent.items()
    ]


def bought_by_ended(tx: Transaction, values: Row) -> list[Row]:
    """Return how many copies ended entries have bought; those that may grow by name."""
    copies: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    since = tx.now - timedelta(days=values["days"])
    lately = tx.now - timedelta(seconds=float(values["seconds"]))
    for order, _ in _ended_entries(tx, values):
        if order["created_at"] > since:
            key = (order["subscription_id"], order["asset_id"], order["copy_key"])
            copies[key].append(order)
    found: defaultdict[tuple[str, str, int, str], int] = defaultdict(int)
    for (origin, asset_id, copy_key), orders in copies.items():
        day = min(order["claimed_ns"] // _DAY_NS for order in orders)
        grows = max(order["created_at"] for order in orders) > lately
        if grows or copy_key in values["open_copies"]:
            found[origin, asset_id, day, copy_key] += len(orders)
        else:
            found[origin, asset_id, day, ""] += 1
    names = ("subscription_id", "asset_id", "day", "copy_key")
    return [{**dict(zip(names, key, strict=True)), "number": n} for key, n in found.items()]


def _ended_entries(tx: Transaction, values: Row) -> Iterator[tuple[Row, Row | None]]:
    """Entries with fills, and what they had set aside."""
    for order in tx.where("orders", purpose="ENTRY"):
        held = tx.get("reservation", order["order_key"])
        if (
            (held is None or held["released_at"] is not None)
            and order["filled_size_micros"] > 0
            and order["subscription_id"] in values["subscriptions"]
            and order["order_key"] not in values["open"]
        ):
            yield order, held


def _frozen(tx: Transaction, name: str) -> list[Row]:
    return [row for row in tx.rows("decision") if row["frozen"] and name in row["frozen"]]


def _summed(rows: list[Row], by: tuple[str, ...], fields: dict[str, str]) -> list[Row]:
    groups: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in by)].append(row["frozen"])
    return [
        {
            **dict(zip(by, key, strict=True)),
            **{ours: sum(one.get(name, 0) for one in of) for ours, name in fields.items()},
        }
        for key, of in groups.items()
    ]


def accrued(tx: Transaction, _values: Row) -> list[Row]:
    """Return what copies that were too small left to the next ones of their outcome."""
    rows = _frozen(tx, "accrued_micros")
    return _summed(rows, ("subscription_id", "asset_id"), {"micros": "accrued_micros"})


def paper_lots(tx: Transaction, _values: Row) -> list[Row]:
    """Return what shadows moved on paper, by outcome."""
    return _summed(
        _frozen(tx, "paper_size_micros"),
        ("subscription_id", "condition_id", "asset_id"),
        {
            "size_micros": "paper_size_micros",
            "cost_micros": "paper_cost_micros",
            "paid_micros": "paper_notional_micros",
        },
    )


def paper_buys(tx: Transaction, values: Row) -> list[Row]:
    """The copies behind them."""
    since = tx.now - timedelta(days=values["days"])
    return [
        {
            **_pick(row, ("subscription_id", "asset_id", "leader_tx")),
            "day": nanoseconds(row["decided_at"]) // _DAY_NS,
            "cost_micros": row["frozen"].get("paper_cost_micros"),
        }
        for row in _frozen(tx, "paper_size_micros")
        if row["side"] == "BUY" and row["decided_at"] > since
    ]


def cash(tx: Transaction, values: Row) -> list[Row]:
    """Return what trading has moved of wallets' money."""
    moved: defaultdict[str, int] = defaultdict(int)
    for lot in tx.rows("lot"):
        if lot["follower_proxy"] in values["proxies"]:
            spent = lot["bought_notional_micros"] + lot["fee_micros"]
            fetched = lot["sold_notional_micros"] + lot["payout_micros"]
            moved[lot["follower_proxy"]] += fetched - spent
    for proxy in moved:
        funding = tx.get("funding", proxy)
        moved[proxy] -= funding["before_micros"] if funding else 0
    return [{"follower_proxy": proxy, "moved_micros": money} for proxy, money in moved.items()]


_LEADER_ROW = (
    "leader_tx", "leader", "asset_id", "side", "price_text", "size_micros", "source", "count",
    "price_micros", "condition_id", "traded_ms", "held_before_micros",
)  # fmt: skip
_TRADE = ("leader_tx", "leader", "asset_id", "side")


def _trades(values: Row) -> set[tuple[str, ...]]:
    names = ("txs", "leaders", "assets", "sides")
    return set(zip(*(values[name] for name in names), strict=True))


def open_wallets(tx: Transaction, _values: Row) -> list[Row]:
    """Wallets with orders under way, and who has claimed them."""
    held = (tx.get("orders", r["order_key"]) for r in tx.where("reservation", released_at=None))
    found = {(order["partition"], order["follower_proxy"]) for order in held if order is not None}
    for record in tx.where("journal", kind="CLAIMED", rows_built_at=None, set_aside=None):
        orders = json.loads(record["payload"])["orders"]
        found.update((record["partition"], order["follower_proxy"]) for order in orders)
    return [{"partition": partition, "follower_proxy": proxy} for partition, proxy in found]


def rows_of(tx: Transaction, values: Row) -> list[Row]:
    """Facts about these leader trades that this partition has judged, of exits perhaps others'."""
    trades = _trades(values)
    found = [r for r in tx.rows("leader_row") if tuple(r[name] for name in _TRADE) in trades]
    mine = [row for row in found if row["partition"] == values["partition"]]
    known = {tuple(row[name] for name in _TRADE) for row in mine}
    others = [
        row
        for row in found
        if row["side"] == "SELL" and tuple(row[name] for name in _TRADE) not in known
    ]
    return [
        {**_pick(row, _LEADER_ROW), "seen_ns": nanoseconds(row["seen_at"])} for row in mine + others
    ]


_DECISION = (
    *_TRADE, "subscription_id", "copied", "reason", "detail", "frozen", "ordered_size_micros",
    "order_keys",
)  # fmt: skip


def decisions_of(tx: Transaction, values: Row) -> list[Row]:
    """Judgements of these leader trades."""
    trades = _trades(values)
    return [
        _pick(row, _DECISION)
        for row in tx.rows("decision")
        if tuple(row[name] for name in _TRADE) in trades
    ]


_EXIT = ("leader_tx", "leader", "asset_id", "subscription_id")


def recent_decisions(tx: Transaction, values: Row) -> list[Row]:
    """Judgements of leader trades that may still grow, and exits that are not done."""
    since = tx.now - timedelta(seconds=values["seconds"])
    slices = set()
    for order in tx.where("orders", purpose="COPY_EXIT"):
        held = tx.get("reservation", order["order_key"])
        if held is not None and _counts(order, held["released_at"], since, tx):
            slices.add(tuple(order[name] for name in _EXIT))
    return [
        _pick(row, _DECISION)
        for row in tx.rows("decision")
        if row["updated_at"] > since
        or "awaited" in (row["frozen"] or {})
        or ("small_micros" in (row["frozen"] or {}) and _is_held(tx, row))
        or (row["side"] == "SELL" and row["reason"] in values["again"])
        or (row["side"] == "SELL" and tuple(row[name] for name in _EXIT) in slices)
    ]


def _is_held(tx: Transaction, decision: Row) -> bool:
    names = ("follower_proxy", "asset_id", "subscription_id")
    lot = tx.get("lot", *(decision[name] for name in names))
    return lot is not None and lot["shares_micros"] > 0


def _counts(order: Row, released_at: datetime | None, since: datetime, tx: Transaction) -> bool:
    if released_at is None or released_at > since:
        return True
    left = order["filled_size_micros"] < order["size_micros"]
    return left and released_at > tx.now - timedelta(days=7)


def recent_entry_keys(tx: Transaction, values: Row) -> list[Row]:
    """Return who has claimed which entry."""
    since = tx.now - timedelta(seconds=values["seconds"])
    return [
        _pick(row, ("copy_key", "subscription_id"))
        for row in tx.where("orders", purpose="ENTRY")
        if row["created_at"] > since
    ]


def _desired_lots(tx: Transaction, values: Row) -> list[Row]:
    found = tx.where("lot", asset_id=values["asset_id"])
    return [row for row in found if row["origin"] in values["origins"]]


def lock_lots(tx: Transaction, values: Row) -> list[Row]:
    """Lock lots, in one order for everybody."""
    found = _desired_lots(tx, values)
    found.sort(key=lambda row: (row["follower_proxy"], row["asset_id"], row["origin"]))
    for row in found:
        tx.lock_row("lot", row)
    return [{"?column?": 1} for _ in found]


def reserving(tx: Transaction, lot: Row) -> list[tuple[Row, Row]]:
    """Reservations of a lot's orders that are not at rest, with these orders."""
    found = tx.where(
        "reservation",
        released_at=None,
        follower_proxy=lot["follower_proxy"],
        asset_id=lot["asset_id"],
    )
    orders = ((held, tx.get("orders", held["order_key"])) for held in found)
    return [
        (held, order)
        for held, order in orders
        if order is not None and (order["subscription_id"] or "manual") == lot["origin"]
    ]


def free_shares(tx: Transaction, lot: Row) -> int:
    """Shares of a lot that no exit is going to take; what is booked of one has left the lot."""
    free: int = lot["shares_micros"] - sum(
        max(held["shares_micros"] - order["filled_size_micros"], 0)
        for held, order in reserving(tx, lot)
    )
    return free


def _unsettled(tx: Transaction, lot: Row) -> int:
    sales = (order for _, order in reserving(tx, lot) if order["side"] == "SELL")
    unsettled: int = sum(order["filled_size_micros"] for order in sales)
    return unsettled


def _others_sales(tx: Transaction, lot: Row) -> list[tuple[Row, Row]]:
    """Reservations of a lot's sales that are of no leader's sell, with their orders."""
    return [
        (held, order)
        for held, order in reserving(tx, lot)
        if order["side"] == "SELL" and not order["leader_tx"]
    ]


def _leaving(tx: Transaction, lot: Row) -> int:
    sales = _others_sales(tx, lot)
    return sum(max(held["shares_micros"] - o["filled_size_micros"], 0) for held, o in sales)


def _may_sell(tx: Transaction, lot: Row) -> dict[str, int]:
    return {
        order["order_key"]: max(held["shares_micros"], order["filled_size_micros"])
        for held, order in _others_sales(tx, lot)
    }


def locked_lots(tx: Transaction, values: Row) -> list[Row]:
    """Lots with what is free in them, and entries that may still fill."""
    found = []
    for origin in values["origins"]:
        entries = {
            order["order_key"]: order["filled_size_micros"]
            for order in tx.where(
                "orders", subscription_id=origin, asset_id=values["asset_id"], purpose="ENTRY"
            )
            if order["state"] not in RELEASING
        }
        lots: list[Row | None] = list(tx.where("lot", asset_id=values["asset_id"], origin=origin))
        found += [
            {
                "origin": origin,
                "shares_micros": lot["shares_micros"] if lot else 0,
                "free_micros": free_shares(tx, lot) if lot else 0,
                "unsettled_micros": _unsettled(tx, lot) if lot else 0,
                "leaving_micros": _leaving(tx, lot) if lot else 0,
                "sales": (_may_sell(tx, lot) if lot else None) or None,
                "unresolved": entries or None,
            }
            for lot in lots or ([None] if entries else [])
        ]
    return found


def standing_of(tx: Transaction, values: Row) -> list[Row]:
    """Return the standing of exits: shares bought later, being sold, and sold by their slices."""
    names = ("txs", "leaders", "assets", "sides", "origins")
    copies = set(zip(*(values[name] for name in names), strict=True))
    return [
        {
            **_pick(sell, _TRADE),
            "origin": sell["subscription_id"],
            "later_micros": _bought_since(tx, sell),
            "own_micros": sum(_being_sold(tx, key) for key in sell["order_keys"]),
            "sold_micros": sum(_sold(tx, key) for key in sell["order_keys"]),
        }
        for sell in tx.where("decision", side="SELL")
        if (*(sell[name] for name in _TRADE), sell["subscription_id"]) in copies
    ]


def _bought_since(tx: Transaction, sell: Row) -> int:
    first = tx.get("orders", sell["order_keys"][0]) if sell["order_keys"] else None
    lot = (sell["follower_proxy"], sell["asset_id"], sell["subscription_id"])
    shares = 0
    for entry in tx.rows("lot_entry"):
        order = tx.get("orders", entry["order_key"]) if entry["order_key"] else None
        of_lot = (entry["follower_proxy"], entry["asset_id"], entry["origin"]) == lot
        if not of_lot or order is None or order["purpose"] != "ENTRY":
            continue
        later = first is not None and order["journal_seq"] > first["journal_seq"]
        if later or order["claimed_ns"] > nanoseconds(sell["decided_at"]):
            shares += max(entry["size_micros"], 0)
    return shares


def _being_sold(tx: Transaction, order_key: str) -> int:
    order, held = tx.get("orders", order_key), tx.get("reservation", order_key)
    if order is None or held is None or held["released_at"] is not None:
        return 0
    return int(max(held["shares_micros"] - order["filled_size_micros"], 0))


def _sold(tx: Transaction, order_key: str) -> int:
    order, held = tx.get("orders", order_key), tx.get("reservation", order_key)
    return 0 if order is None or held is None else int(order["filled_size_micros"])


def ended_of(tx: Transaction, values: Row) -> list[Row]:
    """Return which of these entries have ended, and with what."""
    orders = (tx.get("orders", key) for key in values["keys"])
    return [
        _pick(order, ("order_key", "subscription_id", "filled_size_micros"))
        for order in orders
        if order is not None and order["state"] in RELEASING
    ]


def stale_entry(tx: Transaction, values: Row) -> list[Row]:
    """An entry that was never sent because its subscription had changed."""
    order = tx.get("orders", values["order_key"])
    return [] if order is None else list(_stale_entries(tx, [order]))


def recent_stale_entries(tx: Transaction, values: Row) -> list[Row]:
    """The same of all entries that were claimed lately."""
    since = tx.now - timedelta(seconds=values["seconds"])
    orders = tx.where("orders", partition=values["partition"])
    return list(_stale_entries(tx, [order for order in orders if order["created_at"] > since]))


def _stale_entries(tx: Transaction, orders: Iterable[Row]) -> Iterator[Row]:
    names = ("order_key", *_TRADE, "subscription_id", "size_micros")
    for order in orders:
        held = tx.get("reservation", order["order_key"])
        how = (order["purpose"], order["state"], order["failed_kind"], order["reason"])
        if held is not None and how == ("ENTRY", "FAILED", "UNSENT", "SUBSCRIPTION_CHANGED"):
            yield {**_pick(order, names), "money_micros": held["money_micros"]}


def leader_left(tx: Transaction, values: Row) -> list[Row]:
    """Fail entries that are still CLAIMED."""
    tx.lock((*SUBMITTING_LOCK, values["partition"]))
    desired = {"partition": values["partition"], "rows_built_at": None, "set_aside": None}
    for record in sorted(tx.where("journal", **desired), key=lambda row: row["seq"]):
        build_rows(tx, record["seq"])
    aside = quarantined_keys(tx)
    orders = (tx.get("orders", key) for key in values["keys"])
    changed = apply_transitions(
        tx,
        [
            {
                "order_key": order["order_key"],
                "from_state": "CLAIMED",
                "to_state": "FAILED",
                "expected_epoch": order["epoch"],
                "failed_kind": "UNSENT",
                "reason": "LEADER_LEFT",
            }
            for order in orders
            if order is not None
            and (order["state"], order["purpose"]) == ("CLAIMED", "ENTRY")
            and order["order_key"] not in aside
        ],
    )
    return [{"order_key": row["order_key"]} for row in changed]


def exit_progress(tx: Transaction, values: Row) -> list[Row]:
    """Return how these slices of copy exits have ended, or that they have not."""
    found = ((tx.get("orders", key), tx.get("reservation", key)) for key in values["keys"])
    return [
        {
            **_pick(row, ("order_key", "size_micros", "filled_size_micros")),
            "ended": held["released_at"] is not None,
            "tried": row["state"] == "CONFIRMED" or row["failed_kind"] == "KILLED",
            "halted": row["reason"] == "HALTED",
        }
        for row, held in found
        if row is not None and held is not None
    ]


def _pick(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


ROUTER: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        control_seq, subscriptions_changed, fundings_changed, halts, lots, lot_cost, booked_to,
        open_entries, open_wallets, rows_of, decisions_of, recent_decisions, recent_entry_keys,
        leader_left, lock_lots, locked_lots, standing_of, ended_of, stale_entry,
        recent_stale_entries, exit_progress, spent_by_ended, bought_by_ended, accrued,
        paper_lots, paper_buys, cash, balances,
    )
}  # fmt: skip
