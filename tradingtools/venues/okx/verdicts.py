"""The meaning of an answer to a place, a cancel or an amend. Pure.

Only a code of the table proves anything, and only in OKX's own shape and about our own order.
Everything else is UNKNOWN, and is resolved by reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tradingtools.venues.okx.error_codes import AGAIN, NOT_TAKEN, Action, action_of, meaning_of
from tradingtools.venues.okx.wire import (
    ORDER_ROWS,
    OperationAnswer,
    OrderRow,
    RestAnswer,
    WireError,
    decode_answer,
    decode_rows,
)
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import Receipt

LATER_MS = 500
"""The pause before what a limit has refused may go again."""


class Verb(Enum):
    """The request that an answer belongs to."""

    PLACE = auto()
    CANCEL = auto()
    AMEND = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOrder:
    """The order that an answer has to be about."""

    verb: Verb
    order_id: str
    venue_order_id: str = ""
    request_id: str = ""
    """Of an amend."""


def unknown(code: str, detail: str = "") -> Receipt:
    """Return the receipt of what proves nothing."""
    return Receipt(meaning=Meaning.UNKNOWN, code=code, detail=detail)


def not_sent(code: str, detail: str = "") -> Receipt:
    """Return the receipt of a request of which no byte has left."""
    return Receipt(meaning=Meaning.NOT_ACCEPTED, code=code, detail=detail)


def refused_here(code: str, detail: str) -> Receipt:
    """Return the receipt of a request that this adapter does not send at all."""
    return Receipt(meaning=Meaning.REJECTED, code=code, detail=detail)


def of_rest(status: int, body: bytes, requested: RequestedOrder) -> Receipt:
    """Judge the answer to a request over REST.

    Args:
        status: of HTTP.
        body: as it came.
        requested: about which order.
    """
    return of_rest_batch(status, body, (requested,))[0]


def of_rest_batch(
    status: int, body: bytes, requested: tuple[RequestedOrder, ...]
) -> tuple[Receipt, ...]:
    """Judge the answer to a batch over REST, one receipt for each order that was asked about."""
    try:
        answer = decode_answer(body)
    except WireError as error:
        # A page of somebody in between: it may stand before the venue or after it.
        return _same(unknown(f"HTTP_{status}", str(error)), requested)
    succeeded = 200 <= status < 300
    if not succeeded and action_of(answer.code) in (Action.DONE, Action.SOME):
        return _same(unknown(f"HTTP_{status}", "status and code contradict each other"), requested)
    return _judge(answer, requested)


def of_socket(
    answer: OperationAnswer, requested: tuple[RequestedOrder, ...]
) -> tuple[Receipt, ...]:
    """Judge the answer to an operation over the socket, one receipt for each order."""
    return _judge(RestAnswer(code=answer.code, msg=answer.msg, data=answer.data), requested)


def of_setting(status: int, body: bytes) -> Receipt:
    """Judge the answer to a setting of the account, which has no row about an order."""
    try:
        answer = decode_answer(body)
    except WireError as error:
        return unknown(f"HTTP_{status}", str(error))
    action = action_of(answer.code)
    if action is Action.DONE and answer.code == "0" and 200 <= status < 300:
        return Receipt(meaning=Meaning.ACCEPTED, code="0")
    if action in NOT_TAKEN:
        meaning = Meaning.NOT_ACCEPTED if action in AGAIN else Meaning.REJECTED
        return Receipt(meaning=meaning, code=answer.code, detail=meaning_of(answer.code))
    return unknown(answer.code, meaning_of(answer.code))


def _judge(answer: RestAnswer, requested: tuple[RequestedOrder, ...]) -> tuple[Receipt, ...]:
    try:
        rows = decode_rows(answer.data, ORDER_ROWS)
    except WireError as error:
        return _same(unknown("MALFORMED_ANSWER", str(error)), requested)
    if not rows and action_of(answer.code) not in (Action.DONE, Action.SOME):
        return tuple(_receipt(answer.code, answer.msg, "", one) for one in requested)
    return tuple(_of_rows(rows, one, alone=len(requested) == 1) for one in requested)


def _of_rows(rows: list[OrderRow], requested: RequestedOrder, *, alone: bool) -> Receipt:
    ours = [row for row in rows if _about(row, requested)]
    if alone and len(rows) == 1 and not ours and not rows[0].cl_ord_id and not rows[0].ord_id:
        # A refusal may come without any id; the only row of the only question is its answer.
        ours = rows if action_of(rows[0].s_code) is not Action.DONE else []
    if len(ours) != 1:
        return unknown("ANOTHER_ORDER" if rows else "NO_ROW")
    return _receipt(ours[0].s_code, ours[0].s_msg, ours[0].ord_id, requested)


def _about(row: OrderRow, requested: RequestedOrder) -> bool:
    if row.cl_ord_id:
        return row.cl_ord_id == requested.order_id
    return bool(row.ord_id) and row.ord_id == requested.venue_order_id


def _receipt(code: str, message: str, venue_order_id: str, requested: RequestedOrder) -> Receipt:
    action = action_of(code)
    return Receipt(
        meaning=_meaning(action, code, venue_order_id, requested),
        code=code,
        detail=f"{meaning_of(code)}: {message}"[:200] if message else meaning_of(code),
        venue_order_id=venue_order_id,
        retry_after_ms=LATER_MS if action is Action.LATER else None,
    )


def _meaning(action: Action, code: str, venue_order_id: str, requested: RequestedOrder) -> Meaning:
    if action is Action.DONE and code == "0":
        # A place that was taken has the venue's id; without it nothing is proved.
        missing = requested.verb is Verb.PLACE and not venue_order_id
        return Meaning.UNKNOWN if missing else Meaning.ACCEPTED
    if action in AGAIN:
        return Meaning.NOT_ACCEPTED
    if action in NOT_TAKEN:
        return Meaning.REJECTED
    if action is Action.ENDED and requested.verb is not Verb.PLACE:
        # Not a word on how it ended, nor whether a place that is still under way comes after.
        return Meaning.REJECTED
    return Meaning.UNKNOWN


def _same(receipt: Receipt, requested: tuple[RequestedOrder, ...]) -> tuple[Receipt, ...]:
    return (receipt,) * len(requested)
