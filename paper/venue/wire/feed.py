"""RTDS frames of the `activity` topic.

The payload's fields are those seen on the real feed in 2026; price and size are JSON numbers in
the digits they were recorded with. The envelope differs per connection only in its first field,
so the rest is encoded once for all sockets.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from paper.venue.core import amounts, rng
from paper.venue.core.checksum import checksummed
from paper.venue.core.markets import Market
from paper.venue.core.trade import Trade

TRADES, ORDERS_MATCHED = "trades", "orders_matched"
_FIRST = ("Quiet", "Rapid", "Amber", "Steady", "Lucky", "Hollow", "Brisk", "Solemn")
_SECOND = ("Otter", "Ledger", "Comet", "Harbor", "Falcon", "Thicket", "Lantern", "Quarry")


class Payload(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One trade as the feed writes it; `fee` only on takers' rows."""

    asset: str
    bio: str | None
    conditionId: str
    eventSlug: str
    icon: str
    name: str
    outcome: str
    outcomeIndex: int
    price: msgspec.Raw
    profileImage: str | None
    proxyWallet: str
    pseudonym: str
    side: str
    size: msgspec.Raw
    slug: str
    timestamp: int
    title: str
    transactionHash: str
    fee: msgspec.Raw | None = None


_ENCODER = msgspec.json.Encoder()


def payload(trade: Trade, market: Market, timestamp_s: int, fee: int | None) -> bytes:
    """The payload of a row; `fee` in micros of USDC, None for rows that carry none."""
    name, pseudonym = names(trade.wallet)
    return _ENCODER.encode(
        Payload(
            asset=trade.asset,
            bio="",
            conditionId=trade.condition,
            eventSlug=market.event_slug,
            icon=icon(market),
            name=name,
            outcome=market.outcomes[market.index(trade.asset)],
            outcomeIndex=market.index(trade.asset),
            price=number(trade.price_text),
            profileImage="",
            proxyWallet=checksummed(trade.wallet),
            pseudonym=pseudonym,
            side=trade.side,
            size=number(trade.size_text),
            slug=market.slug,
            timestamp=timestamp_s,
            title=market.question,
            transactionHash=trade.tx,
            fee=None if fee is None else number(amounts.text(fee)),
        )
    )


def tail(body: bytes, topic_type: str, sent_ms: int) -> str:
    """A frame but for its beginning, which `head` gives."""
    return (
        f'"payload":{body.decode()},"timestamp":{sent_ms},'
        f'"topic":"activity","type":"{topic_type}"}}'
    )


def head(connection_id: str) -> str:
    """The beginning of each frame of one connection."""
    return f'{{"connection_id":"{connection_id}",'


def number(text: str) -> msgspec.Raw:
    """A JSON number in exactly these digits."""
    return msgspec.Raw(text.encode())


def icon(market: Market) -> str:
    """The address of a market's picture; nothing is served there."""
    return f"https://polymarket-upload.s3.us-east-2.amazonaws.com/{market.event_slug}.png"


@lru_cache(maxsize=65_536)
def names(wallet: str) -> tuple[str, str]:
    """A wallet's name (empty for some) and pseudonym."""
    base = rng.key("name", wallet)
    pseudonym = f"{rng.pick(rng.mix(base, 0), _FIRST)}-{rng.pick(rng.mix(base, 1), _SECOND)}"
    return ("" if base % 4 == 0 else f"{pseudonym.replace('-', '').lower()}{base % 97}"), pseudonym
