"""The verdict on a seed: the launcher's invariants on the far side's account and the tables.

Evidence comes from the memory database instead of PostgreSQL, and from the exchange's own account.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from launcher.core import evidence as facts
from launcher.core.evidence import Evidence
from launcher.core.invariants import Breach, breaches
from services.router.core.exit_sizing import desired_exit
from tests.simulation.bus import VERSION
from tests.simulation.memory import not_as_committed
from tests.simulation.resyncs import not_as_shown, unanswered
from tests.simulation.workload import Workload
from tests.simulation.world import World
from tradingtools.domain.money import MICROS, notional_ceil
from tradingtools.domain.subscription import DEFAULT_MAX_AGE_MS
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import microseconds

_UNRESOLVED = ("CLAIMED", "SUBMITTING", "UNKNOWN")
_FOR_A_PERSON = ("DEAD", "RESURRECTED", "SUBMITTED")
"""An order that holds up what else is to become of its lot, and rightly; SUBMITTED: where the far
side never tells its end."""
_TRADE = ("leader_tx", "leader", "asset_id", "side")
_STEP_MICROS = 10_000
_RAISED_MICROS = 10 * MICROS
"""So much more, in shares, where less is no order, or what is left would be none: of an exit of
everything alone."""
_HALF_A_MINUTE_NS = 30_000_000_000
_CLOSING = ("TRIGGERED", "CLOSING", "NEEDS_CONFIRM")


def judge(world: World, workload: Workload) -> list[Breach]:
    """Everything that does not hold once the dust has settled."""
    found = evidence(world, workload)
    if found.gateway is not None:
        open_ends = {"DEAD", "RESURRECTED"}
        if not _can_follow(world):
            open_ends.add("SUBMITTED")
        unknown = {row.follower_proxy for row in found.orders if row.state in open_ends}
        wallets = tuple(w for w in found.gateway.wallets if w.follower_proxy not in unknown)
        found = dataclasses.replace(
            found, gateway=dataclasses.replace(found.gateway, wallets=wallets)
        )
    excused = _excused(world)
    return [
        *(breach for breach in breaches(found) if breach.detail not in excused),
        *world.commits.breaches,
        *_counted_twice(world, workload),
        *_costs_too_much(world, workload),
        *_sells_too_much(world),
        *_holds_too_little(world),
        *_forbidden_orders(world),
        *_in_doubt(world, workload),
        *_unwanted_leaders(world, workload),
        *_outlives_its_trade(world),
        *_runs_away(world),
        *_needless_ends(world),
        *_restless(world),
        *_quarantined(world),
        *not_as_shown(world),
        *not_as_committed(world),
        *(world.performance.judged() if world.performance is not None else ()),
    ]


def _excused(world: World) -> set[str]:
    """Return what has to be so where the far side contradicted itself and where a person has
    decided."""
    appeared = {
        f"order {key} was given up and appeared after all" for key in world.far.contradicted
    }
    # What an operator tells in sums is booked as one trade of his own.
    reported = {
        f"order {row['order_key']}: its fills are not those of insiders-api"
        for row in _rows(world, "order_resolution")
        if row["refused"] == ""
    }
    return appeared | reported


def _can_follow(world: World) -> bool:
    """Return whether the far side ever tells what became of an accepted order."""
    return world.capabilities.get_by_key or world.capabilities.void


def evidence(world: World, workload: Workload) -> Evidence:
    """Return what the tables and the far side say."""
    orders = _rows(world, "orders")
    # Where nothing was left to redeem, nobody said what had been paid: the next poll tells.
    untold = {r["follower_proxy"] for r in _rows(world, "redemption") if r["paid_micros"] is None}
    events = sorted(_rows(world, "order_event"), key=lambda row: row["event_seq"])
    return Evidence(
        orders=tuple(_as(facts.OrderRow, row) for row in orders),
        events=tuple(
            _as(facts.EventRow, row, occurred_us=microseconds(row["occurred_at"])) for row in events
        ),
        fills=tuple(_as(facts.FillRow, row) for row in _rows(world, "fill")),
        decisions=tuple(
            _as(facts.DecisionRow, row, order_keys=tuple(row["order_keys"]))
            for row in _rows(world, "decision")
        ),
        subscriptions=tuple(
            _as(facts.SubscriptionRow, row, created_ms=microseconds(row["created_at"]) // 1000)
            for row in _rows(world, "subscription")
        ),
        lots=tuple(_as(facts.LotRow, row) for row in _rows(world, "lot")),
        triggers=tuple(
            _as(facts.TriggerRow, row, rungs=len(row["rungs"] or ()))
            for row in _rows(world, "trigger")
        ),
        redemptions=tuple(_as(facts.RedemptionRow, row) for row in _rows(world, "redemption")),
        balances=tuple(
            _as(facts.BalanceRow, row)
            for row in _rows(world, "follower_balance")
            if row["cash_micros"] is not None and row["follower_proxy"] not in untold
        ),
        reservations=tuple(
            _as(facts.ReservationRow, row)
            for row in _rows(world, "reservation")
            if row["released_at"] is None
        ),
        control_changes=tuple(
            _as(facts.ControlChange, row) for row in _rows(world, "control_change")
        ),
        journal_unbuilt=sum(row["rows_built_at"] is None for row in _rows(world, "journal")),
        gateway=world.exchange.account(),
        leader_trades=tuple(workload.trades.values()),
    )


def _rows(world: World, table: str) -> list[Row]:
    return list(world.database.table(table).values())


_MAY_BE_ABSENT = ("max_per_trade_micros", "paid_micros")


def _as(kind: Any, row: Mapping[str, Any], **more: Any) -> Any:
    """A row as the evidence has it: no nulls, hashes in hex."""
    values = dict(more)
    for field in dataclasses.fields(kind):
        name = field.name
        if name in values:
            continue
        value = row[name]
        if isinstance(value, bytes):
            value = value.hex()
        values[name] = "" if value is None and name not in _MAY_BE_ABSENT else value
    return kind(**values)


def _counted_twice(world: World, workload: Workload) -> list[Breach]:
    """I12: a decision is made of no more than the leader did."""
    found = []
    for row in _rows(world, "decision"):
        key = (row["leader_tx"], row["leader"], row["asset_id"], row["side"])
        reported = sum(size * count for (_, size), count in workload.reported[key].items())
        if row["leader_size_micros"] > reported:
            found.append(
                Breach("I12 rows count once", f"{row['leader_size_micros']} of {reported} in {key}")
            )
    return found


def _costs_too_much(world: World, workload: Workload) -> list[Breach]:
    """I12, I13: a copy costs no more than its mode gives for what the leader did."""
    subscriptions = {row["id"]: row for row in _rows(world, "subscription")}
    cost: Counter[tuple[str, tuple[str, str, str, str]]] = Counter()
    for order in _rows(world, "orders"):
        # What a resync buys belongs to no leader trade: `not_as_shown` has it.
        if order["purpose"] == "ENTRY" and order["leader_tx"]:
            key = (order["leader_tx"], order["leader"], order["asset_id"], order["side"])
            cost[order["subscription_id"], key] += notional_ceil(
                order["size_micros"], order["limit_micros"]
            )
    found = []
    for (subscription_id, key), micros in cost.items():
        mode = subscriptions[subscription_id]
        if mode["version"] > 1:
            continue
        spent = sum(price * size * count for (price, size), count in workload.reported[key].items())
        allowed = mode["sizing_micros"]
        if mode["sizing_mode"] == "RATIO":
            allowed = spent * mode["sizing_micros"] // MICROS // MICROS
        if micros > allowed:
            text = f"{subscription_id} pays {micros} for {key}, allowed are {allowed}"
            found.append(Breach("I12 a copy costs what its mode gives", text))
    return found


def _sells_too_much(world: World) -> list[Breach]:
    """I13: what an exit sells is the leader's part of what the lot held, whoever died meanwhile."""
    leader_rows = _rows(world, "leader_row")
    held = {_trade(row): row["held_before_micros"] for row in leader_rows}
    traded_ms = {_trade(row): row["traded_ms"] for row in leader_rows}
    orders = {row["order_key"]: row for row in _rows(world, "orders")}
    sells = [row for row in _rows(world, "decision") if row["side"] == "SELL"]
    of_all = [row for row in sells if _is_of_all(row, held)]
    found = []
    for row in sells:
        if not row["order_keys"]:
            continue
        slices = [orders[key] for key in row["order_keys"]]
        desired = desired_exit(
            owned_micros=row["frozen"]["owned_micros"] + _undone_since(world, slices),
            leader_sold_micros=row["leader_size_micros"],
            leader_held_before_micros=held[_trade(row)],
        )
        desired += row["frozen"].get("carried_micros", 0) - row["frozen"].get("passed_micros", 0)
        # Once it is known that the leader has left, his earlier sells take along what could not be
        # sold alone, too: not before.
        left_at = [
            later["decided_at"]
            for later in of_all
            if (later["leader"], later["asset_id"]) == (row["leader"], row["asset_id"])
            and traded_ms[_trade(later)] >= traded_ms[_trade(row)]
        ]
        whole = [one for one in slices if left_at and one["created_at"] >= min(left_at)]
        sold, raised = (sum(s["filled_size_micros"] for s in of) for of in (slices, whole))
        if sold - raised > desired + _STEP_MICROS or sold > desired + (
            _RAISED_MICROS if whole else _STEP_MICROS
        ):
            text = (
                f"{row['subscription_id']} sells {sold} for {row['leader_tx']}, its part {desired}"
            )
            found.append(Breach("I13 an exit sells its part", text))
    return found


