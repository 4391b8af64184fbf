"""Hold the orders, fills and lots that one transaction moves.

Everything is locked and read at once, moved in memory and written at once, so that a thousand
orders cost no more statements than one. What is held is locked until the transaction ends: memory
and rows cannot differ. Before it: `store`, which begins the transaction and decides; after it
`write_set`, which writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import structlog

from services.confirm.core import lots, position_triggers
from services.confirm.core.booking import Action, FillStatus, Step
from services.confirm.core.lots import Entry, Holding
from services.confirm.queries import QUERIES
from services.confirm.write_set import LotKey, WriteSet, named
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pipeline import Pipeline

_log = structlog.get_logger("confirm.ledger")
_SIGN = {Action.BOOK: 1, Action.FINALISE: 0, Action.UNDO: -1}
_STATUS = {
    Action.FINALISE: FillStatus.CONFIRMED,
    Action.UNDO: FillStatus.FAILED,
    Action.NOTE: FillStatus.FAILED,
}

Smallest = Callable[[str], int | None]
"""The smallest order that the market of an asset takes, micros of shares; None: not known."""


def unknown(_: str) -> None:
    """Return None: no market's smallest order is known."""


def _lot_of(order: Mapping[str, Any]) -> LotKey:
    """Return which lot an order moves."""
    return order["follower_proxy"], order["asset_id"], order["subscription_id"] or "manual"


def may_book(pipeline: Pipeline, lease: Lease) -> Callable[[], Awaitable[None]]:
    """Ask that a transaction may book until it ends, and that nobody else does meanwhile: numbers
    of bookings rise in the order of their commits. Asked before any row is locked.

    Returns:
        What reads the answer, before anything is concluded; it raises Fenced: somebody else books.
    """
    answer = pipeline.queue(QUERIES["may_book"], {"epoch": lease.epoch})

    async def check() -> None:
        (row,) = await answer.rows()
        if not row["held"]:
            raise Fenced("the lease of confirm has run out")

    return check


