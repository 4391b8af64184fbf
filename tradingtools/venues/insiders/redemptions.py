"""The JSON of insiders-api's redemptions; `docs/insiders-api.yaml` is the contract.

A rejection of a repeated request says nothing about the first one, but for one: where nothing is
left to redeem, it was done, by us or by whoever redeems for the wallet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from tradingtools.domain.money import AmountError, parse_exact
from tradingtools.domain.redemption_states import RedemptionState
from tradingtools.venues.insiders.schemas import BODY_LIMIT_BYTES, WireError, parse_error
from tradingtools.venues.ports import RedemptionAnswer, RedemptionVerdict


class _Redemption(msgspec.Struct, rename="camel", frozen=True):
    idempotency_key: str
    follower_proxy: str
    condition_id: str
    payout: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """The answer of insiders-api to a redemption."""

    redeem_key: str
    follower_proxy: str
    condition_id: str
    state: RedemptionState
    """ACCEPTED or CONFIRMED."""
    paid_micros: int


_decoder = msgspec.json.Decoder(_Redemption)
_STATES = {s.value: s for s in (RedemptionState.ACCEPTED, RedemptionState.CONFIRMED)}


def redeem_body(user_id: str, wallet_id: str, proxy: str, condition_id: str) -> bytes:
    """Return the request, byte for byte the same each time."""
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


def judge(
    status: int, body: bytes, *, redeem_key: str, proxy: str, condition_id: str
) -> RedemptionVerdict:
    """Judge a whole answer.

    Args:
        status: of HTTP.
        body: of the answer.
        redeem_key: that was asked for, with its wallet and market.
        proxy: the wallet.
        condition_id: the market.
    """
    if status == 200:
        try:
            found = parse_redemption(body)
        except WireError as error:
            return RedemptionVerdict(
                answer=RedemptionAnswer.NO_ANSWER, detail=f"malformed: {error}"
            )
        if (found.redeem_key, found.follower_proxy, found.condition_id) != (
            redeem_key,
            proxy,
            condition_id,
        ):
            return RedemptionVerdict(
                answer=RedemptionAnswer.NO_ANSWER, detail="the answer is about another redemption"
            )
        done = found.state is RedemptionState.CONFIRMED
        meaning = RedemptionAnswer.DONE if done else RedemptionAnswer.UNDER_WAY
        return RedemptionVerdict(answer=meaning, paid_micros=found.paid_micros if done else None)
    error_body = parse_error(body)
    code = error_body[0] if error_body is not None else ""
    detail = f"{status} {code}".strip()
    if status == 400 and code == "NOTHING_TO_REDEEM":
        return RedemptionVerdict(answer=RedemptionAnswer.NOTHING_LEFT, detail=detail)
    if code and status in (400, 403, 429):
        return RedemptionVerdict(answer=RedemptionAnswer.REFUSED, detail=detail)
    return RedemptionVerdict(answer=RedemptionAnswer.NO_ANSWER, detail=detail)
