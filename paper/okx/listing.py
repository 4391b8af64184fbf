"""The listing: instruments and tiers from their files, dated contracts with their next expiry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from paper.okx.core.instruments import Instrument, parse
from paper.okx.core.tiers import Tier, parse_tier

DATA = Path(__file__).parent / "data"

Row = dict[str, object]


def quarter_end(now_ms: int) -> datetime:
    """The next last Friday of March, June, September or December at 08:00 UTC, at least a week
    away."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    for ahead in range(3):
        months = now.year * 12 + (now.month - 1) // 3 * 3 + 3 + 3 * ahead
        end = datetime(months // 12, months % 12 + 1, 1, 8, tzinfo=UTC) - timedelta(days=1)
        friday = end - timedelta(days=(end.weekday() - 4) % 7)
        if friday - now >= timedelta(days=7):
            return friday
    raise AssertionError("a quarter has an end")


def instruments(now_ms: int, path: Path = DATA / "instruments.jsonl") -> list[Instrument]:
    """The instruments of a file. Raises ValueError or OSError."""
    return [parse(_dated(row, now_ms)) for row in _rows(path)]


def tiers(
    listed: Sequence[Instrument], path: Path = DATA / "tiers.jsonl"
) -> Mapping[str, Sequence[Tier]]:
    """The tiers of each contract by its instrument id."""
    families: dict[str, list[Tier]] = {}
    for row in _rows(path):
        tier = parse_tier({name: str(value) for name, value in row.items()})
        families.setdefault(str(row["instFamily"]), []).append(tier)
    return {one.inst_id: families[one.family] for one in listed if one.is_contract}


def tier_rows(path: Path = DATA / "tiers.jsonl") -> list[Row]:
    """The rows of the tiers as the exchange shows them."""
    return _rows(path)


def _rows(path: Path) -> list[Row]:
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines()]


def _dated(row: Row, now_ms: int) -> Row:
    if row["instType"] != "FUTURES":
        return row
    end = quarter_end(now_ms)
    name = f"{row['instFamily']}-{end:%y%m%d}"
    return {**row, "instId": name, "expTime": str(int(end.timestamp() * 1000))}