class Ledger:
    """The lots that a transaction has locked, and their changes.

    Args:
        pipeline: the transaction.
        smallest: of an asset's orders, micros; see `Smallest`.
    """

    def __init__(self, pipeline: Pipeline, smallest: Smallest = unknown) -> None:
        self._pipeline = pipeline
        self._smallest = smallest
        self.orders: dict[str, dict[str, Any]] = {}
        """Rows by key, as they will be once all is written."""
        self._fills: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._lots: dict[LotKey, Holding] = {}
        self._moves = WriteSet(pipeline)
        self._opened: dict[LotKey, tuple[Mapping[str, Any], Step]] = {}
        """The buys that began positions; of a lot the last one."""
        self._defaults: dict[LotKey, Mapping[str, Any]] = {}
        self._new_entries = count(1)

    async def lock(self, lease: Lease, order_keys: Iterable[str]) -> None:
        """Lock orders and their lots, and read what is booked of them.

        Raises:
            Fenced: somebody else books now.
            LookupError: an order is not there.
        """
        # One message, one answer: nothing of it depends on what is read before it.
        check = may_book(self._pipeline, lease)
        keys = {"keys": list(order_keys)}
        orders, fills, held, entries, defaults = (
            self._pipeline.queue(QUERIES[name], keys)
            for name in ("lock_orders", "fills", "lock_lots", "lot_entries", "default_triggers")
        )
        await check()
        self.orders.update((row["order_key"], row) for row in await orders.rows())
        if missing := set(keys["keys"]) - set(self.orders):
            raise LookupError(f"there is no order {min(missing)}")
        for row in await fills.rows():
            self._fills[row["order_key"]][row["trade_id"]] = row
            self._moves.stored_fills.add((row["order_key"], row["trade_id"]))
        self._hold(await held.rows(), await entries.rows())
        self._defaults = {_key(row): row for row in await defaults.rows()}

    def _hold(self, rows: Iterable[Mapping[str, Any]], of: Iterable[Mapping[str, Any]]) -> None:
        entries: dict[LotKey, list[Entry]] = defaultdict(list)
        for row in of:
            entries[_key(row)].append(
                Entry(*(row[name] for name in (
                    "entry_seq", "size_micros", "cost_micros", "order_key", "trade_id",
                )))
            )  # fmt: skip
        # A lot that has no row is empty.
        self._lots.update((_lot_of(order), Holding()) for order in self.orders.values())
        for row in rows:
            key, sold = _key(row), row["sold_size_micros"] + row["resolved_size_micros"]
            self._moves.stored_lots.add(key)
            self._lots[key] = Holding(
                shares_micros=row["shares_micros"],
                cost_micros=row["cost_micros"],
                net_micros=row["bought_size_micros"] - sold,
                entries=tuple(entries[key]),
            )

    def fills(self, order_key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return what is booked of an order, by trade id."""
        return self._fills[order_key]

    def move(self, order_key: str, target: OrderState, **fields: Any) -> None:
        """Move an order to another state; ``fields`` as `apply_transitions` has them."""
        order = self.orders[order_key]
        self._moves.transition(
            order_key,
            {
                "order_key": order_key,
                "from_state": order["state"],
                "to_state": target,
                "expected_epoch": order["epoch"],
                **fields,
            },
        )
        reported = {"reason": fields.get("reason") or ""}
        if fields.get("venue_order_id"):
            reported["venue_order_id"] = fields["venue_order_id"]
        self.orders[order_key] = {**order, "state": target.value, **reported}

    def apply(self) -> None:
        """Write the transitions so far; `write` does it for those that are left."""
        self._moves.apply()

    def check_again(self, order_key: str, milliseconds: int) -> None:
        """Have an order asked for again so much later; it stays in the state that it has now."""
        self._moves.check_again(order_key, milliseconds)

    def book(self, order_key: str, step: Step) -> None:
        """Take one step of a trade of an order whose lot is held."""
        trade, order = step.trade, self.orders[order_key]
        cost = realised = 0
        if step.action in (Action.BOOK, Action.UNDO):
            cost, realised = self._shift(order, step)
        known = self._fills[order_key].get(trade.trade_id)
        fill = known or {
            "order_key": order_key,
            "subscription_id": order["subscription_id"],
            "trade_id": trade.trade_id,
            "size_micros": trade.size_micros,
            "notional_micros": trade.notional_micros,
            "fee_micros": trade.fee_micros,
            "cost_micros": cost,
        }
        fill = {**fill, "status": _STATUS.get(step.action, FillStatus.MATCHED).value}
        self._fills[order_key][trade.trade_id] = fill
        self._moves.fills[order_key, trade.trade_id] = fill
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
        self._moves.conditions[key] = order["condition_id"]
        if moved.short:
            _log.error("sold more than the lot held", order=order["order_key"], **named(key))
        before, self._lots[key] = self._lots[key], moved.holding
        for entry in moved.changed:
            self._moves.entries[entry.entry_seq] = (key, entry)
        for name, change in moved.sums.items():
            self._moves.lots[key][name] += change
        booking = buying and step.action is Action.BOOK
        if booking and moved.holding.shares_micros and self._begins(key, order, before):
            self._opened[key] = (order, step)
        return moved.sold_cost_micros, moved.sums["realised"]

    def _begins(self, key: LotKey, order: Mapping[str, Any], before: Holding) -> bool:
        """Return whether a fill of a buy begins a position that is to be guarded."""
        if key not in self._defaults:
            return False
        fills = self._fills[order["order_key"]].values()
        return position_triggers.begins(
            before.shares_micros,
            order_micros=order["size_micros"],
            first=all(fill["status"] == FillStatus.FAILED.value for fill in fills),
            # What was read is of the set before this transaction's.
            sold_out=self._defaults[key]["sold_out"] and key not in self._opened,
            smallest_micros=self._smallest(order["asset_id"]),
        )

    def _note(self, order_key: str, step: Step, realised: int) -> None:
        """Write the order's totals, and the booking that the stream carries."""
        trade, sign, order = step.trade, _SIGN[step.action], self.orders[order_key]
        if sign:
            move = self._moves.orders[order_key]
            for name, column, amount in (
                ("size", "filled_size_micros", trade.size_micros),
                ("notional", "filled_notional_micros", trade.notional_micros),
                ("fee", "fee_micros", trade.fee_micros),
            ):
                move[name] += sign * amount
                order[column] += sign * amount
            got = trade.notional_micros if order["side"] == "SELL" else -trade.notional_micros
            self._moves.cash[order["follower_proxy"]] += sign * (got - trade.fee_micros)
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
        self._moves.bookings.append(
            {
                "order_key": order["order_key"],
                "order_filled_micros": order["filled_size_micros"],
                "lot_shares_micros": held.shares_micros,
                "lot_cost_micros": held.cost_micros,
                **fields,
            }
        )

    async def write(self) -> None:
        """Write everything that was moved.

        Raises:
            LookupError: an order was not as it was read; nothing may be committed.
        """
        self._moves.triggers.extend(self._guards())
        await self._moves.write()

    def _guards(self) -> Iterator[dict[str, Any]]:
        """Add the triggers of positions that were opened: no position is ever without them."""
        now_ms = clock.now_ms()
        return (
            trigger
            for key, (order, step) in self._opened.items()
            for trigger in position_triggers.of_position(
                order, step.trade, self._defaults[key], now_ms
            )
        )


def _key(row: Mapping[str, Any]) -> LotKey:
    return row["follower_proxy"], row["asset_id"], row["origin"]
