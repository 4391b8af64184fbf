"""Calls of each named statement in the contract: values for it, drawn from a small world.

Few ids, so that calls meet; half of the time what is there is looked at, so that they succeed.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

from tradingtools.domain.order_states import LEGAL
from tradingtools.testing.memory_database import MemoryDatabase
from tradingtools.testing.memory_database.confirm import WATCH_IS_OVER

MONEY_PATH = "tradingtools/storage/postgres/money_path.sql"
DEAD_LETTERS = "tradingtools/storage/postgres/dead_letters.sql"
ROUTER = "services/router/queries.sql"
EXECUTOR = "services/executor/queries.sql"
CONFIRM = "services/confirm/queries.sql"
GUARD = "services/guard/queries.sql"
PERFMON = "services/perfmon/queries.sql"
RESYNC = "services/router/resync.sql"

Values = dict[str, Any]

CONDITION = "0x" + "c" * 64
SUBSCRIPTIONS = ["sub_" + digit * 32 for digit in "ab"]
RESYNCS = ["rsy_" + digit * 32 for digit in "456"]
TRIGGERS = ["trg_" + digit * 32 for digit in "1234"]
WALLETS = ["0x" + digit * 40 for digit in "de"]
LEADER = "0x" + "9" * 40
TRADES = ["t1", "t2"]


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


COPIES = [_key(f"copy {n}") for n in range(3)]
ORDERS = {_key(f"{copy} {n}"): (copy, n) for copy in COPIES for n in range(2)}
_PURPOSES = ("ENTRY", "COPY_EXIT", "GUARD_EXIT")


class Draw:
    """Values for statements.

    Args:
        rng: of every choice.
        memory: looked at for values that fit.
    """

    def __init__(self, rng: random.Random, memory: MemoryDatabase) -> None:
        self.rng = rng
        self._memory = memory
        self._records = 0

    def rows(self, table: str) -> list[Values]:
        """Return what is committed in memory."""
        return list(self._memory.table(table).values())

    def row(self, table: str) -> Values | None:
        """Any committed row."""
        rows = self.rows(table)
        return self.rng.choice(rows) if rows else None

    def order_key(self) -> str:
        """An order's key, perhaps of none."""
        return self.rng.choice(list(ORDERS))

    def subscription(self) -> str:
        """A subscription's id."""
        return self.rng.choice(SUBSCRIPTIONS)

    def lot(self) -> Values:
        """The key of a lot."""
        n = self.rng.randrange(2)
        origin = self.rng.choice([SUBSCRIPTIONS[n], "manual"])
        return {"follower_proxy": WALLETS[n], "asset_id": "7", "origin": origin}

    def order(self, key: str) -> Values:
        """An order as a claim carries it; a key always stands for the same."""
        copy, ordinal = ORDERS[key]
        number = COPIES.index(copy)
        buying = number == 0
        body = f'{{"order":"{key}"}}'
        return {
            "order_key": key, "copy_key": copy, "ordinal": ordinal,
            "purpose": _PURPOSES[number], "subscription_id": SUBSCRIPTIONS[number % 2],
            "subscription_version": 1, "trigger_id": TRIGGERS[0] if number == 2 else "",
            "follower_user_id": "u", "follower_wallet_id": "w",
            "follower_proxy": WALLETS[number % 2], "leader": LEADER, "leader_tx": "0xaa",
            "condition_id": CONDITION, "asset_id": "7", "side": "BUY" if buying else "SELL",
            "size_micros": 5_000_000, "limit_micros": 500_000, "time_in_force": "FAK",
            "not_after_ms": 4_000_000_000_000, "body": body,
            "body_hash": hashlib.sha256(body.encode()).hexdigest(),
            "reserved_money_micros": 2_500_000 if buying else 0,
            "reserved_shares_micros": 0 if buying else 5_000_000, "control_seq": 0,
            "traceparent": "", "received_ns": 1, "routed_ns": 2,
        }  # fmt: skip

    def claim(self) -> Values:
        """A CLAIMED record with one to three orders, decisions and rows."""
        rng = self.rng
        orders = [self.order(key) for key in rng.sample(list(ORDERS), rng.randrange(0, 4))]
        decision = {
            "leader_tx": rng.choice(["0xaa", "0xbb"]), "leader": LEADER, "asset_id": "7",
            "side": rng.choice(["BUY", "SELL"]), "subscription_id": self.subscription(),
            "condition_id": CONDITION, "follower_proxy": WALLETS[0], "copied": rng.random() < 0.5,
            "reason": rng.choice(["", "TOO_OLD", "ALREADY_SELLING"]), "detail": "d",
            "leader_size_micros": rng.randrange(9), "leader_notional_micros": 10**20,
            "frozen": rng.choice([{"version": 1}, {"awaited": []}]),
            "ordered_size_micros": rng.randrange(9),
            "order_keys": [order["order_key"] for order in orders], "title": "",
        }  # fmt: skip
        row = {
            "leader_tx": rng.choice(["0xaa", "0xbb"]), "leader": LEADER, "asset_id": "7",
            "side": "BUY", "price_text": "0.5", "size_micros": 1, "source": "FEED",
            "count": rng.randrange(1, 4), "price_micros": 500_000, "condition_id": CONDITION,
            "traded_ms": 1, "held_before_micros": rng.choice([None, 3]),
        }  # fmt: skip
        payload = {"orders": orders, "decisions": [decision], "rows": [row]}
        return {
            "role": rng.choice(["router", "guard"]), "record_key": self._record(),
            **self.lease(), "payload": json.dumps(payload).encode(), "order_count": len(orders),
        }  # fmt: skip

    def _record(self) -> str:
        self._records += self.rng.random() < 0.8
        return f"record {self._records}"

    def lease(self) -> Values:
        """A partition and an epoch, mostly the present one."""
        partition = self.rng.randrange(2)
        present = [r["epoch"] for r in self.rows("partition_lease") if r["partition"] == partition]
        epoch = self.rng.choice(present) if present and self.rng.random() < 0.9 else 1
        return {"partition": partition, "epoch": epoch}

    def submission(self) -> Values:
        """A batch of one order."""
        key = self.order_key()
        order = self.order(key)
        payload = {
            "orders": [{"order_key": key, "body_hash": order["body_hash"], "epoch": 1}],
            "lease_ms": self.rng.choice([-1000, 60_000]),
        }
        gated = {
            "order_key": key, "purpose": order["purpose"],
            "subscription_id": order["subscription_id"], "version": self.rng.choice([1, 1, 2]),
            "wallet": order["follower_proxy"], "leader": LEADER, "condition_id": CONDITION,
            "not_after_ms": self.rng.choice([1, 4_000_000_000_000, 4_000_000_000_000]),
        }  # fmt: skip
        return {
            "record_key": self._record(), **self.lease(), "payload": json.dumps(payload).encode(),
            "control_seq": self.rng.choice([0, 10_000]), "keys": key,
            "not_after": gated["not_after_ms"], "orders": json.dumps([gated]),
        }  # fmt: skip

    def transitions(self) -> Values:
        """One transition, mostly a legal one of an order as it stands."""
        rng = self.rng
        order = self.row("orders")
        if order is None or rng.random() < 0.15:
            source, target = rng.choice(sorted((a or "", b) for a, b in LEGAL))
            step: Values = {
                "order_key": self.order_key(), "from_state": source, "to_state": target,
                "expected_epoch": 0,
            }  # fmt: skip
        else:
            targets = sorted(b for a, b in LEGAL if a == order["state"])
            step = {
                "order_key": order["order_key"], "from_state": order["state"],
                "to_state": rng.choice([*targets, "LOST"]),
                "expected_epoch": order["epoch"],
            }  # fmt: skip
        if step["to_state"] == "FAILED":
            step["failed_kind"] = rng.choice(["UNSENT", "KILLED"])
        optional = {
            "epoch": step["expected_epoch"] + 1, "attempt": 2, "reason": "EXPIRED",
            "venue_order_id": "v1", "lease_ms": 1000, "next_check_ms": rng.choice([0, 60_000]),
            "not_found_count": 2, "first_byte_ns": 5, "answered_ns": 6, "confirmed_ns": 7,
            "detail": "text", "size": rng.choice([5, 5, -9_000_000]), "notional": 2, "fee": 1,
        }  # fmt: skip
        step |= {name: value for name, value in optional.items() if rng.random() < 0.4}
        return {"transitions": json.dumps([step])}

    def moved_trigger(self) -> Values:
        """A trigger's next state."""
        row = self.row("trigger")
        rng = self.rng
        return {
            "id": row["id"] if row else TRIGGERS[0],
            "version": row["version"] if row and rng.random() < 0.8 else 1,
            "status": rng.choice(["ARMED", "TRIGGERED", "CLOSING", "NEEDS_CONFIRM", "DONE"]),
            "generations": rng.randrange(2), "slice": rng.randrange(3), "sold_micros": 5,
            "rungs_done": rng.choice([0, 0, 1]), "rungs_fired": rng.choice([0, 1, 1, 2]),
            "basis_micros": rng.choice([None, 5, 5]),
            "order_key": rng.choice(["", self.order_key()]),
            "fired": rng.choice([None, {"size": "5"}]),
            "next_slice_ms": rng.choice([None, 0, 60_000]),
        }  # fmt: skip

    def moved_triggers(self) -> Values:
        """Next states of triggers; alone where rungs may be refused: by which rule may differ."""
        drawn = [self.moved_trigger() for _ in range(self.rng.randrange(1, 4))]
        rows = {row["id"]: row for row in drawn}
        if any(row["rungs_done"] or row["rungs_fired"] for row in rows.values()):
            rows = dict(list(rows.items())[:1])
        return {"moves": json.dumps(list(rows.values()))}

    def default_trigger(self) -> Values:
        """A trigger of a new position; its id may be taken."""
        rungs = self.rng.choice([None, [{"price_micros": 600_000, "share_ppm": 1}]])
        return {
            **self.lot(), "id": f"trg_{self.rng.randrange(8):032x}", "condition_id": CONDITION,
            "trigger_type": "LADDER" if rungs else "STOP_LOSS",
            "price_micros": None if rungs else 400_000, "callback_ppm": None,
            "fire_at_ms": None, "rungs": rungs, "break_even": self.rng.random() < 0.3,
            "made_for": self.order_key(), "exit_of": "prf_1", "detail": "d",
        }  # fmt: skip

    def many(self, parameter: str, one: Callable[[], Values], *key: str) -> Values:
        """Up to three rows for a statement that takes many; those of one key once."""
        drawn = [one() for _ in range(self.rng.randrange(1, 4))]
        if parameter != "lots" and not all(map(self._stands, drawn)):
            # Alone: which row's violation is told, and how far identities went, may differ.
            drawn = drawn[:1]
        rows = {tuple(row[name] for name in key) if key else n: row for n, row in enumerate(drawn)}
        placed = [{**row, "place": place} for place, row in enumerate(rows.values())]
        return {parameter: json.dumps(placed)}

    def _stands(self, row: Values) -> bool:
        """Return whether what a row refers to is committed, and its amounts are possible."""
        order_key, lot = row.get("order_key"), [row.get(n) for n in ("follower_proxy", "origin")]
        lots = [[r["follower_proxy"], r["origin"]] for r in self.rows("lot")]
        return (
            (order_key is None or any(r["order_key"] == order_key for r in self.rows("orders")))
            and (None in lot or lot in lots)
            and all(row.get(name, 1) > 0 for name in ("size_micros", "shares"))
        )

    def booking(self) -> Values:
        """Return what the stream of fills carries."""
        numbers = (
            "size_micros", "notional_micros", "fee_micros", "realised_micros",
            "order_filled_micros", "lot_shares_micros", "lot_cost_micros",
        )  # fmt: skip
        return {
            **dict.fromkeys(numbers, 5), "order_key": self.order_key(),
            "kind": self.rng.choice(["MATCHED", "CLOSED"]), "trade_id": self.rng.choice(TRADES),
            "order_state": "SUBMITTED", "reason": "",
        }  # fmt: skip

    def moved_lot(self) -> Values:
        """A change of a lot's sums; some are more than it has."""
        names = (
            "bought_size", "bought_notional", "sold_size", "sold_notional", "fee", "realised",
            "resolved_size", "payout",
        )  # fmt: skip
        shares = self.rng.choice([5, 5, -2, -100])
        return {**self.lot(), **dict.fromkeys(names, 3), "shares": shares, "cost": 4}


