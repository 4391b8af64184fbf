"""From what happened on the exchange to the frames that clients get."""

from __future__ import annotations

from functools import singledispatchmethod

from paper.okx.core.exchange import Exchange
from paper.okx.core.happenings import (
    AccountChanged,
    Happening,
    InstrumentChanged,
    Liquidated,
    LiquidationWarning,
    MarkChanged,
    OrderChanged,
    PositionChanged,
    PublicTrade,
)
from paper.okx.core.instruments import Instrument
from paper.okx.hub import Connection, Hub, frame
from paper.okx.stats import BARS, Stats
from paper.okx.wire import accounts, market, orders, positions
from paper.okx.wire.envelope import Json

_FULL = 400
_SHORT = {"books5": 5, "bbo-tbt": 1}


class Publisher:
    """Sequence numbers and statistics of public data, and the pushing of all channels."""

    def __init__(
        self, exchange: Exchange, hub: Hub, *, first_seq: int = 1_000_000, book_ms: int = 0
    ) -> None:
        self._world = exchange.world
        self._exchange = exchange
        self._hub = hub
        self.seq = dict.fromkeys(self._world.instruments, first_seq)
        """The sequence number of each book's last update."""
        self.stats = {name: Stats(of) for name, of in self._world.instruments.items()}
        self.changed = False
        """An account changed since somebody cleared this."""
        self._now_ms = 0
        self._accounts: set[str] = set()
        self._positions: dict[tuple[str, str, str], None] = {}
        self._book_ms = book_ms
        self._pushed_ms: dict[str, int] = {}
        """When the update of a book was pushed last, by instrument."""
        self.skip: dict[str, int] = {}
        """By instrument: so many updates of its book are lost."""

    def flush(self, now_ms: int) -> None:
        """Tell everything that happened since the last call."""
        self._now_ms = now_ms
        for happening in self._exchange.drain():
            self._notify(happening)
            if isinstance(happening, OrderChanged | AccountChanged | PositionChanged):
                self.changed = True
        for account, inst_id, mode in self._positions:
            self._position(account, inst_id, mode)
        for account in sorted(self._accounts):
            self._account(account)
        self._positions.clear()
        self._accounts.clear()
        for inst_id in self._world.instruments:
            due = now_ms - self._pushed_ms.get(inst_id, 0) >= self._book_ms
            if due and self._world.books[inst_id].touched:
                self._pushed_ms[inst_id] = now_ms
                self._book(inst_id)

    # Snapshots for who has just subscribed.

    def greet(self, connection: Connection, channel: str, arg: dict[str, str], now_ms: int) -> None:
        """Send what a channel begins with."""
        self._now_ms = now_ms
        inst_id = arg.get("instId", "")
        if channel == "books":
            data = self._whole(inst_id, _FULL) | {"checksum": 0, "prevSeqId": -1}
            connection.say(frame(arg, [data], action="snapshot"))
        elif channel in _SHORT:
            data = self._whole(inst_id, _SHORT[channel]) | self._short_extra(channel)
            connection.say(frame(arg, [data]))
        elif channel == "instruments":
            rows = [of.row for of in self.listed(arg["instType"])]
            connection.say(frame(arg, list(rows)))
        elif connection.key is not None and channel in ("account", "positions"):
            self._greet_private(connection, channel, arg)
        else:
            for row in self._public(channel, inst_id):
                connection.say(frame(arg, [row]))

    def listed(self, kind: str) -> list[Instrument]:
        """The instruments of a kind that are still listed."""
        known = self._world.instruments.values()
        return [of for of in known if of.kind == kind and of.state != "expired"]

    def has_instrument(self, inst_id: str) -> bool:
        """Return whether an instrument is listed."""
        of = self._world.instruments.get(inst_id)
        return of is not None and of.state != "expired"

    def has_index(self, name: str) -> bool:
        """Return whether there is such an index."""
        return name in self._world.indexes

    def _greet_private(self, connection: Connection, channel: str, arg: dict[str, str]) -> None:
        name = "" if connection.key is None else connection.key.account
        account = self._world.account(name)
        rows: list[object]
        if channel == "account":
            desired = [arg["ccy"]] if "ccy" in arg else []
            rows = [accounts.balance_row(self._world, account, desired)]
        else:
            rows = [
                positions.position_row(self._world, account, position)
                for position in account.positions.values()
                if position.lots
                and arg.get("instId", position.instrument.inst_id) == position.instrument.inst_id
                and arg["instType"] in ("ANY", position.instrument.kind)
            ]
        message = frame({**arg, "uid": name}, rows, eventType="snapshot", curPage=1, lastPage=True)
        connection.say(message)

    def _public(self, channel: str, inst_id: str) -> list[Json]:
        of = self._world.instruments.get(inst_id)
        if channel == "index-tickers" and inst_id in self._world.indexes:
            return [market.index_row(self._world, inst_id, self._now_ms)]
        if of is None:
            return []
        if channel == "tickers":
            day = self.stats[inst_id].day(self._now_ms)
            return [market.ticker_row(self._world, of, day, self._now_ms)]
        mark = self._world.marks.get(inst_id)
        if channel == "mark-price" and mark is not None:
            return [market.mark_row(of, mark, self._now_ms)]
        if channel == "price-limit" and mark is not None:
            return [market.limit_row(of, mark, self._now_ms)]
        funding = self._world.funding.get(inst_id)
        if channel == "funding-rate" and funding is not None:
            return [market.funding_row(of, funding, self._now_ms)]
        return []

    # What happened.

    @singledispatchmethod
    def _notify(self, happening: Happening) -> None:
        raise TypeError(f"{happening!r} is told to nobody")

    @_notify.register
    def _(self, one: OrderChanged) -> None:
        row = orders.pushed_row(self._world, one.order, one.fill)
        self._hub.notify(one.order.owner, "orders", row)
        if one.fill is not None:
            row = orders.fill_row(self._world, one.order, one.fill)
            self._hub.notify(one.order.owner, "fills", row)

    @_notify.register
    def _(self, one: AccountChanged) -> None:
        self._accounts.add(one.account)

    @_notify.register
    def _(self, one: PositionChanged) -> None:
        self._positions[one.account, one.inst_id, one.mode] = None

    @_notify.register
    def _(self, one: PublicTrade) -> None:
        of, stats = self._world.instruments[one.inst_id], self.stats[one.inst_id]
        stats.take(one)
        row = market.pushed_trade(of, one, self.seq[one.inst_id])
        for channel in ("trades", "trades-all"):
            self._hub.publish((channel, one.inst_id), [row])
        for bar in BARS:
            if self._hub.received((f"candle{bar}", one.inst_id)):
                candle = stats.candles(bar, self._now_ms)[0]
                data = market.candle_row(of, candle)
                self._hub.publish((f"candle{bar}", one.inst_id), [data])
        self._publish("tickers", one.inst_id)

    @_notify.register
    def _(self, one: MarkChanged) -> None:
        self._publish("mark-price", one.inst_id)
        self._publish("price-limit", one.inst_id)

    @_notify.register
    def _(self, one: InstrumentChanged) -> None:
        of = self._world.instruments[one.inst_id]
        if one.funded:
            self._publish("funding-rate", one.inst_id)
        else:
            self._hub.publish(("instruments", of.kind), [of.row])

    @_notify.register
    def _(self, one: LiquidationWarning) -> None:
        account = self._world.account(one.account)
        position = account.positions[one.inst_id, one.mode]
        row = positions.warning_row(self._world, account, position, self._now_ms)
        self._hub.notify(one.account, "liquidation-warning", row)

    @_notify.register
    def _(self, one: Liquidated) -> None:
        of = self._world.instruments[one.inst_id]
        row = market.liquidation_row(of, one)
        self._hub.publish(("liquidation-orders", of.kind), [row])

    def index_changed(self, name: str, now_ms: int) -> None:
        """Tell of an index."""
        self._now_ms = now_ms
        self._publish("index-tickers", name)

    def funding_changed(self, inst_id: str, now_ms: int) -> None:
        """Tell of a swap's funding rate."""
        self._now_ms = now_ms
        self._publish("funding-rate", inst_id)

    def quiet(self, inst_id: str, now_ms: int) -> None:
        """Send the update of a book that has not changed: both sequence numbers are the same."""
        row: Json = {"asks": [], "bids": [], "ts": str(now_ms), "checksum": 0}
        seq = self.seq[inst_id]
        row |= {"prevSeqId": seq, "seqId": seq}
        self._hub.publish(("books", inst_id), [row], action="update")

    def reset(self, inst_id: str, seq: int, now_ms: int) -> None:
        """Begin a book's sequence again: the next number is smaller than the one before it."""
        before, self.seq[inst_id] = self.seq[inst_id], seq
        row: Json = {"asks": [], "bids": [], "ts": str(now_ms), "checksum": 0}
        row |= {"prevSeqId": before, "seqId": seq}
        self._hub.publish(("books", inst_id), [row], action="update")

    def _publish(self, channel: str, inst_id: str) -> None:
        if self._hub.received((channel, inst_id)):
            for row in self._public(channel, inst_id):
                self._hub.publish((channel, inst_id), [row])

    def _book(self, inst_id: str) -> None:
        book, before = self._world.books[inst_id], self.seq[inst_id]
        self.seq[inst_id] = before + 1
        touched, book.touched = sorted(book.touched), set()
        if self.skip.get(inst_id, 0) > 0:
            self.skip[inst_id] -= 1
            return
        if self._hub.received(("books", inst_id)):
            row: Json = {
                name: [
                    market.level(self._world, inst_id, one, price)
                    for one, price in touched
                    if one == side
                ]
                for name, side in (("asks", "sell"), ("bids", "buy"))
            }
            row |= {"ts": str(self._now_ms), "checksum": 0}
            row |= {"prevSeqId": before, "seqId": before + 1}
            self._hub.publish(("books", inst_id), [row], action="update")
        for channel, count in _SHORT.items():
            if self._hub.received((channel, inst_id)):
                whole = self._whole(inst_id, count) | self._short_extra(channel)
                self._hub.publish((channel, inst_id), [whole])

    def _whole(self, inst_id: str, count: int) -> Json:
        return market.book_row(self._world, inst_id, count, self.seq[inst_id], self._now_ms)

    def _short_extra(self, channel: str) -> Json:
        return {"checksum": 0, "prevSeqId": -1} if channel == "books5" else {}

    def _account(self, name: str) -> None:
        row = accounts.balance_row(self._world, self._world.account(name))
        self._hub.notify(name, "account", row, eventType="event_update", curPage=1, lastPage=True)
        self._both(name, row, [])

    def _position(self, name: str, inst_id: str, mode: str) -> None:
        account = self._world.account(name)
        row = positions.position_row(self._world, account, account.positions[inst_id, mode])
        self._hub.notify(name, "positions", row, eventType="event_update", curPage=1, lastPage=True)
        self._both(name, {"details": []}, [row])

    def _both(self, name: str, balance: Json, positions: list[Json]) -> None:
        details = balance["details"]
        row: Json = {
            "balData": [
                {name: one[name] for name in ("ccy", "cashBal", "uTime")}
                for one in (details if isinstance(details, list) else [])
            ],
            "eventType": "filled",
            "pTime": str(self._now_ms),
            "posData": [{name: one[name] for name in _POSITION_DATA} for one in positions],
            "trades": [],
        }
        self._hub.notify(name, "balance_and_position", row)


_POSITION_DATA = (
    "posId",
    "tradeId",
    "instId",
    "instType",
    "mgnMode",
    "posSide",
    "pos",
    "ccy",
    "posCcy",
    "avgPx",
    "nonSettleAvgPx",
    "settledPnl",
    "uTime",
)
