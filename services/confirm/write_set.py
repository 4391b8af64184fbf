"""Gather what one transaction writes, one statement for each kind of row.

Before it: `ledger`, which moves orders and lots in memory, and whoever moves sums alone. After it:
the rows, and the bookings that the stream carries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from services.confirm.core.lots import Entry
from services.confirm.queries import put
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pipeline import Answer, Pipeline

_SUMS = (
    "shares", "cost", "bought_size", "bought_notional", "sold_size", "sold_notional", "fee",
    "realised", "resolved_size", "payout",
)  # fmt: skip
_LOT = ("follower_proxy", "asset_id", "origin")

LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""


def named(key: LotKey) -> dict[str, Any]:
    """Return the columns that say which lot it is."""
    return dict(zip(_LOT, key, strict=True))


def move_lots(pipeline: Pipeline, moves: Iterable[tuple[LotKey, dict[str, int]]]) -> None:
    """Add to the sums of lots that are locked, micros; sums that are not named stay."""
    nothing = dict.fromkeys(_SUMS, 0)
    put(pipeline, "move_lots", "moves", ({**named(key), **nothing, **m} for key, m in moves))


def move_balances(pipeline: Pipeline, moves: Mapping[str, int]) -> None:
    """Add to the cash of wallets, micros; what was asked about them before is outdated."""
    rows = ({"follower_proxy": proxy, "cash": cash} for proxy, cash in moves.items())
    put(pipeline, "move_balances", "moves", rows)


class WriteSet:
    """The writes of a transaction.

    Args:
        pipeline: the transaction.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.stored_fills: set[tuple[str, str]] = set()
        """Order key and trade id of those that have a row."""
        self.stored_lots: set[LotKey] = set()
        """Those that have a row."""
        self.fills: dict[tuple[str, str], dict[str, Any]] = {}
        self.entries: dict[int, tuple[LotKey, Entry]] = {}
        """By number; those less than zero are new."""
        self.conditions: dict[LotKey, str] = {}
        """The market of each lot that is moved."""
        self.lots: dict[LotKey, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
        """Changes of sums, micros."""
        self.orders: dict[str, dict[str, int]] = defaultdict(
            lambda: {"size": 0, "notional": 0, "fee": 0}
        )
        """Changes of what is filled, micros."""
        self.cash: dict[str, int] = defaultdict(int)
        """Changes by wallet, micros."""
        self.triggers: list[dict[str, Any]] = []
        self.bookings: list[dict[str, Any]] = []
        self._transitions: dict[str, dict[str, Any]] = {}
        self._applied: list[tuple[int, Answer]] = []

    def transition(self, order_key: str, fields: dict[str, Any]) -> None:
        """Move an order to another state, after all that it went through before."""
        if order_key in self._transitions:
            self.apply()
        self._transitions[order_key] = fields

    def apply(self) -> None:
        """Write the transitions so far; `write` does it for those that are left."""
        moved, self._transitions = list(self._transitions.values()), {}
        if moved:
            self._applied.append((len(moved), journal.queue_transitions(self._pipeline, moved)))

    def check_again(self, order_key: str, milliseconds: int) -> None:
        """Have an order asked for again so much later; it stays in the state that it has now."""
        moves: dict[str, dict[str, int]] = self._transitions
        if order_key not in moves:
            moves = self.orders
        moves[order_key]["next_check_ms"] = milliseconds

    async def write(self) -> None:
        """Write everything that was moved.

        Raises:
            LookupError: an order was not as it was read; nothing may be committed.
        """
        # An order has one new version, whatever has happened to it.
        for key in self._transitions.keys() & self.orders.keys():
            self._transitions[key] |= self.orders.pop(key)
        self.apply()
        moves = ({"order_key": key, **move} for key, move in self.orders.items())
        put(self._pipeline, "move_orders", "moves", moves)
        self._write_fills()
        self._write_lots()
        move_balances(self._pipeline, self.cash)
        put(self._pipeline, "add_triggers", "triggers", self.triggers)
        put(self._pipeline, "add_bookings", "bookings", self.bookings)
        await self._pipeline.send()
        for expected, answer in self._applied:
            if len(await answer.rows()) != expected:
                raise LookupError("an order moved although it was locked")

    def _write_fills(self) -> None:
        new: list[dict[str, Any]] = []
        old: list[dict[str, Any]] = []
        for key, fill in self.fills.items():
            (old if key in self.stored_fills else new).append(fill)
        put(self._pipeline, "add_fills", "fills", new)
        put(self._pipeline, "set_fills", "fills", old)

    def _write_lots(self) -> None:
        new = sorted(self.lots.keys() - self.stored_lots)
        made = (
            {**named(key), "condition_id": self.conditions[key], **self.lots.pop(key)}
            for key in new
        )
        put(self._pipeline, "add_lots", "lots", made)
        move_lots(self._pipeline, self.lots.items())
        entries = [
            {**named(key), **{name: getattr(entry, name) for name in Entry.__slots__}}
            for key, entry in self.entries.values()
        ]
        put(self._pipeline, "add_entries", "entries", (e for e in entries if e["entry_seq"] < 0))
        put(self._pipeline, "set_entries", "entries", (e for e in entries if e["entry_seq"] > 0))
