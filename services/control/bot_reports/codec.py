"""Reports on bots as the contract has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf import struct_pb2

from services.control.bot_reports.rules import BotBook, Part, Sums
from services.control.bots import codec as bots
from services.control.messages import Fields, timestamp
from services.control.store import Row
from tradingtools.v1 import bot_report_service_pb2 as pb

STEPS: Mapping[int, str] = {
    pb.PNL_STEP_UNSPECIFIED: "minute",
    pb.PNL_STEP_MINUTE: "minute",
    pb.PNL_STEP_HOUR: "hour",
    pb.PNL_STEP_DAY: "day",
}


def position(instrument: str, held: Mapping[str, Any], now_ms: int) -> Fields:
    """Return a position's fields; ``held`` as its engine wrote it."""
    found: Fields = {
        name: held[name] for name in ("size", "cost", "realised", "fees", "funding", "currency")
    }
    found["instrument_id"] = instrument
    for name in ("average_price", "mark", "notional", "unrealised"):
        if held[name] is not None:
            found[name] = held[name]
    if held["mark_ms"] is not None:
        found["marked_at"] = timestamp(datetime.fromtimestamp(held["mark_ms"] / 1000, UTC))
        found["mark_age_ms"] = max(now_ms - held["mark_ms"], 0)
    return found


def point(row: Row) -> Fields:
    """Return the fields of a point of a series."""
    found: Fields = {name: decimal(row[name]) for name in ("realised", "fees", "funding", "volume")}
    found |= {
        "at": timestamp(row["at"]),
        "currency": row["currency"],
        "sources": [
            {"source": source, "amount": amount}
            for source, amount in sorted(row["sources"].items())
        ],
    }
    if row["unrealised"] is not None:
        made = row["realised"] + row["unrealised"] - row["fees"] + row["funding"]
        found |= {"unrealised": decimal(row["unrealised"]), "result": decimal(made)}
    if row["mark_age_ms"] is not None:
        found["mark_age_ms"] = row["mark_age_ms"]
    return found


def event(row: Row) -> Fields:
    """Return an event's fields."""
    data = struct_pb2.Struct()
    data.update(json.loads(row["data"]))
    return {
        "sequence": row["number"],
        "type": row["type"],
        "time": timestamp(row["occurred_at"]),
        "data": data,
    }


def explanation(row: Row, orders: Sequence[Row]) -> Fields:
    """Return why a bot does what it does, with what stands in each slot."""
    message: Mapping[str, str] = row["explanation"] or {}
    by_slot: dict[str, list[Fields]] = {slot: [] for slot in message}
    for one in orders:
        by_slot.setdefault(one["slot"], []).append(bots.order(one))
    found: Fields = {name: row[name] for name in ("id", "strategy", "reason")}
    found |= {
        "state": f"BOT_STATE_{row['state']}",
        "reasons": [
            {"slot": slot, "explanation": message.get(slot, ""), "orders": standing}
            for slot, standing in sorted(by_slot.items())
        ],
    }
    if row["written_at"] is not None:
        found["written_at"] = timestamp(row["written_at"])
    return found


def book(row: Row) -> BotBook:
    """Return what one bot holds and had made."""
    equity, digits = row["equity"], row["money_digits"]
    first = row["positions"].get(row["first_instrument"])
    currency = next(iter(row["positions"].values()))["currency"]
    today = None
    if equity is not None and digits is not None:
        today = Decimal(equity["result"] - equity["day_start"]).scaleb(-digits)
    return BotBook(
        bot_id=row["id"],
        exchange=row["exchange"],
        live=row["live"],
        positions=row["positions"],
        today=today,
        today_currency=currency if first is None else first["currency"],
    )


def part(one: Part, now_ms: int) -> Fields:
    """Return the fields of a part of a portfolio."""
    found: Fields = {
        "live": one.live,
        "currency": one.currency,
        "bots": len(one.bots),
        "today": decimal(one.today),
        "unmarked": one.unmarked,
        "by_exchange": [_slice(name, sums) for name, sums in sorted(one.by_exchange.items())],
        "by_instrument": [_slice(name, sums) for name, sums in sorted(one.by_instrument.items())],
        **_sums(one.whole),
    }
    if one.oldest_mark_ms is not None:
        found["mark_age_ms"] = max(now_ms - one.oldest_mark_ms, 0)
    return found


def _slice(name: str, sums: Sums) -> Fields:
    return {"name": name, **_sums(sums)}


def _sums(sums: Sums) -> Fields:
    return {name: decimal(getattr(sums, name)) for name in ("result", "gross", "net")}


def decimal(value: Decimal) -> str:
    """Return an amount as text without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