def _nothing(_draw: Draw) -> Values:
    return {}


def _order_key(draw: Draw) -> Values:
    return {"order_key": draw.order_key()}


def _as_it_is(draw: Draw) -> Values:
    row = draw.row("orders")
    if row is None:
        return {**_order_key(draw), "state": "DEAD", "epoch": 0}
    epoch = row["epoch"] if draw.rng.random() < 0.8 else 9
    return {"order_key": row["order_key"], "state": row["state"], "epoch": epoch}


def _unknown(draw: Draw) -> Values:
    """An unanswered order, where there is one."""
    unknown = [row for row in draw.rows("orders") if row["state"] == "UNKNOWN"]
    row = draw.rng.choice(unknown) if unknown else None
    return {
        "order_key": row["order_key"] if row else draw.order_key(),
        "epoch": row["epoch"] if row else 2,
    }


def _another_attempt(draw: Draw) -> Values:
    unknown = _unknown(draw)
    return {
        "order_key": unknown["order_key"], "expected_epoch": unknown["epoch"],
        **draw.lease(), "lease_ms": 60_000,
    }  # fmt: skip


def _breaker(draw: Draw) -> Values:
    row = draw.row("breaker")
    return {
        "dependency": "insiders-api", "version": row["version"] if row else 1,
        "state": draw.rng.choice(["CLOSED", "OPEN", "HALF_OPEN"]),
        "openings": draw.rng.choice([0, 3]), "retry_at_ms": 5,
        "prober": draw.rng.choice(["", *(f"executor-0@{epoch}" for epoch in (1, 2, 3))]),
        "reason": "r",
    }  # fmt: skip


