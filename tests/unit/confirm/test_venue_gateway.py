"""A refused void names the order that used the key; without reading by key it is the only word."""

from __future__ import annotations

import json
from typing import cast

import pytest

from services.confirm.core.unknown_order_policy import LookupResult
from services.confirm.venue_gateway import VenueGateway
from tradingtools.venues.insiders.order_gateway import Answer, InsidersClient

KEY = "k1"


class _Client:
    """Knows no reading by key; refuses voids."""

    def __init__(self, refusal: object) -> None:
        self._refusal = refusal

    async def order_by_key(self, order_key: str, timeout_ms: int) -> Answer:
        return _answer(501, {"error": {"code": "NOT_SUPPORTED", "message": "off"}})

    async def void(self, order_key: str, timeout_ms: int) -> Answer:
        return _answer(409, self._refusal)


def _answer(status: int, payload: object) -> Answer:
    return Answer(status=status, body=json.dumps(payload).encode(), first_byte_ns=1, answered_ns=2)


def _refusal(order: object) -> object:
    return {"error": {"code": "KEY_USED", "message": "used"}, "order": order}


async def _void(refusal: object) -> tuple[LookupResult, str]:
    poll, order = await VenueGateway(cast(InsidersClient, _Client(refusal)), 1000).void(KEY)
    return poll, order.order_id if order is not None else ""


async def test_the_order_beside_the_refusal_is_found() -> None:
    order = {"idempotencyKey": KEY, "status": "MATCHED", "closed": False, "orderId": "o1"}
    assert await _void(_refusal(order)) == (LookupResult.FOUND, "o1")


async def test_an_order_under_another_key_says_nothing() -> None:
    order = {"idempotencyKey": "k2", "status": "MATCHED", "closed": False, "orderId": "o1"}
    assert await _void(_refusal(order)) == (LookupResult.NO_ANSWER, "")


@pytest.mark.parametrize("order", [None, 7, {"idempotencyKey": KEY}])
async def test_a_refusal_without_its_order_leaves_the_question_by_key(order: object) -> None:
    assert await _void(_refusal(order)) == (LookupResult.NOT_SUPPORTED, "")
