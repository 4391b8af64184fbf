"""Rows of the Data API's activity that are no trades, but move a wallet's shares all the same.

A leader who merges, redeems or converts is out of a market without a sell that any feed would show.
Before: `data_api`. After: ingest, which counts these rows beside those of trades.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import msgspec

from tradingtools.domain import ids
from tradingtools.domain.leader_trade import MAX_SHARES_MICROS
from tradingtools.domain.money import MICROS
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.trade_rows import TEXT_MAX, decoded
from tradingtools.venues.ports import RowError, TradeRow

Kind = Literal["SPLIT", "MERGE", "REDEEM", "CONVERSION"]
KINDS: tuple[Kind, ...] = ("SPLIT", "MERGE", "REDEEM", "CONVERSION")


class _Activity(msgspec.Struct, frozen=True, kw_only=True):
    type: Kind
    proxy_wallet: str
    transaction_hash: str
    condition_id: str
    size: msgspec.Raw
    timestamp: msgspec.Raw
    token_id: str | None = None
    is_combo: bool = False
    usdc_size: msgspec.Raw = msgspec.Raw(b"0")
    title: str | None = None
    outcome: str | None = None


_ACTIVITY = msgspec.json.Decoder(_Activity)


def decode_activity(body: bytes | msgspec.Raw) -> TradeRow | None:
    """Return one object of the Data API's activity; None when it moved no shares of a market's
    outcome.

    SPLIT brings shares (BUY), the others take them away (SELL). The row names no asset when the
    API does not: of a merge or a split, it is every outcome of the condition. Only a redemption has
    a price, its payout; of the others it is 0. ``price_text`` is the kind. Baskets of several
    markets (``is_combo``) are not copied.

    Raises:
        RowError: it is no such row.
    """
    activity = decoded(_ACTIVITY, body)
    if activity.is_combo:
        return None
    try:
        size = numbers.rounded("size", numbers.text(activity.size))
        paid = numbers.rounded("usdc_size", numbers.text(activity.usdc_size))
        traded_ms = numbers.epoch_ms("timestamp", numbers.text(activity.timestamp))
    except numbers.NumberError as error:
        raise RowError("bad_number", str(error)) from None
    if size == 0:
        return None
    if size > MAX_SHARES_MICROS:
        raise RowError("bad_number", "size is out of range")
    redeemed = activity.type == "REDEEM"
    try:
        return TradeRow(
            action=activity.type,
            tx=ids.hash32(activity.transaction_hash),
            leader=ids.wallet(activity.proxy_wallet),
            asset_id=ids.asset(activity.token_id) if activity.token_id else "",
            condition_id=ids.hash32(activity.condition_id),
            side="BUY" if activity.type == "SPLIT" else "SELL",
            price_text=activity.type,
            price_micros=min(paid * MICROS // size, MICROS) if redeemed else 0,
            size_micros=size,
            traded_ms=traded_ms,
            title=(activity.title or "")[:TEXT_MAX],
            outcome=(activity.outcome or "")[:TEXT_MAX],
        )
    except ids.IdError as error:
        raise RowError("bad_id", str(error)) from None


def spread(row: TradeRow, assets: frozenset[str]) -> list[TradeRow]:
    """Return a row without an asset as one row for each asset of its condition that matters.

    Args:
        row: as decoded.
        assets: of its condition, as far as anybody holds them or has been seen to trade them.
    """
    if row.asset_id:
        return [row]
    return [replace(row, asset_id=asset) for asset in sorted(assets)]