def _trade(draw: Draw) -> Values:
    return {"order_key": draw.order_key(), "trade_id": draw.rng.choice(TRADES)}


def _lot(draw: Draw) -> Values:
    return draw.lot()


def _lots(draw: Draw) -> Values:
    keys = {tuple(draw.lot().values()) for _ in range(draw.rng.randrange(4))}
    columns = zip(*sorted(keys), strict=True) if keys else ((), (), ())
    names = ("proxies", "assets", "origins")
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


_TRADE = ("txs", "leaders", "assets", "sides")


def _seconds(draw: Draw) -> Values:
    return {"seconds": draw.rng.choice([0, 3600]), "partition": draw.rng.randrange(2)}


def _keys(draw: Draw) -> Values:
    return {"keys": draw.rng.sample(list(ORDERS), draw.rng.randrange(0, 4))}


def _trades(draw: Draw) -> Values:
    """Leader trades, of some of which there are rows."""
    known = [(tx, LEADER, "7", side) for tx in ("0xaa", "0xbb", "0xcc") for side in ("BUY", "SELL")]
    trades = draw.rng.sample(known, draw.rng.randrange(4))
    columns = zip(*trades, strict=True) if trades else [()] * 4
    return {name: list(values) for name, values in zip(_TRADE, columns, strict=True)}


