"""The meaning of the CLOB's answers to a place and to cancels. Pure.

Only what the venue says in its own form, about our own order, proves anything. The rest is UNKNOWN
and resolved by reading: a request that was not answered may arrive later, for nothing at this venue
ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import Receipt

_RETRY_AFTER_MS = 1_000
_LONGEST_DETAIL = 200
_TAKEN = ("live", "matched", "delayed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobAnswer:
    """An answer of HTTP; the wait is what its header says, None: nothing."""

    status: int
    body: bytes
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _KnownError:
    """A sentence of the venue: what it proves, and our word for it."""

    text: re.Pattern[str]
    meaning: Meaning
    code: str


def _message(text: str, meaning: Meaning, code: str) -> _KnownError:
    return _KnownError(re.compile(text, re.IGNORECASE), meaning, code)


# The first one that is found in the text. What is not here proves nothing.
SENTENCES = (
    _message("duplicated", Meaning.UNKNOWN, "DUPLICATED"),
    _message("not enough balance", Meaning.REJECTED, "BALANCE"),
    _message("post-only mode", Meaning.NOT_ACCEPTED, "POST_ONLY_MODE"),
    _message("crosses (the )?book", Meaning.REJECTED, "POST_ONLY_CROSSES"),
    _message("minimum tick size", Meaning.REJECTED, "TICK"),
    _message("lower than the minimum", Meaning.REJECTED, "TOO_SMALL"),
    _message("invalid amounts", Meaning.REJECTED, "BAD_AMOUNT"),
    _message("invalid expiration", Meaning.REJECTED, "BAD_EXPIRY"),
    _message("invalid nonce", Meaning.REJECTED, "BAD_NONCE"),
    _message("couldn't be fully filled", Meaning.REJECTED, "FOK_KILLED"),
    _message("no orders found to match with FAK", Meaning.REJECTED, "FAK_KILLED"),
    _message("not yet ready to process", Meaning.NOT_ACCEPTED, "MARKET_NOT_READY"),
    _message("cancel-only", Meaning.NOT_ACCEPTED, "CANCEL_ONLY"),
    _message("trading is (currently )?disabled", Meaning.NOT_ACCEPTED, "TRADING_DISABLED"),
    _message("orderbook .*does not exist", Meaning.REJECTED, "NO_BOOK"),
    _message("address banned", Meaning.REJECTED, "BANNED"),
    _message("closed only mode", Meaning.REJECTED, "CLOSED_ONLY"),
    _message("invalid order payload", Meaning.REJECTED, "BAD_ORDER"),
    _message("invalid signature", Meaning.REJECTED, "BAD_SIGNATURE"),
    _message("order owner has to be", Meaning.REJECTED, "BAD_OWNER"),
    _message("order signer address has to be", Meaning.REJECTED, "BAD_SIGNER"),
    _message("too many orders in payload", Meaning.REJECTED, "BATCH"),
    _message("unauthorized|invalid api key", Meaning.REJECTED, "UNAUTHORIZED"),
)
_ENDED = re.compile("already cancell?ed or matched|not found|can't be found", re.IGNORECASE)
_PROVING = (400, 401, 403, 404)
"""Statuses of a refusal; above them the venue's own text has to prove it."""


class _Placed(msgspec.Struct, frozen=True):
    success: bool = False
    errorMsg: str | None = None
    orderID: str | None = None
    status: str | None = None
    error: str | None = None
    code: str | None = None
    retry_after_seconds: int | None = None


class _Cancelled(msgspec.Struct, frozen=True):
    canceled: list[str]
    not_canceled: dict[str, str] = {}


_PLACED = msgspec.json.Decoder(_Placed)
_CANCELLED = msgspec.json.Decoder(_Cancelled)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def unknown(code: str, detail: str = "") -> Receipt:
    """Return the receipt of what proves nothing."""
    return Receipt(meaning=Meaning.UNKNOWN, code=code, detail=detail[:_LONGEST_DETAIL])


def not_sent(code: str, detail: str = "", retry_after_ms: int | None = None) -> Receipt:
    """Return the receipt of a request of which no byte has left; it may be sent later."""
    return Receipt(
        meaning=Meaning.NOT_ACCEPTED,
        code=code,
        detail=detail[:_LONGEST_DETAIL],
        retry_after_ms=retry_after_ms,
    )


def refused_here(code: str, detail: str) -> Receipt:
    """Return the receipt of a request that is never sent."""
    return Receipt(meaning=Meaning.REJECTED, code=code, detail=detail[:_LONGEST_DETAIL])


