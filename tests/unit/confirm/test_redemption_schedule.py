"""Answers to a redemption move it through its states."""

from __future__ import annotations

import json
from itertools import product

import pytest

from services.confirm.core.redemption_schedule import follows, pause_ms
from tradingtools.domain.redemption_states import TRANSITIONS
from tradingtools.domain.redemption_states import RedemptionState as S
from tradingtools.venues.insiders.redemptions import judge
from tradingtools.venues.ports import RedemptionAnswer, RedemptionVerdict

KEY, WALLET, MARKET = "a" * 64, "0x" + "b" * 40, "0x" + "c" * 64


def _reported(status: int, body: object) -> RedemptionVerdict:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(status, text, redeem_key=KEY, proxy=WALLET, condition_id=MARKET)


def _redemption(**changed: object) -> dict[str, object]:
    whole = {
        "idempotencyKey": KEY, "followerProxy": WALLET, "conditionId": MARKET, "payout": "12.5",
        "status": "CONFIRMED",
    }  # fmt: skip
    return whole | changed


def _error(code: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "x"}}


def test_a_confirmed_redemption_tells_what_it_paid() -> None:
    upper = _redemption(followerProxy=WALLET.upper().replace("X", "x"))
    assert _reported(200, upper) == RedemptionVerdict(
        answer=RedemptionAnswer.DONE, paid_micros=12_500_000
    )
    under_way = _reported(200, _redemption(status="ACCEPTED"))
    assert under_way == RedemptionVerdict(answer=RedemptionAnswer.UNDER_WAY)


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (400, _error("NOTHING_TO_REDEEM"), RedemptionAnswer.NOTHING_LEFT),
        (400, _error("MARKET_NOT_RESOLVED"), RedemptionAnswer.REFUSED),
        (400, _error("INVALID_REQUEST"), RedemptionAnswer.REFUSED),
        (429, _error("RATE_LIMITED"), RedemptionAnswer.REFUSED),
        (409, _error("IN_PROGRESS"), RedemptionAnswer.NO_ANSWER),
        (422, _error("KEY_REUSED"), RedemptionAnswer.NO_ANSWER),
        (500, _error("NOTHING_TO_REDEEM"), RedemptionAnswer.NO_ANSWER),
        (400, b"<html>", RedemptionAnswer.NO_ANSWER),
        (429, b"", RedemptionAnswer.NO_ANSWER),
        (302, _redemption(), RedemptionAnswer.NO_ANSWER),
        (200, b"{}", RedemptionAnswer.NO_ANSWER),
        (200, _redemption(payout="-1"), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(payout="0.0000001"), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(payout=12.5), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(status="FAILED"), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(idempotencyKey="d" * 64), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(followerProxy="0x" + "d" * 40), RedemptionAnswer.NO_ANSWER),
        (200, _redemption(conditionId="0x" + "d" * 64), RedemptionAnswer.NO_ANSWER),
    ],
)
def test_what_does_not_prove_anything_is_no_answer(
    status: int, body: object, answer: RedemptionAnswer
) -> None:
    assert _reported(status, body).answer is answer
    assert _reported(status, body).paid_micros is None


def test_redemption_follows_its_table_and_gains_certainty() -> None:
    for state, answer in product(S, RedemptionAnswer):
        target = follows(state, answer)
        assert target is state or (state, target) in TRANSITIONS
    assert follows(S.REQUESTED, RedemptionAnswer.NO_ANSWER) is S.UNKNOWN
    # A refusal of a repeated request says nothing about the first one.
    assert follows(S.UNKNOWN, RedemptionAnswer.REFUSED) is S.UNKNOWN
    assert follows(S.ACCEPTED, RedemptionAnswer.NO_ANSWER) is S.ACCEPTED
    assert follows(S.REQUESTED, RedemptionAnswer.REFUSED) is S.REQUESTED
    for state in S:
        assert follows(state, RedemptionAnswer.DONE) is S.CONFIRMED
        assert follows(state, RedemptionAnswer.NOTHING_LEFT) is S.CONFIRMED
        assert follows(S.CONFIRMED, RedemptionAnswer.NO_ANSWER) is S.CONFIRMED


def test_pauses_double_and_end() -> None:
    assert [pause_ms(n) for n in (0, 1, 2)] == [1_000, 2_000, 4_000]
    assert pause_ms(1_000_000) == 300_000