def _exits(draw: Draw) -> Values:
    """Copies of leader trades, of some of which there are decisions."""
    trades = _trades(draw)
    return {**trades, "origins": [draw.rng.choice(SUBSCRIPTIONS) for _ in trades["txs"]]}


def _ended(draw: Draw) -> Values:
    return {
        "subscriptions": draw.rng.sample(SUBSCRIPTIONS, draw.rng.randrange(1, 3)),
        "open": draw.rng.sample(list(ORDERS), draw.rng.randrange(2)),
    }


def _days(draw: Draw) -> Values:
    return {"days": draw.rng.choice([0, 90])}


def _older(draw: Draw) -> Values:
    return {"older_than_seconds": draw.rng.choice([0, 3600]), "partition": draw.rng.randrange(2)}


def _page(draw: Draw) -> Values:
    return {"after": draw.rng.randrange(6), "limit": draw.rng.choice([2, 100])}


def _writer(draw: Draw) -> Values:
    return {"role": draw.rng.choice(["router", "guard"]), "partition": draw.rng.randrange(2)}


def _role_lease(draw: Draw) -> Values:
    return {"role": draw.rng.choice(["router", "guard", "executor", "confirm"]), **draw.lease()}


def _seq(draw: Draw) -> Values:
    open_seqs = [row["seq"] for row in draw.rows("journal") if row["rows_built_at"] is None]
    return {"seq": draw.rng.choice(open_seqs or [1])}


def _origins(draw: Draw) -> Values:
    return {"asset_id": "7", "origins": draw.rng.sample([*SUBSCRIPTIONS, "manual"], 2)}


def _trigger(draw: Draw) -> Values:
    return {"id": draw.rng.choice(TRIGGERS)}


def _triggers(draw: Draw) -> Values:
    return {"ids": draw.rng.sample([*TRIGGERS, "trg_none"], draw.rng.randrange(4))}


def _foreseen(draw: Draw) -> Values:
    """A trigger as it is; sometimes one thing about it is not so."""
    row = draw.row("trigger") or {
        "id": "trg_none", "version": 1, "peak_micros": None, "condition_id": CONDITION,
        "follower_user_id": "u", "follower_wallet_id": "w", **draw.lot(),
    }  # fmt: skip
    subscription = next((s for s in draw.rows("subscription") if s["id"] == row["origin"]), None)
    whose = subscription or row
    held = [
        lot["shares_micros"]
        for lot in draw.rows("lot")
        if all(lot[name] == row[name] for name in ("follower_proxy", "asset_id", "origin"))
    ]
    values = {name: row[name] for name in ("id", "version", "peak_micros", "condition_id")} | {
        "user_id": whose["follower_user_id"],
        "wallet_id": whose["follower_wallet_id"],
        "leader": subscription["leader"] if subscription else "",
        "subscription_version": subscription["version"] if subscription else 0,
        "shares_micros": held[0] if held else 0,
    }
    if draw.rng.random() < 0.3:
        name = draw.rng.choice(list(values))
        values[name] = "other" if isinstance(values[name], str) else 77
    return values


def _fired(draw: Draw) -> Values:
    """A trigger as it is fires; sometimes one thing about it is not so."""
    seen = _foreseen(draw)
    row = next((row for row in draw.rows("trigger") if row["id"] == seen["id"]), None)
    lot = row or draw.lot()
    order = draw.order(draw.order_key()) | {
        "trigger_id": seen["id"], "condition_id": seen["condition_id"],
        "follower_user_id": seen["user_id"], "follower_wallet_id": seen["wallet_id"],
        "leader": seen["leader"], "subscription_version": seen["subscription_version"],
        "follower_proxy": lot["follower_proxy"],
        "subscription_id": "" if lot["origin"] == "manual" else lot["origin"],
    }  # fmt: skip
    return {
        **draw.lease(), "record_key": draw.rng.choice(["f", "g", "h"]), "status": "ARMED",
        "payload": json.dumps({"orders": [order], "decisions": [], "rows": []}).encode(),
        **{name: seen[name] for name in ("version", "peak_micros", "shares_micros")},
        "rungs_fired": draw.rng.randrange(2) if row and row["rungs"] else 0,
        "basis_micros": draw.rng.choice([None, 5]),
        "fired": json.dumps(draw.rng.choice([None, {"size": "5"}])), "detail": "d",
    }  # fmt: skip


def _peaks(draw: Draw) -> Values:
    """A new peak of a trigger as it is; sometimes one thing about it is not so."""
    seen, lease = _foreseen(draw), draw.lease()
    return {
        "partition": lease["partition"],
        "epoch": lease["epoch"],
        "record_key": draw.rng.choice(["r", "s"]),
        "ids": [seen["id"]],
        "versions": [seen["version"]],
        "shares": [seen["shares_micros"]],
        "peaks": [500_000],
        "stops": [490_000],
    }


