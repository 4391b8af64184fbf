"""Trading by REST: orders, cancels, amends, look-ups, fills, the dead man's switch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from paper.okx.call import Call, Handler, Route, per_2s
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.limits import Limit
from paper.okx.core.orders import Order
from paper.okx.desk import BATCH, Desk
from paper.okx.wire.envelope import Json, done, operations
from paper.okx.wire.orders import fill_row, order_row

_HISTORY_MS = 7 * 24 * 3600 * 1000


class TradeRest:
    """Handlers of `/api/v5/trade`."""

    def __init__(self, exchange: Exchange, desk: Desk) -> None:
        self._exchange = exchange
        self._world = exchange.world
        self._desk = desk

    def routes(self) -> list[Route]:
        """The routes; orders count their own limits."""
        found = [
            Route(
                method="POST",
                path=f"/api/v5/trade/{path}",
                handler=self._operation(op, batch=batch),
                trade=True,
                op=op,
            )
            for path, op, batch in (
                ("order", "order", False),
                ("batch-orders", "order", True),
                ("cancel-order", "cancel-order", False),
                ("cancel-batch-orders", "cancel-order", True),
                ("amend-order", "amend-order", False),
                ("amend-batch-orders", "amend-order", True),
            )
        ]
        found += [
            Route(method="GET", path=f"/api/v5/trade/{path}", handler=handler, limit=per_2s(count))
            for path, handler, count in (
                ("order", self._order, 60),
                ("orders-pending", self._pending, 60),
                ("orders-history", self._history, 40),
                ("orders-history-archive", self._history, 20),
                ("fills", self._fills, 60),
                ("fills-history", self._fills, 10),
                ("account-rate-limit", self._rate_limit, 1),
            )
        ]
        found += [
            Route(
                method="POST",
                path="/api/v5/trade/cancel-all-after",
                handler=self._cancel_all_after,
                trade=True,
                limit=Limit(1, 1_000),
            ),
            Route(
                method="POST",
                path="/api/v5/trade/close-position",
                handler=self._close_position,
                trade=True,
                limit=per_2s(20),
            ),
        ]
        return found

    def _operation(self, op: str, *, batch: bool) -> Handler:
        def handle(call: Call) -> Json:
            rows = call.rows if batch else [call.row]
            if not rows or len(rows) > BATCH:
                raise Refusal("51000", "body")
            results = self._desk.run(
                call.account, op, rows, call.now_ms, batch=batch, expires_ms=call.expires_ms
            )
            return operations(results, call.arrived_ns // 1000, time.time_ns() // 1000)

        return handle

    def _order(self, call: Call) -> Json:
        name = call.needs("instId")
        ord_id, cl_ord_id = call.query.get("ordId", ""), call.query.get("clOrdId", "")
        if not ord_id and not cl_ord_id:
            raise Refusal("50014", "ordId")
        order = self._world.find(call.account, ord_id, cl_ord_id, call.now_ms)
        if order is None or order.instrument.inst_id != name:
            raise Refusal("51603")
        return done([order_row(order)])

    def _pending(self, call: Call) -> Json:
        orders = self._world.open_orders(call.account)[::-1]
        return done(self._page(call, orders))

    def _history(self, call: Call) -> Json:
        call.needs("instType")
        orders = [
            order
            for order in reversed(self._world.done[call.account])
            if call.now_ms - order.updated_ms < _HISTORY_MS
            and self._world.find(call.account, order.ord_id, "", call.now_ms) is not None
        ]
        return done(self._page(call, orders))

    def _page(self, call: Call, orders: Iterable[Order]) -> list[Json]:
        rows = [order_row(order) for order in orders]
        desired = {
            name: call.query[name]
            for name in ("instType", "instId", "ordType", "state", "category")
            if call.query.get(name)
        }
        kept = [row for row in rows if _fits(row, desired)]
        return _cut(call, kept, "ordId")

    def _fills(self, call: Call) -> Json:
        rows = [
            fill_row(self._world, order, fill)
            for order, fill in reversed(self._world.fills[call.account])
            if _within(call, fill.at_ms)
        ]
        desired = {
            name: call.query[name]
            for name in ("instType", "instId", "ordId")
            if call.query.get(name)
        }
        kept = [row for row in rows if _fits(row, desired)]
        return done(_cut(call, kept, "billId"))

    def _rate_limit(self, call: Call) -> Json:
        row: Json = {
            "accRateLimit": "1000",
            "fillRatio": "",
            "mainFillRatio": "",
            "nextAccRateLimit": "",
            "ts": str(call.now_ms),
        }
        return done([row])

    def _cancel_all_after(self, call: Call) -> Json:
        text, tag = str(call.row.get("timeOut", "")), str(call.row.get("tag", "") or "")
        if not text.isascii() or not text.isdigit():
            raise Refusal("51000", "timeOut")
        fires = self._exchange.trading.cancel_all_after(call.account, tag, int(text), call.now_ms)
        row: Json = {"tag": tag, "triggerTime": str(fires), "ts": str(call.now_ms)}
        return done([row])

    def _close_position(self, call: Call) -> Json:
        name, mode = str(call.row.get("instId", "")), str(call.row.get("mgnMode", ""))
        held = self._world.account(call.account).held(name, mode)
        if held is None:
            raise Refusal("51169")
        if str(call.row.get("autoCxl", "")).lower() == "true":
            closing = "sell" if held.lots > 0 else "buy"
            mine = self._world.open_orders(call.account)
            chosen = [
                one for one in mine if one.instrument is held.instrument and one.side == closing
            ]
            self._exchange.trading.withdraw(chosen, call.now_ms)
        row = {
            "instId": name,
            "tdMode": mode,
            "side": "sell" if held.lots > 0 else "buy",
            "ordType": "market",
            "sz": held.instrument.size_text(abs(held.lots)),
            "reduceOnly": "true",
            "clOrdId": call.row.get("clOrdId", ""),
            "tag": call.row.get("tag", ""),
        }
        result = self._desk.run(call.account, "order", [row], call.now_ms, batch=False)[0]
        if result["sCode"] != "0":
            raise Refusal(str(result["sCode"]), *_BLANKS)
        shown: Json = {
            "clOrdId": row["clOrdId"],
            "instId": name,
            "posSide": "net",
            "tag": row["tag"],
        }
        return done([shown])


_BLANKS = ("", "", "")


def _fits(row: Json, desired: Mapping[str, str]) -> bool:
    return all(str(row[name]) in value.split(",") for name, value in desired.items())


def _within(call: Call, at_ms: int) -> bool:
    begin, end = call.query.get("begin", ""), call.query.get("end", "")
    return (not begin.isdigit() or at_ms >= int(begin)) and (not end.isdigit() or at_ms <= int(end))


def _cut(call: Call, rows: list[Json], name: str) -> list[Json]:
    """A page: rows older than `after` and newer than `before`, latest first, at most `limit`."""
    after, before = call.query.get("after", ""), call.query.get("before", "")
    limit = call.query.get("limit", "") or "100"
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise Refusal("51000", "limit")
    kept = [
        row
        for row in rows
        if (not after.isdigit() or int(str(row[name])) < int(after))
        and (not before.isdigit() or int(str(row[name])) > int(before))
    ]
    if before.isdigit() and not after.isdigit():
        return kept[-int(limit) :]
    return kept[: int(limit)]
