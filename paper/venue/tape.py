"""The tape: recorded leader trades, one JSON object a line.

    {"recv_ms": <int, when a listener got the frame, ms since 1970>,
     "frame": {"topic": "activity", "type": "trades", "timestamp": <int, ms>,
               "payload": {"proxyWallet", "asset", "conditionId", "side", "price", "size",
                           "transactionHash", "timestamp" (s), "outcome", "outcomeIndex", "title"}}}

Lines are in the order of `recv_ms`; the rows of one transaction need not be neighbours. Price and
size are JSON numbers and are kept as written. A line that does not fit is refused with its number
and the reason, because a tape that is quietly shorter proves less than it seems to. A market has
one asset on it, since the replay derives the other one, and an asset has one market.
Before: a recorder. After: `core.schedule` lays the rows out in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import msgspec

from paper.venue.core.trade import Trade, TradeBody, from_body

SAMPLE = "leader_trades_2026-07.jsonl"


class TapeError(ValueError):
    """A tape that cannot be played; the message names file, line and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeRow:
    """One recorded row: `recv_ms` when it was received, `lag_ms` how long after the trade."""

    recv_ms: int
    lag_ms: int
    trade: Trade


class _Frame(msgspec.Struct, frozen=True):
    topic: Literal["activity"]
    type: Literal["trades"]
    payload: TradeBody


class _Line(msgspec.Struct, frozen=True):
    recv_ms: int
    frame: _Frame


_DECODER = msgspec.json.Decoder(_Line)


def parse(lines: Iterable[bytes], name: str = "tape") -> tuple[TapeRow, ...]:
    """The rows of a tape. Raises TapeError for the first line that does not fit."""
    rows: list[TapeRow] = []
    assets: dict[str, str] = {}
    conditions: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = _row(_DECODER.decode(line))
            if rows and row.recv_ms < rows[-1].recv_ms:
                raise ValueError(f"recv_ms: {row.recv_ms} is before that of the line above")
            trade = row.trade
            if (known := assets.setdefault(trade.condition, trade.asset)) != trade.asset:
                raise ValueError(
                    f"asset: {trade.asset} is a second id for market {trade.condition},"
                    f" which has {known} above"
                )
            if (first := conditions.setdefault(trade.asset, trade.condition)) != trade.condition:
                raise ValueError(
                    f"conditionId: {trade.condition} is a second market of asset {trade.asset},"
                    f" which has {first} above"
                )
        except (ValueError, msgspec.DecodeError) as error:
            raise TapeError(f"{name} line {number}: {error}") from None
        rows.append(row)
    if not rows:
        raise TapeError(f"{name}: no rows")
    return tuple(rows)


def load(path: Path | None) -> tuple[tuple[TapeRow, ...], str]:
    """The rows of the file at `path` (None: the packaged sample) and the digest of its bytes.

    Raises TapeError also when the file cannot be read.
    """
    return _packaged() if path is None else _read(path)


@cache
def _packaged() -> tuple[tuple[TapeRow, ...], str]:
    return _read(files("paper.venue") / "sample" / SAMPLE)


def _read(source: Traversable) -> tuple[tuple[TapeRow, ...], str]:
    try:
        data = source.read_bytes()
    except OSError as error:
        raise TapeError(f"{source}: {error.strerror}") from None
    return parse(data.splitlines(), source.name), sha256(data).hexdigest()


def _row(line: _Line) -> TapeRow:
    body = line.frame.payload
    if body.timestamp is None:
        raise ValueError("timestamp: missing")
    lag_ms = line.recv_ms - body.timestamp * 1000
    if not 0 <= lag_ms <= 3_600_000:
        raise ValueError(f"timestamp: {lag_ms} ms before recv_ms, expected 0 to one hour")
    return TapeRow(recv_ms=line.recv_ms, lag_ms=lag_ms, trade=from_body(body))
