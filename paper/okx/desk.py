"""The trading desk: orders, cancels and amends as REST and sockets ask for them alike.

A row of parameters goes in, a row with the exchange's codes comes out. Rate limits are counted here
because both ways share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from paper.okx.core.codes import MESSAGES, Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.limits import BATCHES, ORDERS, SUB_ACCOUNT, Limits
from paper.okx.core.orders import OrderRequest
from paper.okx.wire.envelope import Json

Row = Mapping[str, object]

OPERATIONS = {
    "order": "order",
    "batch-orders": "order",
    "cancel-order": "cancel-order",
    "batch-cancel-orders": "cancel-order",
    "amend-order": "amend-order",
    "batch-amend-orders": "amend-order",
}
"""The operation of each call by socket."""
BATCH = 20
"""Most rows of a batch."""


class Desk:
    """Does what the rows say for an account."""

    def __init__(self, exchange: Exchange, limits: Limits, *, limited: bool) -> None:
        self._exchange = exchange
        self._limits = limits
        self.limited = limited
        self._codes = {of.code: name for name, of in exchange.world.instruments.items()}

    def run(
        self,
        account: str,
        op: str,
        rows: Sequence[Row],
        now_ms: int,
        *,
        batch: bool,
        expires_ms: int | None = None,
    ) -> list[Json]:
        """Do an operation (`order`, `cancel-order`, `amend-order`) for each row. Raises Refusal
        (50011, 50061) when there were too many."""
        named = [self._named(row) for row in rows]
        if self.limited:
            self._count(account, op, named, now_ms, batch=batch)
        do: Callable[[str, Row, int, int | None], Json] = {
            "order": self._order,
            "cancel-order": self._cancel,
            "amend-order": self._amend,
        }[op]
        return [do(account, row, now_ms, expires_ms) for row in named]

    def refused(self, op: str, rows: Sequence[Row], code: str, now_ms: int) -> list[Json]:
        """The rows of an operation none of which was done."""
        message = MESSAGES.get(code, "System error. Try again later")
        return [_result(row, op, now_ms, code=code, message=message) for row in rows]

    def _named(self, row: Row) -> Row:
        """A row with the name of the instrument, if it gives that by number."""
        code = row.get("instIdCode")
        if code is None:
            return row
        name = self._codes.get(int(str(code))) if str(code).isdigit() else None
        return {**row, "instId": name or ""}

    def _count(
        self, account: str, op: str, rows: Sequence[Row], now_ms: int, *, batch: bool
    ) -> None:
        limits, limit = self._limits, BATCHES if batch else ORDERS
        for inst_id in {_text(row, "instId") for row in rows}:
            weight = sum(_text(row, "instId") == inst_id for row in rows)
            key = (account, op, batch, inst_id)
            if not limits.allows(key, limit, now_ms, weight=weight):
                raise Refusal("50011")
        counted = op != "cancel-order"
        if counted and not limits.allows(account, SUB_ACCOUNT, now_ms, weight=len(rows)):
            raise Refusal("50061")

    def _order(self, account: str, row: Row, now_ms: int, expires_ms: int | None) -> Json:
        request = OrderRequest(
            inst_id=_text(row, "instId"),
            td_mode=_text(row, "tdMode"),
            side=_text(row, "side"),
            ord_type=_text(row, "ordType"),
            sz=_text(row, "sz"),
            px=_text(row, "px"),
            cl_ord_id=_text(row, "clOrdId"),
            tag=_text(row, "tag"),
            ccy=_text(row, "ccy"),
            pos_side=_text(row, "posSide"),
            reduce_only=_flag(row, "reduceOnly"),
            tgt_ccy=_text(row, "tgtCcy"),
            stp_mode=_text(row, "stpMode") or "cancel_maker",
        )
        try:
            if row.get("attachAlgoOrds"):
                raise Refusal("51000", "attachAlgoOrds")
            placed = self._exchange.place(account, request, now_ms, expires_ms=expires_ms)
        except Refusal as refusal:
            return _result(row, "order", now_ms, code=refusal.code, message=refusal.message)
        return _result(row, "order", now_ms, ord_id=placed.ord_id, code="0", message="Order placed")

    def _cancel(self, account: str, row: Row, now_ms: int, _: int | None) -> Json:
        try:
            order = self._exchange.cancel(
                account,
                _text(row, "instId"),
                _text(row, "ordId"),
                _text(row, "clOrdId"),
                now_ms,
            )
        except Refusal as refusal:
            return _result(row, "cancel-order", now_ms, code=refusal.code, message=refusal.message)
        return _result(row, "cancel-order", now_ms, ord_id=order.ord_id, code="0", message="")

    def _amend(self, account: str, row: Row, now_ms: int, expires_ms: int | None) -> Json:
        try:
            if expires_ms is not None and now_ms > expires_ms:
                raise Refusal("51149")
            order = self._exchange.amend(
                account,
                _text(row, "instId"),
                _text(row, "ordId"),
                _text(row, "clOrdId"),
                size=_text(row, "newSz"),
                price=_text(row, "newPx"),
                req_id=_text(row, "reqId"),
                cancel_on_fail=_flag(row, "cxlOnFail"),
                now_ms=now_ms,
            )
        except Refusal as refusal:
            return _result(row, "amend-order", now_ms, code=refusal.code, message=refusal.message)
        return _result(row, "amend-order", now_ms, ord_id=order.ord_id, code="0", message="")


def _result(row: Row, op: str, now_ms: int, *, ord_id: str = "", code: str, message: str) -> Json:
    result: Json = {
        "clOrdId": _text(row, "clOrdId"),
        "ordId": ord_id or ("" if op == "order" else _text(row, "ordId")),
        "sCode": code,
        "sMsg": message,
        "ts": str(now_ms),
    }
    if op == "order":
        result["tag"] = _text(row, "tag")
    elif op == "amend-order":
        result["reqId"] = _text(row, "reqId")
    return result


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _flag(row: Row, name: str) -> bool:
    return str(row.get(name, "")).lower() == "true"
