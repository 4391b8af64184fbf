"""Recordings and analytical stores that are made by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits
from services.router.core.judgement import FORMAT, Encoder, Header, Inputs, no_body
from services.router.core.records import Context
from services.router.core.router_state import RouterState
from tests.unit import samples
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, Source, TradeKey, merge
from tradingtools.domain.money import MICROS, parse_exact
from tradingtools.storage import recordings
from tradingtools.storage.analytics import embedded

ASSET = "7"


def traded(
    number: int,
    side: Side,
    shares: int,
    *,
    at_ms: int,
    leader: str = samples.LEADER,
    held: int | None = None,
    price: str = "0.5",
) -> LeaderTrade:
    """Return one trade of a leader."""
    row = LeaderRow(
        key=TradeKey(leader_tx=f"0x{number:064x}", leader=leader, asset_id=ASSET, side=side),
        condition_id=samples.CONDITION,
        price_text=price,
        price_micros=parse_exact(price),
        size_micros=shares * MICROS,
        count=1,
        source=Source.FEED,
        traded_ms=at_ms,
        received_ns=at_ms * 10**6,
        held_before_micros=None if held is None else held * MICROS,
    )
    made = merge(None, row)
    assert made is not None
    return made


def record(directory: Path, trades: Iterable[LeaderTrade], book: Book | None = None) -> None:
    """Record that a router judged these trades, half a second after each, for one follower."""
    writer, encoder, state = None, Encoder(), RouterState()
    for trade in trades:
        now_ms = trade.traded_ms + 500
        if writer is None:
            day = recordings.day_of(now_ms)
            writer = recordings.RecordingWriter(recordings.new_file(directory, day, "router-0-1"))
            writer.append([encoder.header(HEADER)])
        follower = replace(samples.subscription(), leader=trade.key.leader)
        inputs = Inputs.of(
            Context(
                book=book or samples.book(),
                now_ms=now_ms,
                entry_ttl_ms=HEADER.entry_ttl_ms,
                exit_ttl_ms=HEADER.exit_ttl_ms,
                exposure=state.exposures(trade, now_ms),
                entry_owner=lambda _: None,
                body_of=no_body,
            )
        )
        inputs.judging([follower], {})
        plan = plan_entries if trade.key.side is Side.BUY else _exits
        inputs.plan = plan(trade, [follower], {}, inputs.context)
        key = f"router:{trade.key.leader_tx}"
        writer.append(encoder.records(trade, inputs, key, now_ms * 10**6))
    if writer is not None:
        writer.close()


def _exits(trade: LeaderTrade, followers: Any, known: Any, context: Context) -> Any:
    return plan_exits(trade, followers, known, {}, context)


HEADER = Header(
    format=FORMAT,
    partition=0,
    epoch=1,
    entry_ttl_ms=5_000,
    entry_least_ms=0,
    exit_ttl_ms=15_000,
    close_ms=30_000,
    holding_age_ms=900_000,
    exit_floor_ppm=50_000,
)


def analytics(directory: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Make an embedded analytical store with rows, by ``database.table``."""
    directory.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(":memory:")) as db:
        for name in embedded.DATABASES:
            db.execute(f"attach database ? as {name}", [str(directory / f"{name}.sqlite")])
            db.execute(f"pragma {name}.journal_mode = wal")
        schema = Path(embedded.__file__).parent / "schema"
        for name in ("polymarket.sqlite.sql", "own.sqlite.sql"):
            db.executescript((schema / name).read_text())
        for table, many in rows.items():
            for row in many:
                marks = ", ".join("?" * len(row))
                db.execute(
                    f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values())
                )
        db.commit()


def history(
    wallet: str, rows: Iterable[tuple[str, str, str, str, int, str]], condition: str = "0xc1"
) -> list[dict[str, Any]]:
    """Return rows of trades: transaction, asset, side, size, instant and price of each."""
    return [
        {
            "wallet": wallet, "tx": tx, "ordinal": number, "asset_id": asset,
            "condition_id": condition, "action": "TRADE", "side": side, "price": price,
            "size": size, "traded_ms": at_ms, "role": "TAKER",
        }
        for number, (tx, asset, side, size, at_ms, price) in enumerate(rows)
    ]  # fmt: skip
