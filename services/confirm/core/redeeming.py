"""What an answer to a redemption means. Pure.

A rejection of a repeated request says nothing about the first one, but for one: where nothing is
left to redeem, it was done, by us or by whoever redeems for the wallet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.domain.redemption_states import TRANSITIONS, RedemptionState
from tradingtools.venues.insiders.redemptions import parse_redemption
from tradingtools.venues.insiders.schemas import WireError, parse_error

_FIRST_MS = 1_000
_LONGEST_MS = 300_000
_S = RedemptionState


class Heard(Enum):
    """What came back."""

    DONE = auto()
    UNDER_WAY = auto()
    NOTHING_LEFT = auto()
    REFUSED = auto()
    """Definitively not by this request: not resolved there, too often, refused."""
    NOT_SENT = auto()
    NO_ANSWER = auto()
    """Anything that proves nothing."""


_FOLLOWS = {
    Heard.DONE: _S.CONFIRMED,
    Heard.UNDER_WAY: _S.ACCEPTED,
    Heard.NOTHING_LEFT: _S.CONFIRMED,
    Heard.NO_ANSWER: _S.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """An answer, judged."""

    heard: Heard
    paid_micros: int | None = None
    """What insiders-api says it paid."""
    detail: str = ""
    """For a person."""


def judge(status: int, body: bytes, *, redeem_key: str, proxy: str, condition_id: str) -> Word:
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
            told = parse_redemption(body)
        except WireError as error:
            return Word(heard=Heard.NO_ANSWER, detail=f"malformed: {error}")
        if (told.redeem_key, told.follower_proxy, told.condition_id) != (
            redeem_key,
            proxy,
            condition_id,
        ):
            return Word(heard=Heard.NO_ANSWER, detail="the answer is about another redemption")
        done = told.state is _S.CONFIRMED
        heard = Heard.DONE if done else Heard.UNDER_WAY
        return Word(heard=heard, paid_micros=told.paid_micros if done else None)
    told_error = parse_error(body)
    code = told_error[0] if told_error is not None else ""
    detail = f"{status} {code}".strip()
    if status == 400 and code == "NOTHING_TO_REDEEM":
        return Word(heard=Heard.NOTHING_LEFT, detail=detail)
    if code and status in (400, 403, 429):
        return Word(heard=Heard.REFUSED, detail=detail)
    return Word(heard=Heard.NO_ANSWER, detail=detail)


def follows(state: RedemptionState, heard: Heard) -> RedemptionState:
    """Where a redemption stands after what was heard; the same when nothing is known better."""
    target = _FOLLOWS.get(heard, state)
    return target if (state, target) in TRANSITIONS else state


def pause_ms(asked: int) -> int:
    """How long until it is asked again, having asked so often."""
    return min(_FIRST_MS << min(asked, 20), _LONGEST_MS)