def of_place(answer: ClobAnswer, venue_order_id: str) -> Receipt:
    """Judge the answer to a place of the order with this hash."""
    early = _of_status(answer)
    if early is not None:
        return early
    try:
        placed = _PLACED.decode(answer.body)
    except _UNREADABLE as error:
        # A page of somebody in between: it may stand before the venue or after it.
        return unknown(f"HTTP_{answer.status}", str(error))
    text = placed.error or placed.errorMsg or ""
    if answer.status == 200 and not text and placed.success:
        if placed.orderID != venue_order_id or placed.status not in _TAKEN:
            return unknown("OTHER_ANSWER", f"{placed.orderID}: {placed.status}")
        return Receipt(
            meaning=Meaning.ACCEPTED, code=placed.status.upper(), venue_order_id=venue_order_id
        )
    if placed.retry_after_seconds is None:
        return _of_text(answer, text)
    return _of_text(answer, text, wait_ms=placed.retry_after_seconds * 1000)


def of_cancel(answer: ClobAnswer, venue_order_id: str) -> Receipt:
    """Judge the answer to a cancel of one order.

    REJECTED with ENDED: it does not rest. That says nothing of a place that is under way.
    """
    early = _of_status(answer)
    if early is not None:
        return early
    if answer.status != 200:
        try:
            return _of_text(answer, _PLACED.decode(answer.body).error or "")
        except _UNREADABLE as error:
            return unknown(f"HTTP_{answer.status}", str(error))
    try:
        found = _CANCELLED.decode(answer.body)
    except _UNREADABLE as error:
        return unknown("MALFORMED_ANSWER", str(error))
    if venue_order_id in found.canceled:
        return Receipt(meaning=Meaning.ACCEPTED, code="CANCELLED", venue_order_id=venue_order_id)
    text = found.not_canceled.get(venue_order_id)
    if text is None:
        return unknown("OTHER_ANSWER", "nothing is said of the order")
    if _ENDED.search(text):
        return Receipt(
            meaning=Meaning.REJECTED,
            code="ENDED",
            detail=text[:_LONGEST_DETAIL],
            venue_order_id=venue_order_id,
        )
    return unknown("NOT_CANCELLED", text)


def of_mass_cancel(answer: ClobAnswer) -> Receipt:
    """Judge the answer to a cancel of many; ACCEPTED says that each is ended or does not rest."""
    early = _of_status(answer)
    if early is not None:
        return early
    try:
        if answer.status != 200:
            return _of_text(answer, _PLACED.decode(answer.body).error or "")
        found = _CANCELLED.decode(answer.body)
    except _UNREADABLE as error:
        return unknown(f"HTTP_{answer.status}", str(error))
    left = [text for text in found.not_canceled.values() if not _ENDED.search(text)]
    if left:
        return unknown("NOT_CANCELLED", left[0])
    return Receipt(meaning=Meaning.ACCEPTED, code="CANCELLED", detail=f"{len(found.canceled)}")


def _of_status(answer: ClobAnswer) -> Receipt | None:
    """The receipt where the status alone says it."""
    wait_ms = _RETRY_AFTER_MS if answer.retry_after_ms is None else answer.retry_after_ms
    if answer.status == 425:
        return not_sent("ENGINE_RESTART", "the matching engine restarts", wait_ms)
    if answer.status == 429:
        return not_sent("RATE_LIMIT", "too many requests", wait_ms)
    return None


def _of_text(answer: ClobAnswer, text: str, *, wait_ms: int | None = None) -> Receipt:
    """The receipt of a refusal in the venue's words."""
    known = next((each for each in SENTENCES if each.text.search(text)), None)
    if known is None or not _proves(answer.status, known.meaning):
        return unknown(f"HTTP_{answer.status}", text)
    again = known.meaning is Meaning.NOT_ACCEPTED
    return Receipt(
        meaning=known.meaning,
        code=known.code,
        detail=text[:_LONGEST_DETAIL],
        retry_after_ms=(wait_ms or answer.retry_after_ms or _RETRY_AFTER_MS) if again else None,
    )


def _proves(status: int, meaning: Meaning) -> bool:
    if meaning is Meaning.UNKNOWN:
        return True
    # The engine's own faults (500) say the same words of orders that may have matched in part.
    if meaning is Meaning.NOT_ACCEPTED:
        return status in (*_PROVING, 200, 503)
    return status in (*_PROVING, 200)
