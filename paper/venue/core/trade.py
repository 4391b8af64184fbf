"""One trade row, from whichever source: the tape, the firehose or an injection.

Price and size keep the text they were written with beside their micros, because the feed must
repeat recorded numbers digit by digit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from paper.venue.core import amounts

Side = Literal["BUY", "SELL"]
_HASH = re.compile(r"0x[0-9a-f]{64}")
_WALLET = re.compile(r"0x[0-9a-f]{40}")
_ASSET = re.compile(r"[1-9][0-9]{0,77}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A fill as the feed reports it. `price` and `size` are micros; `wallet` is lower case."""

    wallet: str
    asset: str
    condition: str
    side: Side
    price_text: str
    size_text: str
    price: int
    size: int
    outcome: str
    outcome_index: int
    title: str
    tx: str


class TradeBody(msgspec.Struct, frozen=True, kw_only=True):
    """The payload fields a trade is read from; other fields are ignored."""

    proxyWallet: str
    asset: str
    conditionId: str
    side: Side
    price: msgspec.Raw
    size: msgspec.Raw
    transactionHash: str
    outcome: str = ""
    outcomeIndex: int = 0
    title: str = ""
    timestamp: int | None = None


def from_body(body: TradeBody) -> Trade:
    """Checked trade. Raises ValueError naming the field."""
    wallet = _matching("proxyWallet", body.proxyWallet.lower(), _WALLET)
    asset = _matching("asset", body.asset, _ASSET)
    if int(asset) >= 1 << 256:
        raise ValueError("asset: not below 2^256")
    if body.outcomeIndex not in (0, 1):
        raise ValueError(f"outcomeIndex: {body.outcomeIndex} is neither 0 nor 1")
    price_text, price = _number("price", body.price, average=True)
    size_text, size = _number("size", body.size, average=False)
    if price >= amounts.ONE:
        raise ValueError(f"price: {price_text} is not below 1")
    return Trade(
        wallet=wallet,
        asset=asset,
        condition=_matching("conditionId", body.conditionId.lower(), _HASH),
        side=body.side,
        price_text=price_text,
        size_text=size_text,
        price=price,
        size=size,
        outcome=body.outcome,
        outcome_index=body.outcomeIndex,
        title=body.title,
        tx=_matching("transactionHash", body.transactionHash.lower(), _HASH),
    )


def _matching(field: str, value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{field}: {value[:80]!r} does not match {pattern.pattern}")
    return value


def _number(field: str, raw: msgspec.Raw, *, average: bool) -> tuple[str, int]:
    text = bytes(raw).decode().strip('"')
    try:
        micros = amounts.rounded(text) if average else amounts.exact(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    if micros <= 0:
        raise ValueError(f"{field}: {text} is not above zero")
    return text, micros