def _folded(draw: Draw) -> Values:
    """Peaks of the only trigger that has one; not in the order of the ids."""
    peak = draw.rng.choice([500_000, 505_000, 600_000])
    return {
        "ids": ["trg_none", TRIGGERS[1]],
        "peaks": [500_000, peak],
        "stops": [490_000, peak - 10_001],
        "reported_micros": 10_000,
    }


def _dead_letter(draw: Draw) -> Values:
    row = draw.row("dead_letter")
    return {"id": row["id"] if row else 1}


def _reader(draw: Draw) -> Values:
    return {"stream": "fills", "consumer": draw.rng.choice(["guard-0", "router-0"])}


def _entry(draw: Draw) -> Values:
    row = draw.row("lot_entry")
    return {
        "entry_seq": row["entry_seq"] if row else 1,
        "size_micros": draw.rng.choice([0, 3, -1]),
        "cost_micros": 2,
    }


def _fill(draw: Draw) -> Values:
    return {
        **_trade(draw),
        "subscription_id": draw.rng.choice([*SUBSCRIPTIONS, None]),
        "status": draw.rng.choice(["MATCHED", "MATCHED", "CONFIRMED", "FAILED"]),
        "size_micros": draw.rng.choice([5, 5, 0]),
        "notional_micros": 2,
        "fee_micros": 0,
        "cost_micros": 0,
    }


def _moved_order(draw: Draw) -> Values:
    size = draw.rng.choice([5, -5, 9_000_000])
    again_ms = draw.rng.choice([None, -1000, 60_000])
    return {**_order_key(draw), "size": size, "notional": 2, "fee": 0, "next_check_ms": again_ms}


def _later(draw: Draw) -> Values:
    later = draw.rng.choice([-1000, 60_000])
    at = draw.rng.choice([None, None, WATCH_IS_OVER.isoformat()])
    given = {"next_check_at": at, "milliseconds": later, "not_found_count": 1}
    return {**_as_it_is(draw), **given}


def _market(draw: Draw) -> Values:
    return {"follower_proxy": draw.rng.choice(WALLETS), "condition_id": CONDITION}


def _redeem_key(draw: Draw) -> str:
    return _key(f"redemption {draw.rng.randrange(2)}")


def _moved_redemption(draw: Draw) -> Values:
    row = draw.row("redemption")
    return {
        "redeem_key": row["redeem_key"] if row else _redeem_key(draw),
        "before": row["state"] if row and draw.rng.random() < 0.8 else "ACCEPTED",
        "state": draw.rng.choice(["UNKNOWN", "ACCEPTED", "CONFIRMED"]),
        "paid_micros": draw.rng.choice([None, 7]),
        "detail": "d",
        "pause_ms": draw.rng.choice([0, 60_000]),
    }


def _wallet(draw: Draw) -> Values:
    return {"follower_proxy": draw.rng.choice(WALLETS)}


def _resync(draw: Draw) -> Values:
    return {"id": draw.rng.choice(RESYNCS)}


def _wallet_asset(draw: Draw) -> Values:
    return {**_wallet(draw), "asset_id": draw.rng.choice(["7", "8"])}


def _correction(draw: Draw) -> Values:
    requested = draw.rng.choice([None, None, 1, 2])
    size = draw.rng.choice([5, -5]) if requested else 5
    return {
        **draw.lot(),
        "condition_id": CONDITION,
        "reason": "OPERATOR" if requested else "SOLD_ELSEWHERE",
        "size_micros": size,
        "cost_micros": 2,
        "shares_micros": 3,
        "left_micros": 1,
        "held_micros": None if requested else 3,
        "lot_request_id": requested,
    }


def _put_balance(draw: Draw) -> Values:
    row = draw.row("follower_balance")
    moves = row["moves"] if row and draw.rng.random() < 0.8 else 9
    proxy = row["follower_proxy"] if row else WALLETS[0]
    return {"follower_proxy": proxy, "moves": moves, "cash_micros": draw.rng.choice([-1, 10**12])}


def _followed(draw: Draw) -> Values:
    return {"ids": draw.rng.sample(SUBSCRIPTIONS, draw.rng.randrange(3))}


def _stands(draw: Draw) -> Values:
    known = {row["subscription_id"]: row["state"] for row in draw.rows("performance")}
    name, state = draw.subscription(), "WATCHING"
    if name in known:
        state = draw.rng.choice(["WATCHING", "WARNED", "STOPPED", "SCALED"])
    rows = [{"id": name, "state": state, "standing": {"peak_micros": draw.rng.randrange(9)}}]
    return {"rows": json.dumps(rows)}


