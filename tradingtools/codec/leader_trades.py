"""Leader trade facts between their wire form and the domain."""

from __future__ import annotations

from tradingtools.codec.claims import side_from_pb
from tradingtools.domain import ids, texts
from tradingtools.domain.leader_trade import MAX_SHARES_MICROS, Action, LeaderRow, Source, TradeKey
from tradingtools.domain.money import MICROS
from tradingtools.v1 import ingest_service_pb2 as pb

_ACTIONS = {
    pb.LEADER_ACTION_UNSPECIFIED: Action.TRADE,
    pb.LEADER_ACTION_TRADE: Action.TRADE,
    pb.LEADER_ACTION_MERGE: Action.MERGE,
    pb.LEADER_ACTION_REDEEM: Action.REDEEM,
    pb.LEADER_ACTION_CONVERSION: Action.CONVERSION,
}


def row_from_pb(event: pb.LeaderTradeEvent) -> LeaderRow:
    """A fact as the router merges it.

    Raises:
        KeyError: the side is unspecified, or the action unknown.
        ValueError: an id is not one, or an amount or a text is not to be stored.
    """
    if event.size_micros <= 0 or event.count <= 0 or not 0 <= event.price_micros <= MICROS:
        raise ValueError("size, count or price out of range")
    if event.size_micros * event.count > MAX_SHARES_MICROS or event.traded_ms < 0:
        raise ValueError("shares or instant out of range")
    if event.leader_held_before_micros < 0 or event.leader_equity_micros < 0:
        raise ValueError("what the leader holds or is worth is less than nothing")
    if "\x00" in event.price_text + event.traceparent:
        raise ValueError("a text with NUL")
    return LeaderRow(
        key=TradeKey(
            leader_tx=ids.hash32(event.leader_tx),
            leader=ids.wallet(event.leader),
            asset_id=ids.asset(event.asset_id),
            side=side_from_pb(event.side),
        ),
        condition_id=ids.hash32(event.condition_id),
        price_text=event.price_text,
        price_micros=event.price_micros,
        size_micros=event.size_micros,
        count=event.count,
        source=Source.CATCH_UP if event.source == pb.TRADE_SOURCE_CATCH_UP else Source.FEED,
        traded_ms=event.traded_ms,
        received_ns=event.received_ns,
        held_before_micros=(
            event.leader_held_before_micros if event.HasField("leader_held_before_micros") else None
        ),
        title=texts.cleaned(event.title),
        traceparent=event.traceparent,
        action=_ACTIONS[event.action],
        leader_equity_micros=(
            event.leader_equity_micros if event.HasField("leader_equity_micros") else None
        ),
    )
