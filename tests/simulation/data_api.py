"""Rows as catch-up reports them: written as the Data API writes it, read as ingest reads it.

Before: `workload`. After: the router, as `upstream` streams it. A row that cannot be read is told
nobody.
"""

from __future__ import annotations

import msgspec

from tradingtools.domain.money import to_text
from tradingtools.venues.polymarket import activity, trade_rows
from tradingtools.venues.ports import RowError, TradeRow


def read_back(
    *,
    tx: str,
    leader: str,
    asset: str,
    condition: str,
    side: str,
    price_micros: int,
    size_micros: int,
    traded_ms: int,
    merged: bool,
) -> TradeRow | None:
    """The row as ingest has it; None: it cannot be read, or names no asset."""
    row: dict[str, object] = {
        "proxy_wallet": leader,
        "token_id": asset,
        "condition_id": condition,
        "transaction_hash": tx,
        "size": msgspec.Raw(to_text(size_micros).encode()),
        "timestamp": traded_ms,
        "title": "Will it rain?",
        # Rows lose their labels.
        "outcome": "",
        "outcome_index": 999,
    }
    if merged:
        row |= {"type": "MERGE", "side": "", "price": 0, "usdc_size": 0}
    else:
        row |= {"side": side, "price": msgspec.Raw(to_text(price_micros).encode())}
    decode = activity.decode_activity if merged else trade_rows.decode_data_row
    try:
        found = decode(msgspec.json.encode(row))
    except RowError:
        return None
    return found if found is not None and found.asset_id else None
