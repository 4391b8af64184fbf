"""A day of one subscription as confirm books it, by its own arithmetic, with a journal."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from random import Random

from services.confirm.core import lots
from services.confirm.core.booking import Action, Step
from services.confirm.core.lots import Holding
from tests.control.requests import CONDITION, Database, put_order
from tradingtools.domain.venue_order import TradeStatus, VenueTrade


@dataclass(frozen=True)
class Booked:
    """One booking: by how much the lot's sums changed, and what it held afterwards."""

    at_s: int
    asset_id: str
    sums: Counter[str]
    shares_micros: int
    cost_micros: int


class Day:
    """Books by chance, in the order of time.

    Args:
        database: with the subscription.
        wallet: the follower's.
        subscription: its id.
        seed: of what happens.
    """

    def __init__(self, database: Database, wallet: str, subscription: str, seed: int) -> None:
        self._database = database
        self._wallet = wallet
        self._subscription = subscription
        self._random = Random(seed)  # noqa: S311 - chance that repeats
        self.assets = [str(10**20 + seed * 10 + number) for number in range(3)]
        self._held = {asset: Holding() for asset in self.assets}
        self._seq = 0
        self._trades: list[tuple[str, str, bool, VenueTrade, int]] = []
        self.journal: list[Booked] = []

    def step(self, at_s: int) -> None:
        """Book one thing that happens at an instant."""
        rng = self._random.random()
        asset = self._random.choice(self.assets)
        if rng < 0.08 and self._trades:
            self._undo(at_s)
        elif rng < 0.12 and self._held[asset].shares_micros:
            self._pay(asset, at_s)
        elif rng < 0.16 and self._held[asset].shares_micros > 1:
            self._correct(asset, at_s)
        else:
            self._trade(asset, at_s)

    def _trade(self, asset: str, at_s: int) -> None:
        held = self._held[asset].shares_micros
        buying = self._random.random() < 0.6 or not held
        size = self._random.randint(1, 9_999_999)
        size = size if buying else min(size, held)
        trade = VenueTrade(
            trade_id=secrets.token_hex(8), size_micros=size,
            notional_micros=size * self._random.randint(1, 99) // 100,
            fee_micros=self._random.randint(0, 999), status=TradeStatus.MATCHED,
        )  # fmt: skip
        order = put_order(
            self._database, self._wallet, self._subscription, "CONFIRMED", asset_id=asset,
            side="BUY" if buying else "SELL", size_micros=size,
            purpose="ENTRY" if buying else "COPY_EXIT",
        )  # fmt: skip
        cost = self._moved(order, asset, buying, Step(Action.BOOK, trade), 0, at_s)
        self._trades.append((order, asset, buying, trade, cost))

    def _undo(self, at_s: int) -> None:
        order, asset, buying, trade, cost = self._trades.pop(
            self._random.randrange(len(self._trades))
        )
        self._moved(order, asset, buying, Step(Action.UNDO, trade), cost, at_s)

    def _moved(self, order: str, asset: str, buying: bool, step: Step, cost: int, at_s: int) -> int:
        self._seq += 1
        moved = lots.move(
            self._held[asset], step, buying=buying, order_key=order, cost_micros=cost,
            entry_seq=self._seq,
        )  # fmt: skip
        self._held[asset] = moved.holding
        self._book(asset, at_s, Counter(moved.sums), kind=step.action.value, order_key=order,
                   trade_id=step.trade.trade_id, size=step.trade.size_micros,
                   notional=step.trade.notional_micros, fee=step.trade.fee_micros,
                   realised=moved.sums["realised"])  # fmt: skip
        return moved.sold_cost_micros

    def _pay(self, asset: str, at_s: int) -> None:
        held = self._held[asset]
        paid = held.shares_micros if self._random.random() < 0.5 else 0
        self._held[asset] = Holding()
        redeem = secrets.token_hex(32)
        self._lot(asset)
        self._database.execute(
            "insert into redemption (redeem_key, follower_proxy, condition_id, round, body, state,"
            " expected_micros) values (%s, %s, %s, 0, '', 'REQUESTED', %s)",
            [redeem, self._wallet, f"{CONDITION}{redeem}", paid],
        )
        row = self._database.execute(
            "insert into payout (redeem_key, follower_proxy, asset_id, origin, condition_id,"
            " size_micros, cost_micros, share_micros, paid_micros)"
            " values (%s, %s, %s, %s, 'c', %s, %s, %s, %s) returning id",
            [redeem, self._wallet, asset, self._subscription, held.shares_micros,
             held.cost_micros, 1_000_000 if paid else 0, paid],
        ).fetchone()  # fmt: skip
        assert row is not None
        realised = paid - held.cost_micros
        sums = Counter(payout=paid, realised=realised)
        self._book(asset, at_s, sums, kind="RESOLVED", payout_id=row["id"],
                   size=held.shares_micros, notional=paid, realised=realised)  # fmt: skip

    def _correct(self, asset: str, at_s: int) -> None:
        held = self._held[asset]
        gone = self._random.randint(1, held.shares_micros)
        taken = lots.consume(held.entries, gone)
        changed = {entry.entry_seq: entry for entry in taken.entries}
        entries = tuple(changed.get(entry.entry_seq, entry) for entry in held.entries)
        after = Holding(
            shares_micros=held.shares_micros - gone,
            cost_micros=held.cost_micros - taken.cost_micros,
            net_micros=held.net_micros - gone, entries=tuple(e for e in entries if e.size_micros),
        )  # fmt: skip
        self._held[asset] = after
        self._lot(asset)
        row = self._database.execute(
            "insert into lot_correction (follower_proxy, asset_id, origin, condition_id, reason,"
            " size_micros, cost_micros, shares_micros, left_micros, held_micros)"
            " values (%s, %s, %s, 'c', 'SOLD_ELSEWHERE', %s, %s, %s, %s, 0) returning id",
            [self._wallet, asset, self._subscription, gone, taken.cost_micros,
             after.shares_micros, after.cost_micros],
        ).fetchone()  # fmt: skip
        assert row is not None
        self._book(asset, at_s, Counter(), kind="CORRECTED", correction_id=row["id"], size=gone)

    def _book(self, asset: str, at_s: int, sums: Counter[str], **booking: object) -> None:
        """The booking and the lot in one transaction, as confirm writes them."""
        held = self._held[asset]
        values = {
            "order_key": None, "payout_id": None, "correction_id": None, "trade_id": "",
            "notional": 0, "fee": 0, "realised": 0, "shares": held.shares_micros,
            "cost": held.cost_micros, "at": at_s,
        } | booking  # fmt: skip
        with self._database.transaction():
            self._lot(asset, sums)
            self._database.execute(
                "insert into booking (kind, order_key, payout_id, correction_id, trade_id,"
                " size_micros, notional_micros, fee_micros, realised_micros, order_state,"
                " order_filled_micros, lot_shares_micros, lot_cost_micros, booked_at)"
                " values (%(kind)s, %(order_key)s, %(payout_id)s, %(correction_id)s, %(trade_id)s,"
                " %(size)s, %(notional)s, %(fee)s, %(realised)s, '', 0, %(shares)s, %(cost)s,"
                " to_timestamp(%(at)s))",
                values,
            )
        self.journal.append(Booked(at_s, asset, sums, held.shares_micros, held.cost_micros))

    def _lot(self, asset: str, sums: Counter[str] | None = None) -> None:
        sums = sums or Counter()
        held = self._held[asset]
        self._database.execute(
            "insert into lot as l (follower_proxy, asset_id, origin, condition_id, shares_micros,"
            " cost_micros, bought_notional_micros, sold_notional_micros, payout_micros, fee_micros,"
            " realised_micros) values (%(wallet)s, %(asset)s, %(origin)s, 'c', %(shares)s,"
            " %(cost)s, %(bought)s, %(sold)s, %(payout)s, %(fee)s, %(realised)s)"
            " on conflict (follower_proxy, asset_id, origin) do update set"
            " shares_micros = %(shares)s, cost_micros = %(cost)s,"
            " bought_notional_micros = l.bought_notional_micros + %(bought)s,"
            " sold_notional_micros = l.sold_notional_micros + %(sold)s,"
            " payout_micros = l.payout_micros + %(payout)s, fee_micros = l.fee_micros + %(fee)s,"
            " realised_micros = l.realised_micros + %(realised)s",
            {
                "wallet": self._wallet, "asset": asset, "origin": self._subscription,
                "shares": held.shares_micros, "cost": held.cost_micros,
                "bought": sums["bought_notional"], "sold": sums["sold_notional"],
                "payout": sums["payout"], "fee": sums["fee"], "realised": sums["realised"],
            },
        )  # fmt: skip


def midnight(of: datetime) -> int:
    """The first second of a UTC day, since the epoch."""
    return int(of.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