def _is_of_all(row: Row, held: Mapping[tuple[str, ...], int | None]) -> bool:
    """Return whether a leader's sell left him nothing, or nobody knows that it did not."""
    before = held[_trade(row)]
    return before is None or before <= row["leader_size_micros"]


def _holds_too_little(world: World) -> list[Breach]:
    """I13: all exits of a lot together sell no more than the leader has of his.

    Nothing of the router is asked: of what was ever bought, the part is left that each sell of the
    leader has left, in whatever order they came; what is bought in between makes it less strict.
    """
    leader_rows = _rows(world, "leader_row")
    held = {tuple(row[name] for name in _TRADE): row["held_before_micros"] for row in leader_rows}
    bought: Counter[tuple[str, str]] = Counter()
    sold: Counter[tuple[str, str]] = Counter()
    for order in _rows(world, "orders"):
        lot = (order["subscription_id"], order["asset_id"])
        if order["purpose"] == "ENTRY":
            of_it = (f for f in _rows(world, "fill") if f["order_key"] == order["order_key"])
            filled = sum(fill["size_micros"] for fill in of_it)
            bought[lot] += max(filled, order["filled_size_micros"])
        elif order["purpose"] == "COPY_EXIT" and order["leader_tx"]:
            sold[lot] += order["filled_size_micros"]
    kept: dict[tuple[str, str], Fraction] = {}
    pieces: Counter[tuple[str, str]] = Counter()
    for row in _rows(world, "decision"):
        if row["side"] == "SELL":
            lot, before = (row["subscription_id"], row["asset_id"]), held[_trade(row)]
            part = Fraction(1)
            if before:
                part = min(part, Fraction(row["leader_size_micros"], before))
            kept[lot] = kept.get(lot, Fraction(1)) * (1 - part)
            pieces[lot] += 1
    return [
        Breach("I13 a lot follows its leader", f"{lot} has sold {micros} of {bought[lot]}")
        for lot, micros in sold.items()
        if micros > bought[lot] * (1 - kept[lot]) + pieces[lot] * _STEP_MICROS
    ]


