"""Matching and settling as transactions: the fill, the money and the shares move together.

The exchange fills what needs no delay, the clockwork what does and what settles later.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from paper.insiders.core.matching import match, movement
from paper.insiders.core.model import Fill, MarketBook, Order, OrderRequest, Trade, TradeStatus
from paper.insiders.core.settlement import Step, next_step
from paper.insiders.tables import orders, wallets


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of the exchange; cash in micros, durations in ms."""

    default_cash: int
    own_delay_ms: int
    settle_ms: int
    longest_ms: int


def available(
    db: sqlite3.Connection, request: OrderRequest, rules: Rules, *, but_seq: int | None
) -> int:
    """Micros the wallet can use for an order: cash for a buy, shares for a sell.

    What other waiting orders hold is not available; `but_seq` is the order that may use its own.
    """
    if request.side == "BUY":
        held, _ = wallets.wallet(db, request.proxy, default_cash=rules.default_cash)
    else:
        held = wallets.shares(db, request.proxy, request.asset_id)
    return held - wallets.reserved(db, request, but_seq=but_seq)


def fill_order(
    db: sqlite3.Connection, order: Order, book: MarketBook, rules: Rules, *, now_ms: int
) -> None:
    """Match an accepted order against the book and end its matching."""
    request = order.request
    result = match(
        request,
        book,
        wallets.taken(db, request.asset_id, request.side),
        budget=max(0, available(db, request, rules, but_seq=order.seq)),
    )
    wallets.put_taken(db, request.asset_id, request.side, result.taken)
    for number, fill in enumerate(result.fills):
        trade = orders.insert_trade(db, order, number, fill, matched_ms=now_ms)
        orders.move_trade(db, trade.trade_id, "MATCHED", due_ms=_due_ms(trade, "MATCHED", rules))
        _move(db, request, *movement(request.side, fill))
    orders.set_order_status(db, order.seq, "MATCHED" if result.fills else "KILLED")


def settle_due(db: sqlite3.Connection, rules: Rules, *, now_ms: int) -> None:
    """Take the steps of settlement that are due; a trade that fails is undone."""
    for seq, trade in orders.due_trades(db, until_ms=now_ms):
        step = _step(trade, trade.status, rules)
        if step is None:
            raise RuntimeError(f"trade {trade.trade_id} is due but has no next step")
        due_ms = _due_ms(trade, step.status, rules)
        orders.move_trade(db, trade.trade_id, step.status, due_ms=due_ms)
        if step.status == "FAILED":
            _undo(db, orders.order_by_seq(db, seq).request, trade.fill)


def _undo(db: sqlite3.Connection, request: OrderRequest, fill: Fill) -> None:
    cash_in, shares_in = movement(request.side, fill)
    _move(db, request, -cash_in, -shares_in)


def _move(db: sqlite3.Connection, request: OrderRequest, cash_in: int, shares_in: int) -> None:
    wallets.move_cash(db, request.proxy, cash_in)
    wallets.move_shares(db, request.proxy, request.asset_id, request.condition_id, shares_in)


def _step(trade: Trade, status: TradeStatus, rules: Rules) -> Step | None:
    return next_step(
        status=status,
        settlement=trade.settlement,
        matched_ms=trade.matched_ms,
        settle_ms=rules.settle_ms,
    )


def _due_ms(trade: Trade, status: TradeStatus, rules: Rules) -> int | None:
    step = _step(trade, status, rules)
    return None if step is None else step.due_ms