CASES: dict[str, dict[str, Callable[[Draw], Values]]] = {
    PERFMON: {
        "newest": _nothing,
        "changed": lambda draw: {"after": draw.rng.randrange(3)},
        "some": _followed,
        "standings": _followed,
        "of_subscriptions": lambda draw: {"keys": _followed(draw)["ids"]},
        "of_wallets": lambda draw: {"keys": draw.rng.sample(WALLETS, draw.rng.randrange(3))},
        "funded_since": lambda draw: {"after": draw.rng.randrange(3)},
        "put": _stands,
        "drop": _followed,
    },
    MONEY_PATH: {
        "acquire_lease": lambda draw: {
            "role": draw.rng.choice(["router", "guard", "executor"]),
            "partition": draw.rng.randrange(2),
            "owner": draw.rng.choice("ab"),
            "ttl_seconds": draw.rng.choice([-1.0, 60.0, 60.0, 60.0]),
        },
        "renew_lease": lambda draw: {
            **_role_lease(draw),
            "ttl_seconds": 60.0,
            "backlog_ms": draw.rng.choice([0, 2500]),
        },
        "holds_lease": _role_lease,
        "claim": lambda draw: draw.claim(),
        "claim_new": lambda draw: draw.claim(),
        "record_exists": lambda draw: {"record_key": f"record {draw.rng.randrange(5)}"},
        "build_rows": _seq,
        "set_aside": lambda draw: {**_seq(draw), "reason": "cannot"},
        "last_claimed": _writer,
        "claimed_after": lambda draw: {**_writer(draw), **_page(draw)},
        "open_records": lambda draw: {
            "partition": draw.rng.randrange(2),
            "older_than_seconds": draw.rng.choice([None, 0.0, 3600.0]),
        },
        "acknowledge": lambda draw: {
            **_reader(draw),
            "cursor": draw.rng.choice(["3", "12", "100"]),
        },
        "cursor": _reader,
        "begin_again": _reader,
        "newest_record": _nothing,
        "apply_transitions": lambda draw: draw.transitions(),
    },
    DEAD_LETTERS: {
        "quarantine": lambda draw: {
            **_reader(draw),
            "cursor": "1",
            "reason": "bad",
            "payload": b"\0x",
        },
        "to_replay": _reader,
        "replayed": _dead_letter,
        "list": _nothing,
        "request_replay": _dead_letter,
    },
    ROUTER: {
        "control_seq": _nothing,
        "subscriptions_changed": lambda draw: {"after": draw.rng.randrange(4)},
        "fundings_changed": lambda draw: {"after": draw.rng.randrange(4)},
        "halts": _nothing,
        "lots": _nothing,
        "lot_cost": lambda draw: draw.lot(),
        "booked_to": _nothing,
        "open_entries": _seconds,
        "open_wallets": _nothing,
        "rows_of": lambda draw: {**_trades(draw), "partition": draw.rng.randrange(2)},
        "decisions_of": _trades,
        "recent_decisions": lambda draw: {
            **_seconds(draw),
            "again": draw.rng.choice([[], ["ALREADY_SELLING", "WAITING_FOR_ENTRY"]]),
        },
        "recent_entry_keys": _seconds,
        "leader_left": lambda draw: {"partition": 0, **_keys(draw)},
        "lock_lots": _origins,
        "locked_lots": _origins,
        "standing_of": _exits,
        "ended_of": _keys,
        "stale_entry": _order_key,
        "recent_stale_entries": _seconds,
        "exit_progress": _keys,
        "spent_by_ended": lambda draw: {**_ended(draw), "day": draw.rng.choice([0, 30_000])},
        "bought_by_ended": lambda draw: {
            **_ended(draw),
            **_days(draw),
            "open_copies": draw.rng.sample(COPIES, draw.rng.randrange(2)),
            "seconds": draw.rng.choice([0, 3600]),
        },
        "accrued": _nothing,
        "paper_lots": _nothing,
        "paper_buys": _days,
        "balances": lambda draw: {
            "proxies": draw.rng.choice([[], WALLETS]),
            "seconds": draw.rng.choice([0.0, 3600.0]),
        },
        "cash": lambda draw: {"proxies": list(WALLETS[: draw.rng.randrange(len(WALLETS) + 1)])},
    },
    RESYNC: {
        "open_resyncs": _nothing,
        "leader_holdings": lambda draw: {
            **_resync(draw),
            "leader": draw.rng.choice([LEADER, "0xnobody"]),
            "age_ms": draw.rng.choice([0, 10**12]),
        },
        "resync_outcomes": lambda draw: {
            "leader": draw.rng.choice([LEADER, "0xnobody"]),
            "origin": draw.subscription(),
            "lag_ms": draw.rng.choice([0, 10**14]),
        },
        "put_preview": lambda draw: {
            **_resync(draw),
            "state": draw.rng.choice(["PREVIEWED", "EXECUTING"]),
            "subscription_version": 1,
            "lines": '[{"asset_id":"7"}]',
            "omitted": draw.rng.choice([0, 2]),
            "told_at": None,
        },
        "lock_resync": lambda draw: {**_resync(draw), "ttl_ms": draw.rng.choice([-1000, 60_000])},
        "end_resync": lambda draw: {
            **_resync(draw),
            "state": draw.rng.choice(["EXECUTED", "STALE"]),
            "detail": "d",
        },
    },
    EXECUTOR: {
        "submit_batch": lambda draw: draw.submission(),
        "submit_again": _another_attempt,
        "held_back": lambda draw: {
            "orders": json.dumps(
                [
                    {**gated, "epoch": draw.rng.choice([0, 1, 9])}
                    for gated in json.loads(draw.submission()["orders"])
                ]
            )
        },
        "to_send_again": lambda draw: {"partition": draw.rng.randrange(2)},
        "drop_send_again": _unknown,
        "left_lately": lambda draw: {"partition": draw.rng.randrange(2), "since_ns": 1},
        "halt": lambda draw: {
            "scope": "WALLET",
            "subject": draw.rng.choice(WALLETS),
            "actor": "executor",
            "reason": "r",
        },
        "breaker": lambda draw: {"dependency": "insiders-api"},
        "add_breaker": lambda draw: {"dependency": "insiders-api"},
        "move_breaker": _breaker,
        "last_record": _nothing,
        "claimed_orders": _older,
        "abandoned": lambda draw: {"partition": draw.rng.randrange(2)},
        "last_event": _nothing,
        "events_after": _page,
        "note_late_acceptances": lambda draw: {
            "accepted": json.dumps(
                [{**_order_key(draw), "venue_order_id": "v", "answered_ns": 6, "detail": "{}"}]
            )
        },
    },
    CONFIRM: {
        "may_book": lambda draw: {"epoch": draw.lease()["epoch"]},
        "lock_orders": _keys,
        "fills": _keys,
        "add_lots": lambda draw: {
            "lots": json.dumps([{**draw.moved_lot(), "condition_id": CONDITION}])
        },
        "lock_lots": _keys,
        "lot_entries": _keys,
        "add_entries": lambda draw: draw.many(
            "entries", lambda: {**draw.lot(), **_trade(draw), "size_micros": 5, "cost_micros": 2}
        ),
        "set_entries": lambda draw: draw.many("entries", lambda: _entry(draw), "entry_seq"),
        "move_lots": lambda draw: draw.many(
            "moves", draw.moved_lot, "follower_proxy", "asset_id", "origin"
        ),
        "default_triggers": _keys,
        "add_triggers": lambda draw: draw.many("triggers", draw.default_trigger),
        "add_fills": lambda draw: draw.many("fills", lambda: _fill(draw), "order_key", "trade_id"),
        "set_fills": lambda draw: draw.many("fills", lambda: _fill(draw), "order_key", "trade_id"),
        "move_orders": lambda draw: draw.many("moves", lambda: _moved_order(draw), "order_key"),
        "add_bookings": lambda draw: draw.many("bookings", draw.booking),
        "postpone": lambda draw: draw.many("orders", lambda: _later(draw), "order_key"),
        "send_again": lambda draw: {
            **_unknown(draw),
            "next_check_at": draw.rng.choice([None, WATCH_IS_OVER]),
            "milliseconds": draw.rng.choice([0, 60_000]),
            "by_settings": draw.rng.random() < 0.5,
        },
        "stop_watching": _as_it_is,
        "watched": lambda draw: {"first_ms": draw.rng.choice([0, 60_000]), "limit": 100},
        "reduce_wallet": lambda draw: {
            "wallet": draw.rng.choice(WALLETS),
            "actor": "confirm",
            "reason": "r",
        },
        "wallet": _order_key,
        "reserve_again": _order_key,
        "release": _order_key,
        "unresolved": lambda draw: {"submitted_ms": draw.rng.choice([0, 3_600_000])},
        "resolutions": _nothing,
        "end_resolution": lambda draw: {
            "id": draw.rng.randrange(1, 4),
            "refused": draw.rng.choice(["", "late"]),
        },
        "due": lambda draw: {"limit": 100, "late_ms": draw.rng.choice([0, 5_000])},
        "leaseless": _nothing,
        "unclosed": lambda draw: {"after": draw.rng.choice([0, 0, 5])},
        "sealed_to": lambda draw: {"seconds": draw.rng.choice([0, 86_400])},
        "last_booking": _nothing,
        "bookings_after": _page,
        "payable": lambda draw: {
            "assets": draw.rng.choice([["7"], ["8"], ["7", "8"], []]),
            "after_proxy": draw.rng.choice(["", "", WALLETS[0]]),
            "after_condition": draw.rng.choice(["", CONDITION]),
            "limit": draw.rng.choice([1, 100]),
        },
        "lock_market": _market,
        "market_busy": _market,
        "redemptions_made": _market,
        "owner": lambda draw: {
            "follower_proxy": draw.rng.choice(WALLETS),
            "assets": draw.rng.choice([["7"], ["8"], ["7", "8"]]),
        },
        "add_redemption": lambda draw: {
            **_market(draw),
            "redeem_key": _redeem_key(draw),
            "round": draw.rng.randrange(2),
            "body": b"{}",
            "expected_micros": 5,
        },
        "empty_lot": _lot,
        "add_payout": lambda draw: {
            **draw.lot(),
            "redeem_key": _redeem_key(draw),
            "condition_id": CONDITION,
            "size_micros": 5,
            "cost_micros": 2,
            "share_micros": 1_000_000,
            "paid_micros": 5,
        },
        "add_payout_booking": lambda draw: {
            "payout_id": draw.rng.choice([row["id"] for row in draw.rows("payout")] or [1]),
            "size_micros": 5,
            "notional_micros": 5,
            "realised_micros": 3,
        },
        "wallets_to_poll": lambda draw: {
            "every_ms": draw.rng.choice([0, 60_000]),
            "but": draw.rng.choice([[], WALLETS[:1]]),
            "limit": draw.rng.choice([1, 10]),
        },
        "add_balance": _wallet,
        "wallet_quiet": _wallet,
        "put_balance": _put_balance,
        "move_balances": lambda draw: draw.many(
            "moves",
            lambda: {**_wallet(draw), "cash": draw.rng.choice([-5, 7])},
            "follower_proxy",
        ),
        "clear_positions": _wallet,
        "add_positions": lambda draw: {
            **_wallet(draw),
            **draw.rng.choice(
                [
                    {"assets": ["7"], "conditions": [CONDITION], "shares": [0]},
                    {"assets": ["8", "9"], "conditions": [CONDITION] * 2, "shares": [5, -5]},
                    {"assets": [], "conditions": [], "shares": []},
                ]
            ),
        },
        "due_redemptions": _nothing,
        "move_redemption": _moved_redemption,
        "lots_at_rest": _wallet,
        "lock_control": _nothing,
        "lock_asset": _wallet_asset,
        "asset_busy": _wallet_asset,
        "asset_entries": _wallet_asset,
        "correct_lot": lambda draw: {
            **draw.lot(),
            "size_micros": draw.rng.choice([5, -5]),
            "cost_micros": draw.rng.choice([0, 2]),
        },
        "adopt_lot": lambda draw: {
            **draw.lot(),
            "size_micros": draw.rng.choice([5, -5]),
            "cost_micros": draw.rng.choice([0, 2]),
        },
        "add_correction": _correction,
        "audit_correction": lambda draw: {"id": draw.rng.randrange(1, 4)},
        "add_correction_booking": lambda draw: {
            "correction_id": draw.rng.choice(
                [row["id"] for row in draw.rows("lot_correction")] or [1]
            ),
            "size_micros": draw.rng.choice([5, -5]),
            "reason": "SOLD_ELSEWHERE",
            "shares_micros": 3,
            "left_micros": 1,
        },
        "lot_requests": _nothing,
        "end_lot_request": lambda draw: {
            "id": draw.rng.randrange(1, 4),
            "refused": draw.rng.choice(["", "late"]),
        },
    },
    GUARD: {
        "live_triggers": _nothing,
        "triggers_of_lots": _lots,
        "manual_lots": lambda draw: {"after": draw.rng.randrange(3)},
        "unsettled": lambda draw: {
            **_lot(draw),
            "besides": draw.rng.choice(["", TRIGGERS[0], TRIGGERS[1]]),
        },
        "incoming": _wallet_asset,
        "begun_anew": lambda draw: {"id": (draw.row("trigger") or {"id": "trg_none"})["id"]},
        "changed_triggers": lambda draw: {"after": draw.rng.randrange(3)},
        "control_seq": _nothing,
        "halts": _nothing,
        "held_lots": _nothing,
        "lot_shares": _lot,
        "booked_to": _nothing,
        "lock_triggers": _triggers,
        "lock_lots": _triggers,
        "locked_lots": _triggers,
        "hold_foreseen": _foreseen,
        "fire_foreseen": _fired,
        "as_owner": lambda draw: {n: draw.claim()[n] for n in ("partition", "epoch")},
        "claim_exits": lambda draw: {n: v for n, v in draw.claim().items() if n != "role"},
        "exit_order": _order_key,
        "sold": lambda draw: {
            "copy_key": draw.rng.choice(COPIES),
            "trigger_id": draw.rng.choice(TRIGGERS),
        },
        "break_even": lambda draw: {**draw.lot(), "price": draw.rng.choice([300_000, 450_000])},
        "move_triggers": lambda draw: draw.moved_triggers(),
        "record_peaks": _peaks,
        "unfolded_peaks": _nothing,
        "fold_peaks": _folded,
        "forget_peaks": lambda draw: {"seqs": draw.rng.sample(range(1, 5), 2)},
        "add_events": lambda draw: draw.many(
            "events",
            lambda: {
                "trigger_id": draw.rng.choice([*TRIGGERS, "trg_none"]),
                "from_status": "ARMED",
                "to_status": "TRIGGERED",
                "detail": "d",
                "order_key": "",
            },
        ),
        "moved_on": _nothing,
    },
}
"""Every named statement of the money path, with values for a call."""

LIKELY = (
    (MONEY_PATH, "acquire_lease", 3), (MONEY_PATH, "claim", 12), (MONEY_PATH, "claim_new", 3),
    (MONEY_PATH, "build_rows", 12),
    (EXECUTOR, "submit_batch", 8), (MONEY_PATH, "apply_transitions", 14),
    (CONFIRM, "add_lots", 5), (CONFIRM, "move_lots", 3), (CONFIRM, "add_entries", 3),
    (CONFIRM, "add_fills", 3), (CONFIRM, "add_bookings", 3), (CONFIRM, "add_redemption", 2),
    (CONFIRM, "add_payout", 4), (CONFIRM, "add_payout_booking", 2), (GUARD, "move_triggers", 4),
    (CONFIRM, "add_balance", 2), (CONFIRM, "put_balance", 2), (CONFIRM, "add_correction", 4),
    (CONFIRM, "correct_lot", 2), (CONFIRM, "add_correction_booking", 2),
)  # fmt: skip
"""What makes rows comes more often."""