def _trade(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in _TRADE)


def _undone_since(world: World, slices: Sequence[Row]) -> int:
    """Shares of purchases of a lot whose settlement failed after the slices were claimed: they
    were held then, and part of what the exit had to sell."""
    claimed_at = max(one["created_at"] for one in slices)
    of_lot = {
        order["order_key"]
        for order in _rows(world, "orders")
        if order["side"] == "BUY"
        and order["subscription_id"] == slices[0]["subscription_id"]
        and order["asset_id"] == slices[0]["asset_id"]
    }
    return sum(
        fill["size_micros"]
        for fill in _rows(world, "fill")
        if fill["order_key"] in of_lot
        and fill["status"] == "FAILED"
        and fill["matched_at"] <= claimed_at < fill["final_at"]
    )


def _forbidden_orders(world: World) -> list[Breach]:
    """I8: nothing that a pause or a halt forbids was committed after it was acknowledged."""
    return [
        Breach("I8 a pause is final", f"order {order['order_key']} was sent after a pause or halt")
        for ban in world.control.bans
        for order in _rows(world, "orders")
        if order["submitting_ns"] > ban.from_ns
        and (ban.until_ns is None or order["submitting_ns"] < ban.until_ns)
        and ban.order_is_meant(order)
    ]


def _outlives_its_trade(world: World) -> list[Breach]:
    """I8: an entry's time counts from the leader's trade, however late it was claimed."""
    traded = {
        tuple(row[name] for name in _TRADE): row["traded_ms"] for row in _rows(world, "leader_row")
    }
    ages = {
        row["id"]: row["max_age_ms"] or DEFAULT_MAX_AGE_MS
        for row in _rows(world, "subscription")
        if row["version"] == 1
    }
    return [
        Breach("I8 an entry ends with its trade's age", f"order {order['order_key']} lives longer")
        for order in _rows(world, "orders")
        if order["purpose"] == "ENTRY" and order["leader_tx"] and order["subscription_id"] in ages
        if order["not_after_ms"]
        > traded[tuple(order[name] for name in _TRADE)] + ages[order["subscription_id"]]
    ]


