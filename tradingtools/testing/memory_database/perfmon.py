"""Twins of `services/perfmon/queries.sql`."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from tradingtools.domain.performance_states import TRANSITIONS
from tradingtools.testing.memory_database.schema import Row
from tradingtools.testing.memory_database.transactions import (
    Transaction,
    Twin,
    given,
    microseconds,
)

_SUBSCRIPTION = (
    "id", "follower_proxy", "state", "version", "performance", "scale_micros",
    "performance_actions", "session", "baseline", "paused_by",
)  # fmt: skip
_LEGAL = {(source or "", str(target)) for source, target in TRANSITIONS}


def newest(tx: Transaction, _values: Row) -> list[Row]:
    """The newest booking and the newest control change."""
    booked_to = max((row["fill_seq"] for row in tx.rows("booking")), default=0)
    control_seq = max((row["seq"] for row in tx.rows("control_change")), default=0)
    return [{"booked_to": booked_to, "control_seq": control_seq}]


def changed(tx: Transaction, values: Row) -> list[Row]:
    """Subscriptions that a control change has touched."""
    after = values["after"]
    found = [
        row
        for row in tx.rows("subscription")
        if row["changed_seq"] > after and (after > 0 or row["performance"])
    ]
    return _shown(found)


def some(tx: Transaction, values: Row) -> list[Row]:
    """Subscriptions as they are."""
    return _shown([row for row in tx.rows("subscription") if row["id"] in values["ids"]])


def _shown(rows: list[Row]) -> list[Row]:
    rows.sort(key=lambda row: row["id"])
    return [{name: row[name] for name in _SUBSCRIPTION} for row in rows]


def standings(tx: Transaction, values: Row) -> list[Row]:
    """Where subscriptions stood, and the last step of each scale."""
    found = []
    for row in tx.rows("subscription"):
        if row["id"] not in values["ids"]:
            continue
        kept = tx.get("performance", row["id"]) or {"state": None, "standing": None}
        steps = tx.where("performance_action", subscription_id=row["id"], kind="SCALE")
        last = max(steps, key=lambda step: step["ordinal"], default=None)
        found.append(
            {
                "id": row["id"],
                "state": kept["state"],
                "standing": kept["standing"],
                "anchor_micros": last and last["anchor_micros"],
                "step_baseline": last and last["baseline"],
                "stepped_ms": last and microseconds(last["acted_at"]) // 1000,
            }
        )
    return found


def _settled(lot: Row) -> int:
    return int(lot["realised_micros"] - lot["fee_micros"] - lot["cost_micros"])


def _held(lots: list[Row]) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {}
    for lot in lots:
        _add(found, lot["asset_id"], lot["shares_micros"], lot["cost_micros"])
    return {asset: held for asset, held in found.items() if held[0] > 0} or None


def _flows(lots: list[Row]) -> dict[str, list[int]] | None:
    found: dict[str, list[int]] = {}
    moved = {lot["asset_id"] for lot in lots if lot["by_hand_micros"] or lot["elsewhere_micros"]}
    for lot in lots:
        shares = lot["by_hand_micros"] - lot["elsewhere_micros"]
        cost = lot["by_hand_cost_micros"] - lot["elsewhere_cost_micros"]
        _add(found, lot["asset_id"], shares, cost)
    return {asset: came for asset, came in found.items() if asset in moved} or None


def _add(found: dict[str, list[int]], asset: str, shares: int, cost: int) -> None:
    before = found.get(asset, [0, 0])
    found[asset] = [before[0] + shares, before[1] + cost]


def of_subscriptions(tx: Transaction, values: Row) -> list[Row]:
    """Sum up the settled results of lots, and the shares that they hold."""
    found = []
    for key in values["keys"]:
        lots = [lot for lot in tx.rows("lot") if lot["origin"] == key]
        if lots:
            settled = sum(map(_settled, lots))
            found.append(
                {"key": key, "settled": settled, "held": _held(lots), "flows": _flows(lots)}
            )
    return found


def of_wallets(tx: Transaction, values: Row) -> list[Row]:
    """The same of all subscriptions of wallets, and their money."""
    found = []
    for key in values["keys"]:
        every = [lot for lot in tx.rows("lot") if lot["follower_proxy"] == key]
        lots = [lot for lot in every if lot["origin"] != "manual"]
        funding = tx.get("funding", key)
        cash = None
        if funding is not None:
            cash = funding["funded_micros"] - funding["before_micros"] + sum(map(_moved, every))
        found.append(
            {
                "key": key,
                "settled": sum(map(_settled, lots)),
                "held": _held(lots),
                "flows": _flows(lots),
                "funded_micros": funding and funding["funded_micros"],
                "cash_micros": cash,
            }
        )
    return found


def _moved(lot: Row) -> int:
    brought = lot["sold_notional_micros"] + lot["payout_micros"]
    return int(brought - lot["bought_notional_micros"] - lot["fee_micros"])


def funded_since(tx: Transaction, values: Row) -> list[Row]:
    """Wallets whose money was moved."""
    return [
        {"follower_proxy": row["follower_proxy"]}
        for row in tx.rows("funding")
        if row["changed_seq"] > values["after"]
    ]


def put(tx: Transaction, values: Row) -> list[Row]:
    """Where subscriptions stand."""
    for row in sorted(given(values, "rows"), key=lambda row: row["id"]):
        known = tx.get("performance", row["id"])
        if known is None:
            _check("", row["state"])
            made = {"subscription_id": row["id"], "state": row["state"], "from_state": ""}
            tx.insert("performance", {**made, "standing": row["standing"]})
            continue
        changes: dict[str, Any] = {"standing": row["standing"], "updated_at": tx.now}
        if row["state"] != known["state"]:
            _check(known["state"], row["state"])
            changes |= {"state": row["state"], "from_state": known["state"], "since": tx.now}
        tx.update("performance", known, **changes)
    return []


def _check(source: str, target: str) -> None:
    if (source, target) not in _LEGAL:
        raise psycopg.errors.ForeignKeyViolation(f"no transition from {source} to {target}")


def drop(tx: Transaction, values: Row) -> list[Row]:
    """Forget subscriptions without rules."""
    for name in values["ids"]:
        row = tx.get("performance", name)
        if row is not None:
            tx.delete("performance", row)
    return []


PERFMON: Final[dict[str, Twin]] = {
    twin.__name__: twin
    for twin in (
        newest, changed, some, standings, of_subscriptions, of_wallets, funded_since, put, drop,
    )
}  # fmt: skip
