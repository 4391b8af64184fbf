"""The JSON of insiders-api's wallets; `docs/insiders-api.yaml` is the contract."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tradingtools.domain import ids
from tradingtools.domain.money import AmountError, parse_exact
from tradingtools.venues.insiders.schemas import BODY_LIMIT_BYTES, WireError


class _Balance(msgspec.Struct, rename="camel", frozen=True):
    follower_proxy: str
    cash: str


class _Position(msgspec.Struct, rename="camel", frozen=True):
    asset_id: str
    condition_id: str
    size: str


class _Positions(msgspec.Struct, rename="camel", frozen=True):
    follower_proxy: str
    positions: tuple[_Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Shares of one asset, micros; never zero, negative when a purchase was undone too late."""

    asset_id: str
    condition_id: str
    shares_micros: int


_MAX_MICROS = 10**18
"""Far below what a column holds: what is booked is added to it."""
_balances = msgspec.json.Decoder(_Balance)
_positions = msgspec.json.Decoder(_Positions)
_MALFORMED = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    RecursionError,
    AmountError,
    ids.IdError,
)


def parse_balance(body: bytes, proxy: str) -> int:
    """Cash of a wallet, micros. Raises WireError, also when it is another wallet's."""
    try:
        raw = _balances.decode(_bounded(body))
        cash = parse_exact(raw.cash)
        if abs(cash) > _MAX_MICROS:
            raise WireError("more cash than there can be")
    except _MALFORMED as error:
        raise WireError(str(error)) from error
    _require(raw.follower_proxy, proxy)
    return cash


def parse_positions(body: bytes, proxy: str) -> tuple[Position, ...]:
    """Positions of a wallet without zeros. Raises WireError, also when they are another's."""
    try:
        raw = _positions.decode(_bounded(body))
        found = tuple(
            Position(
                asset_id=ids.asset(one.asset_id),
                condition_id=ids.hash32(one.condition_id),
                shares_micros=parse_exact(one.size),
            )
            for one in raw.positions
        )
    except _MALFORMED as error:
        raise WireError(str(error)) from error
    _require(raw.follower_proxy, proxy)
    if len({one.asset_id for one in found}) != len(found):
        raise WireError("an asset is named twice")
    return tuple(one for one in found if one.shares_micros)


def _bounded(body: bytes) -> bytes:
    if len(body) > BODY_LIMIT_BYTES:
        raise WireError("body too large")
    return body


def _require(answered: str, proxy: str) -> None:
    if answered.lower() != proxy:
        raise WireError("the answer is about another wallet")
