"""Twins of the statements about followers' wallets, confirm's and the router's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from tradingtools.testing.memory_database.paying import unbuilt_orders
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import Transaction, Twin, given

_NEVER = datetime.min.replace(tzinfo=UTC)


def wallets_to_poll(tx: Transaction, values: Row) -> list[Row]:
    """Wallets that follow or hold something, those that were asked for longest ago first."""
    wallets = {r["follower_proxy"] for r in tx.rows("subscription") if r["state"] != "DELETED"}
    wallets |= {r["follower_proxy"] for r in tx.rows("lot") if r["shares_micros"] > 0}
    polled = {r["follower_proxy"]: r["polled_at"] for r in tx.rows("follower_balance")}
    due = tx.now - timedelta(milliseconds=values["every_ms"])
    found = [
        (polled.get(proxy) or _NEVER, proxy)
        for proxy in wallets - set(values["but"])
        if (polled.get(proxy) or _NEVER) <= due
    ]
    return [{"follower_proxy": proxy} for _, proxy in sorted(found)[: values["limit"]]]


def add_balance(tx: Transaction, values: Row) -> list[Row]:
    """A wallet of which nothing is known."""
    tx.insert_unless_there("follower_balance", values)
    return []


def wallet_quiet(tx: Transaction, values: Row) -> list[Row]:
    """Return whether nothing of a wallet is under way, and how often it was moved."""
    proxy = values["follower_proxy"]
    row = tx.get("follower_balance", proxy)
    if row is None:
        return []
    reserved = any(tx.where("reservation", released_at=None, follower_proxy=proxy))
    redeeming = any(r["state"] != "CONFIRMED" for r in tx.where("redemption", follower_proxy=proxy))
    unbuilt = any(order["follower_proxy"] == proxy for order in unbuilt_orders(tx))
    return [{"moves": row["moves"], "quiet": not (reserved or redeeming or unbuilt)}]


def put_balance(tx: Transaction, values: Row) -> list[Row]:
    """Return what insiders-api reported, unless the wallet was moved meanwhile."""
    row = tx.get("follower_balance", values["follower_proxy"])
    if row is not None and row["moves"] == values["moves"]:
        tx.update(
            "follower_balance", row, cash_micros=values["cash_micros"], polled_moves=row["moves"],
            polled_at=tx.now, changed_at=tx.now,
        )  # fmt: skip
    return []


def move_balances(tx: Transaction, values: Row) -> list[Row]:
    """Move wallets' cash by what was booked."""
    for one in given(values, "moves"):
        row = tx.get("follower_balance", one["follower_proxy"])
        if row is not None:
            cash = None if row["cash_micros"] is None else row["cash_micros"] + one["cash"]
            moves = row["moves"] + 1
            tx.update("follower_balance", row, cash_micros=cash, moves=moves, changed_at=tx.now)
    return []


def clear_positions(tx: Transaction, values: Row) -> list[Row]:
    """Forget what a wallet holds."""
    for row in list(tx.where("follower_position", follower_proxy=values["follower_proxy"])):
        tx.delete("follower_position", row)
    return []


def add_positions(tx: Transaction, values: Row) -> list[Row]:
    """Return what a wallet holds."""
    holdings = zip(values["assets"], values["conditions"], values["shares"], strict=True)
    for asset, condition, shares in holdings:
        row = {"asset_id": asset, "condition_id": condition, "shares_micros": shares}
        tx.insert("follower_position", {"follower_proxy": values["follower_proxy"], **row})
    return []


def balances(tx: Transaction, values: Row) -> list[Row]:
    """Cash of wallets that is known, of these or of those that changed lately."""
    since = tx.now - timedelta(seconds=values["seconds"])
    return [
        {"follower_proxy": row["follower_proxy"], "cash_micros": row["cash_micros"]}
        for row in tx.rows("follower_balance")
        if row["cash_micros"] is not None
        and (row["follower_proxy"] in values["proxies"] or row["changed_at"] > since)
    ]


BALANCES: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        wallets_to_poll, add_balance, wallet_quiet, put_balance, move_balances, clear_positions,
        add_positions,
    )
}  # fmt: skip
"""Of confirm."""
