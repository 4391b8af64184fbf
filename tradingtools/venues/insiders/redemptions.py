"""The JSON of insiders-api's redemptions; `docs/insiders-api.yaml` is the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from tradingtools.domain.money import AmountError, parse_exact
from tradingtools.domain.redemption_states import RedemptionState
from tradingtools.venues.insiders.schemas import BODY_LIMIT_BYTES, WireError


class _Redemption(msgspec.Struct, rename="camel", frozen=True):
    idempotency_key: str
    follower_proxy: str
    condition_id: str
    payout: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """What insiders-api tells of a redemption."""

    redeem_key: str
    follower_proxy: str
    condition_id: str
    state: RedemptionState
    """ACCEPTED or CONFIRMED."""
    paid_micros: int


_decoder = msgspec.json.Decoder(_Redemption)
_STATES = {s.value: s for s in (RedemptionState.ACCEPTED, RedemptionState.CONFIRMED)}


def redeem_body(user_id: str, wallet_id: str, proxy: str, condition_id: str) -> bytes:
    """The request, byte for byte the same each time."""
    fields = {
        "followerUserId": user_id,
        "followerWalletId": wallet_id,
        "followerProxy": proxy,
        "conditionId": condition_id,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def parse_redemption(body: bytes) -> Redeemed:
    """Read a redemption resource. Raises WireError."""
    if len(body) > BODY_LIMIT_BYTES:
        raise WireError("body too large")
    try:
        raw = _decoder.decode(body)
        paid = parse_exact(raw.payout)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AmountError) as error:
        raise WireError(str(error)) from error
    if paid < 0 or raw.status not in _STATES:
        raise WireError("not a redemption that is accepted or confirmed")
    return Redeemed(
        redeem_key=raw.idempotency_key,
        follower_proxy=raw.follower_proxy.lower(),
        condition_id=raw.condition_id.lower(),
        state=_STATES[raw.status],
        paid_micros=paid,
    )