def _runs_away(world: World) -> list[Breach]:
    """The last gate lets a wallet buy for so much within a minute, whoever died meanwhile.

    It counts from when it judges, which the commit comes after: half a minute is never more.
    """
    bound = world.wallet_minute_usdc * MICROS
    by_wallet: dict[str, list[tuple[int, int]]] = {}
    for order in _rows(world, "orders"):
        if order["purpose"] == "ENTRY" and order["submitting_ns"]:
            money = notional_ceil(order["size_micros"], order["limit_micros"])
            left = (order["submitting_ns"], money)
            by_wallet.setdefault(order["follower_proxy"], []).append(left)
    found = []
    for wallet, entries in by_wallet.items():
        for started_ns, _ in entries:
            spent = sum(m for at, m in entries if 0 <= at - started_ns < _HALF_A_MINUTE_NS)
            if spent > bound:
                found.append(Breach("the last gate bounds a minute", f"{wallet} {spent} > {bound}"))
    return found


def _in_doubt(world: World, workload: Workload) -> list[Breach]:
    """I12: who wants a book that can be trusted buys nothing without one."""
    wary = {
        row["id"]
        for row in _rows(world, "subscription")
        if (row["settings"] or {}).get("on_doubtful_book") in ("SKIP", "WAIT")
    }
    return [
        Breach("I12 a doubtful book is as its follower says", f"order {order['order_key']}")
        for order in _rows(world, "orders")
        if order["purpose"] == "ENTRY"
        and order["subscription_id"] in wary
        and order["asset_id"] in workload.doubted
        and (workload.calmed_at is None or order["created_at"] < workload.calmed_at)
    ]


def _unwanted_leaders(world: World, workload: Workload) -> list[Breach]:
    """I13: who wants his leader's statistics to be good buys after no other one, and can say by
    which statistics."""
    choosy = {row["id"] for row in _rows(world, "subscription") if _skips_unknown(row)}
    name = "I13 a leader is as his follower asks"
    found = [
        Breach(name, f"order {order['order_key']}")
        for order in _rows(world, "orders")
        if order["purpose"] == "ENTRY"
        and order["subscription_id"] in choosy
        and order["leader"] not in workload.desired
    ]
    return found + [
        Breach(name, f"{row['leader_tx']} of {row['subscription_id']} by no version")
        for row in _rows(world, "decision")
        if row["subscription_id"] in choosy
        and row["side"] == "BUY"
        and row["order_keys"]
        and row["frozen"].get("leader_version") != VERSION
    ]


def _skips_unknown(subscription: Any) -> bool:
    desired = (subscription["settings"] or {}).get("leader")
    return desired is not None and desired.get("on_missing") != "COPY"


