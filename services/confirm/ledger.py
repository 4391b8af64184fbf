"""The orders, fills and lots that one transaction moves.

Everything is locked and read at once, moved in memory and written at once, so that a thousand
orders cost no more statements than one. What is held is locked until the transaction ends: memory
and rows cannot differ. Before it: `store`, which begins the transaction and decides; after it the
readers of bookings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import structlog

from services.confirm.core import guards, lots
from services.confirm.core.booking import Action, FillStatus, Step
from services.confirm.core.lots import Entry, Holding
from services.confirm.queries import as_json, every, one, put
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.lease import Fenced, Lease
from tradingtools.adapters.postgres.prompt import Connection
from tradingtools.domain.order_states import OrderState

_log = structlog.get_logger("confirm.ledger")
_SUMS = (
    "shares", "cost", "bought_size", "bought_notional", "sold_size", "sold_notional", "fee",
    "realised", "resolved_size", "payout",
)  # fmt: skip
_SIGN = {Action.BOOK: 1, Action.FINALISE: 0, Action.UNDO: -1}
_STATUS = {
    Action.FINALISE: FillStatus.CONFIRMED,
    Action.UNDO: FillStatus.FAILED,
    Action.NOTE: FillStatus.FAILED,
}
_LOT = ("follower_proxy", "asset_id", "origin")

LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""


def _lot_of(order: Mapping[str, Any]) -> LotKey:
    """Which lot an order moves."""
    return order["follower_proxy"], order["asset_id"], order["subscription_id"] or "manual"


def _named(key: LotKey) -> dict[str, Any]:
    return dict(zip(_LOT, key, strict=True))


async def may_book(connection: Connection, lease: Lease) -> None:
    """Make sure that a transaction may book until it ends, and that nobody else does meanwhile:
    numbers of bookings rise in the order of their commits. Called before any row is locked.

    Raises:
        Fenced: somebody else books now.
    """
    row = await one(connection, "may_book", {"epoch": lease.epoch})
    if not row["held"]:
        raise Fenced("the lease of confirm has run out")


async def move_lots(connection: Connection, moves: Iterable[tuple[LotKey, dict[str, int]]]) -> None:
    """Add to the sums of lots that are locked, micros; sums that are not named stay."""
    nothing = dict.fromkeys(_SUMS, 0)
    await put(
        connection, "move_lots", "moves", ({**_named(key), **nothing, **m} for key, m in moves)
    )


async def move_balances(connection: Connection, moves: Mapping[str, int]) -> None:
    """Add to the cash of wallets, micros; what was asked about them before is outdated."""
    rows = ({"follower_proxy": proxy, "cash": cash} for proxy, cash in moves.items())
    await put(connection, "move_balances", "moves", rows)


class Ledger:
    """What a transaction holds, and what it will write.

    Args:
        connection: in the transaction, which holds the lease already.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.orders: dict[str, dict[str, Any]] = {}
        """Rows by key, as they will be once all is written."""
        self._fills: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._lots: dict[LotKey, Holding] = {}
        self._opened: list[tuple[Mapping[str, Any], Step]] = []
        self._moved_fills: dict[tuple[str, str], dict[str, Any]] = {}
        self._moved_entries: dict[int, tuple[LotKey, Entry]] = {}
        self._moved_lots: dict[LotKey, dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(_SUMS, 0)
        )
        self._moved_orders: dict[str, dict[str, int]] = defaultdict(
            lambda: {"size": 0, "notional": 0, "fee": 0}
        )
        self._moved_cash: dict[str, int] = defaultdict(int)
        self._bookings: list[dict[str, Any]] = []
        self._transitions: list[dict[str, Any]] = []
        self._new_entries = count(1)

    async def lock(self, order_keys: Iterable[str]) -> None:
        """Lock orders and read what is booked of them. Raises LookupError: one is not there."""
        keys = {"keys": list(order_keys)}
        rows = await every(self._connection, "lock_orders", keys)
        self.orders.update((row["order_key"], row) for row in rows)
        if missing := set(keys["keys"]) - set(self.orders):
            raise LookupError(f"there is no order {min(missing)}")
        for row in await every(self._connection, "fills", keys):
            self._fills[row["order_key"]][row["trade_id"]] = row

    async def hold(self, *, moving: Iterable[str], ending: Iterable[str]) -> None:
        """Lock the lots of orders, and make those that do not exist.

        Args:
            moving: keys of orders of which something will be booked.
            ending: keys of orders that only end; their lots are not made.
        """
        made = {_lot_of(self.orders[key]): self.orders[key]["condition_id"] for key in moving}
        held = made.keys() | {_lot_of(self.orders[key]) for key in ending}
        await put(
            self._connection,
            "make_lots",
            "lots",
            ({**_named(key), "condition_id": condition} for key, condition in made.items()),
        )
        if not held:
            return
        names = {"lots": as_json(map(_named, held))}
        rows = await every(self._connection, "lock_lots", names)
        entries: dict[LotKey, list[Entry]] = defaultdict(list)
        for row in await every(self._connection, "lot_entries", names):
            entries[_key(row)].append(
                Entry(*(row[name] for name in (
                    "entry_seq", "size_micros", "cost_micros", "order_key", "trade_id",
                )))
            )  # fmt: skip
        for row in rows:
            sold = row["sold_size_micros"] + row["resolved_size_micros"]
            self._lots[_key(row)] = Holding(
                shares_micros=row["shares_micros"],
                cost_micros=row["cost_micros"],
                net_micros=row["bought_size_micros"] - sold,
                entries=tuple(entries[_key(row)]),
            )

    def fills(self, order_key: str) -> Mapping[str, Mapping[str, Any]]:
        """What is booked of an order, by trade id."""
        return self._fills[order_key]

    async def move(self, order_key: str, target: OrderState, **fields: Any) -> None:
        """Move an order to another state; ``fields`` as `apply_transitions` has them."""
        order = self.orders[order_key]
        if any(each["order_key"] == order_key for each in self._transitions):
            await self.apply()
        self._transitions.append(
            {
                "order_key": order_key,
                "from_state": order["state"],
                "to_state": target,
                "expected_epoch": order["epoch"],
                **fields,
            }
        )
        told = {"reason": fields.get("reason") or ""}
        if fields.get("venue_order_id"):
            told["venue_order_id"] = fields["venue_order_id"]
        self.orders[order_key] = {**order, "state": target.value, **told}

    async def apply(self) -> None:
        """Write the transitions so far; `write` does it for those that are left."""
        asked, self._transitions = self._transitions, []
        changed = await journal.apply_transitions(self._connection, asked)
        if len(changed) != len(asked):
            raise LookupError("an order moved although it was locked")

    def book(self, order_key: str, step: Step) -> None:
        """Take one step of a trade of an order whose lot is held."""
        trade, order = step.trade, self.orders[order_key]
        cost = realised = 0
        if step.action in (Action.BOOK, Action.UNDO):
            cost, realised = self._shift(order, step)
        known = self._fills[order_key].get(trade.trade_id)
        fill = known or {
            "order_key": order_key,
            "trade_id": trade.trade_id,
            "size_micros": trade.size_micros,
            "notional_micros": trade.notional_micros,
            "fee_micros": trade.fee_micros,
            "cost_micros": cost,
        }
        fill = {**fill, "status": _STATUS.get(step.action, FillStatus.MATCHED).value}
        self._fills[order_key][trade.trade_id] = fill
        self._moved_fills[order_key, trade.trade_id] = fill
        if step.action is not Action.NOTE:
            self._note(order_key, step, realised)

    def _shift(self, order: Mapping[str, Any], step: Step) -> tuple[int, int]:
        """Move the lot; what the shares of a sale had cost, and the change of the profit."""
        key, buying = _lot_of(order), order["side"] == "BUY"
        known = self._fills[order["order_key"]].get(step.trade.trade_id)
        moved = lots.move(
            self._lots[key],
            step,
            buying=buying,
            order_key=order["order_key"],
            cost_micros=known["cost_micros"] if known else 0,
            entry_seq=-next(self._new_entries),
        )
        if moved.short:
            _log.error("sold more than the lot held", order=order["order_key"], **_named(key))
        before, self._lots[key] = self._lots[key], moved.holding
        for entry in moved.changed:
            self._moved_entries[entry.entry_seq] = (key, entry)
        for name, change in moved.sums.items():
            self._moved_lots[key][name] += change
        opened = before.shares_micros == 0 < moved.holding.shares_micros
        if buying and step.action is Action.BOOK and opened:
            self._opened.append((order, step))
        return moved.sold_cost_micros, moved.sums["realised"]

    def _note(self, order_key: str, step: Step, realised: int) -> None:
        """The order's totals, and the booking that the stream carries."""
        trade, sign, order = step.trade, _SIGN[step.action], self.orders[order_key]
        for name, column, amount in (
            ("size", "filled_size_micros", trade.size_micros),
            ("notional", "filled_notional_micros", trade.notional_micros),
            ("fee", "fee_micros", trade.fee_micros),
        ):
            self._moved_orders[order_key][name] += sign * amount
            order[column] += sign * amount
        if sign:
            got = trade.notional_micros if order["side"] == "SELL" else -trade.notional_micros
            self._moved_cash[order["follower_proxy"]] += sign * (got - trade.fee_micros)
        self._add_booking(
            order,
            kind=step.action.value,
            trade_id=trade.trade_id,
            size_micros=trade.size_micros,
            notional_micros=trade.notional_micros,
            fee_micros=trade.fee_micros,
            realised_micros=realised,
            order_state=order["state"],
            reason="",
        )

    def close(self, order_key: str, *, again: str = "") -> None:
        """Tell readers that an order has ended and holds no money any more.

        ``again`` names a later end than the first, of which there is one booking each.
        """
        order = self.orders[order_key]
        self._add_booking(
            order,
            kind="CLOSED",
            trade_id=again,
            size_micros=0,
            notional_micros=0,
            fee_micros=0,
            realised_micros=0,
            order_state=order["state"],
            reason=order["reason"],
        )

    def _add_booking(self, order: Mapping[str, Any], **fields: Any) -> None:
        held = self._lots.get(_lot_of(order), Holding())
        self._bookings.append(
            {
                "order_key": order["order_key"],
                "order_filled_micros": order["filled_size_micros"],
                "lot_shares_micros": held.shares_micros,
                "lot_cost_micros": held.cost_micros,
                **fields,
            }
        )

    async def write(self) -> None:
        """Write everything that was moved, in as many statements as there are kinds of rows."""
        to = self._connection
        if self._transitions:
            await self.apply()
        await put(to, "put_fills", "fills", self._moved_fills.values())
        entries = [
            {**_named(key), **{name: getattr(entry, name) for name in Entry.__slots__}}
            for key, entry in self._moved_entries.values()
        ]
        await put(to, "add_entries", "entries", (e for e in entries if e["entry_seq"] < 0))
        await put(to, "set_entries", "entries", (e for e in entries if e["entry_seq"] > 0))
        await move_lots(to, self._moved_lots.items())
        moves = ({"order_key": key, **move} for key, move in self._moved_orders.items())
        await put(to, "move_orders", "moves", moves)
        await move_balances(to, self._moved_cash)
        await self._guard()
        await put(to, "add_bookings", "bookings", self._bookings)

    async def _guard(self) -> None:
        """The triggers of positions that were opened: no position is ever without them."""
        if not self._opened:
            return
        ids = {"ids": list({order["subscription_id"] or "" for order, _ in self._opened})}
        rows = await every(self._connection, "default_triggers", ids)
        defaults = {row["id"]: row["triggers"] for row in rows}
        now_ms = clock.now_ms()
        made = (
            trigger
            for order, step in self._opened
            if order["subscription_id"] in defaults
            for trigger in guards.of_position(
                order, step.trade, defaults[order["subscription_id"]], now_ms
            )
        )
        await put(self._connection, "add_triggers", "triggers", made)


def _key(row: Mapping[str, Any]) -> LotKey:
    return row["follower_proxy"], row["asset_id"], row["origin"]
