"""Orders and their trades, as rows; the exchange writes them, every answer is built from them."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from typing import cast

from paper.insiders.core.admission import KeyUse
from paper.insiders.core.model import (
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    Settlement,
    Side,
    Trade,
    TradeStatus,
)


def _digest(*parts: object) -> str:
    return hashlib.sha256(":".join(str(part) for part in parts).encode()).hexdigest()


def insert_order(
    db: sqlite3.Connection,
    request: OrderRequest,
    *,
    key: str,
    body_sha256: str,
    accepted_ms: int,
    match_due_ms: int,
    reserved: int,
    settlement: Settlement,
) -> Order:
    """Write an accepted order that is not yet matched."""
    row = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM orders").fetchone()
    order = Order(
        seq=row[0],
        order_id=f"0x{_digest('order', row[0], key, accepted_ms)}",
        key=key,
        body_sha256=body_sha256,
        request=request,
        status="ACCEPTED",
        accepted_ms=accepted_ms,
        match_due_ms=match_due_ms,
        reserved=reserved,
        settlement=settlement,
    )
    db.execute(
        "INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            order.seq,
            order.order_id,
            key,
            body_sha256,
            request.side,
            request.user_id,
            request.wallet_id,
            request.proxy,
            request.condition_id,
            request.asset_id,
            request.size,
            request.limit_price,
            request.order_type,
            request.not_after_ms,
            order.status,
            accepted_ms,
            match_due_ms,
            reserved,
            settlement,
        ),
    )
    return order


def set_order_status(db: sqlite3.Connection, seq: int, status: OrderStatus) -> None:
    """End the matching of an order; its reservation counts only while it is ACCEPTED."""
    db.execute("UPDATE orders SET status = ? WHERE seq = ?", (status, seq))


def order_by_key(db: sqlite3.Connection, key: str) -> Order | None:
    """The first order accepted with a key."""
    row = db.execute("SELECT * FROM orders WHERE key = ? ORDER BY seq LIMIT 1", (key,)).fetchone()
    return None if row is None else _order(db, row)


def order_by_seq(db: sqlite3.Connection, seq: int) -> Order:
    """An order that is known to exist."""
    row = db.execute("SELECT * FROM orders WHERE seq = ?", (seq,)).fetchone()
    return _order(db, row)


def list_orders(db: sqlite3.Connection) -> list[Order]:
    """All orders in order of acceptance."""
    return [_order(db, row) for row in db.execute("SELECT * FROM orders ORDER BY seq").fetchall()]


def keys_used_twice(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many orders share a key, for each key with more than one."""
    rows = db.execute("SELECT key, count(*) FROM orders GROUP BY key HAVING count(*) > 1")
    return {row[0]: row[1] for row in rows}


def waiting_orders(db: sqlite3.Connection, *, until_ms: int) -> list[Order]:
    """Accepted orders whose match is due."""
    rows = db.execute(
        "SELECT * FROM orders WHERE status = 'ACCEPTED' AND match_due_ms <= ? ORDER BY seq",
        (until_ms,),
    ).fetchall()
    return [_order(db, row) for row in rows]


def _order(db: sqlite3.Connection, row: sqlite3.Row) -> Order:
    trades = db.execute(
        "SELECT * FROM trades WHERE order_seq = ? ORDER BY number", (row["seq"],)
    ).fetchall()
    return Order(
        seq=row["seq"],
        order_id=row["order_id"],
        key=row["key"],
        body_sha256=row["body_sha256"],
        request=OrderRequest(
            side=cast(Side, row["side"]),
            user_id=row["user_id"],
            wallet_id=row["wallet_id"],
            proxy=row["proxy"],
            condition_id=row["condition_id"],
            asset_id=row["asset_id"],
            size=row["size"],
            limit_price=row["limit_price"],
            order_type=row["order_type"],
            not_after_ms=row["not_after_ms"],
        ),
        status=cast(OrderStatus, row["status"]),
        accepted_ms=row["accepted_ms"],
        match_due_ms=row["match_due_ms"],
        reserved=row["reserved"],
        settlement=cast(Settlement, row["settlement"]),
        trades=tuple(_trade(trade) for trade in trades),
    )


def order_key_use(order: Order | None) -> KeyUse | None:
    """Return what the first order of a key says about that key."""
    if order is None:
        return None
    return KeyUse(body_sha256=order.body_sha256, purpose=order.request.side)


def insert_trade(
    db: sqlite3.Connection, order: Order, number: int, fill: Fill, *, matched_ms: int
) -> Trade:
    """Write the fill of one level as a trade whose settlement has not begun."""
    trade = Trade(
        trade_id=str(uuid.UUID(_digest("trade", order.order_id, number)[:32])),
        fill=fill,
        status="MATCHED",
        settlement=order.settlement,
        matched_ms=matched_ms,
    )
    db.execute(
        "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
        (
            trade.trade_id,
            order.seq,
            number,
            fill.size,
            fill.price,
            fill.notional,
            fill.fee,
            trade.status,
            trade.settlement,
            matched_ms,
        ),
    )
    return trade


def due_trades(db: sqlite3.Connection, *, until_ms: int) -> list[tuple[int, Trade]]:
    """Trades whose next step is due, each with the sequence number of its order."""
    rows = db.execute(
        "SELECT * FROM trades WHERE due_ms <= ? ORDER BY due_ms, order_seq, number", (until_ms,)
    ).fetchall()
    return [(row["order_seq"], _trade(row)) for row in rows]


def move_trade(
    db: sqlite3.Connection, trade_id: str, status: TradeStatus, *, due_ms: int | None
) -> None:
    """Write a step of settlement; the transaction hash appears with MINED."""
    db.execute(
        "UPDATE trades SET status = ?, due_ms = ? WHERE trade_id = ?", (status, due_ms, trade_id)
    )
    if status == "MINED":
        db.execute(
            "UPDATE trades SET transaction_hash = ? WHERE trade_id = ?",
            (f"0x{_digest('transaction', trade_id)}", trade_id),
        )


def next_due_ms(db: sqlite3.Connection) -> int | None:
    """The earliest instant at which a match or a step of settlement is due."""
    row = db.execute(
        "SELECT min(due) FROM (SELECT min(match_due_ms) AS due FROM orders"
        " WHERE status = 'ACCEPTED' UNION ALL SELECT min(due_ms) FROM trades"
        " WHERE due_ms IS NOT NULL)"
    ).fetchone()
    return cast("int | None", row[0])


def fresh_shares(db: sqlite3.Connection, proxy: str, asset_id: str) -> int:
    """Micros of shares bought by trades that are not confirmed yet."""
    row = db.execute(
        "SELECT coalesce(sum(t.size), 0) FROM trades t JOIN orders o ON o.seq = t.order_seq"
        " WHERE t.due_ms IS NOT NULL AND o.side = 'BUY' AND o.proxy = ? AND o.asset_id = ?",
        (proxy, asset_id),
    ).fetchone()
    return cast(int, row[0])


def _trade(row: sqlite3.Row) -> Trade:
    return Trade(
        trade_id=row["trade_id"],
        fill=Fill(size=row["size"], price=row["price"], notional=row["notional"], fee=row["fee"]),
        status=cast(TradeStatus, row["status"]),
        settlement=cast(Settlement, row["settlement"]),
        matched_ms=row["matched_ms"],
        transaction_hash=row["transaction_hash"],
    )