def _needless_ends(world: World) -> list[Breach]:
    """A person is called only where the far side cannot be asked."""
    promises = world.capabilities
    if not (promises.void or (promises.get_by_key and promises.not_after)):
        return []
    reported = _rows(world, "order_resolution")
    ended = {row["order_key"] for row in reported if row["from_state"] == "DEAD"}
    return [
        Breach("a human is called in need only", f"order {row['order_key']} is DEAD")
        for row in _rows(world, "orders")
        if (row["state"] == "DEAD" or row["order_key"] in ended)
        and row["order_key"] not in world.far.contradicted
    ]


def _restless(world: World) -> list[Breach]:
    """Everything comes to an end."""
    return [Breach("it comes to rest", text) for text in unrest(world)]


def _quarantined(world: World) -> list[Breach]:
    """No message is a dead letter but by a mistake, and is handled when that is mended."""
    return [
        Breach("nothing stays in quarantine", f"{row['stream']}: {row['reason']}")
        for row in _rows(world, "dead_letter")
        if row["replayed_at"] is None or not row["reason"].startswith("Mistake: ")
    ]


def _not_there(world: World, blocked: Collection[str]) -> list[str]:
    """Lots that hold more than their wallets, whose owners have sold by hand. A wallet with an
    order that waits for a person is never known for sure."""
    lots: Counter[tuple[str, str]] = Counter()
    for row in _rows(world, "lot"):
        lots[row["follower_proxy"], row["asset_id"]] += row["shares_micros"]
    there = world.exchange.wallets.shares
    return [
        f"lots of {proxy} hold {micros} of {asset}, the wallet {there[proxy, asset]}"
        for (proxy, asset), micros in lots.items()
        if world.sells_by_hand and proxy not in blocked and micros > max(there[proxy, asset], 0)
    ]


def unrest(world: World) -> list[str]:
    """Return what is still going on."""
    open_states = (*_UNRESOLVED, "SUBMITTED") if _can_follow(world) else _UNRESOLVED
    orders = {row["order_key"]: row for row in _rows(world, "orders")}
    found = [
        f"order {key} is {row['state']}"
        for key, row in orders.items()
        if row["state"] in open_states
    ]
    held_up = [row for row in orders.values() if row["state"] in _FOR_A_PERSON]
    lots = {(row["subscription_id"] or "manual", row["asset_id"]) for row in held_up}
    for row in _rows(world, "trigger"):
        # Who is never told that a buy did not settle tries to sell it for ever.
        ends = _can_follow(world) and (row["origin"], row["asset_id"]) not in lots
        if row["status"] in _CLOSING and ends:
            found.append(f"trigger {row['id']} is {row['status']}")
    entries = [row for row in held_up if row["purpose"] == "ENTRY"]
    awaited = {(row["subscription_id"], row["asset_id"]) for row in entries}
    for row in _rows(world, "decision"):
        lot = (row["subscription_id"], row["asset_id"])
        if row["reason"] == "WAITING_FOR_ENTRY" and lot not in awaited:
            found.append(f"a sell of {row['subscription_id']} waits for its entry")
    found += [
        f"journal record {row['seq']} is no rows yet"
        for row in _rows(world, "journal")
        if row["rows_built_at"] is None
    ]
    found += unanswered(world)
    found += [
        f"redemption {row['redeem_key']} is {row['state']}"
        for row in _rows(world, "redemption")
        if row["state"] != "CONFIRMED"
    ]
    blocked = {row["follower_proxy"] for row in held_up}
    found += [
        f"lot {row['origin']} of {row['asset_id']} is not paid out"
        for row in _rows(world, "lot")
        if row["asset_id"] in world.market.payouts
        and row["shares_micros"]
        and row["follower_proxy"] not in blocked
    ]
    found += _not_there(world, blocked)
    waiting = sum(row["replayed_at"] is None for row in _rows(world, "dead_letter"))
    if waiting:
        found.append(f"{waiting} messages are in quarantine")
    if world.facts.under_way:
        found.append(f"{world.facts.under_way} facts are still under way")
    return found
