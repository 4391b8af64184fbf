"""Frames and answers of OKX v5 as they are written: envelopes, before anybody asks what is inside.

A REST answer is `{"code", "msg", "data"}`. A frame of a socket is an event (login, subscribe,
error, notice), the answer to an operation (it has an `op`), a push of a channel (it has an `arg`
and `data`), or the word pong.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

PING = "ping"
PONG = b"pong"
Row = TypeVar("Row")


class WireError(ValueError):
    """The bytes are none of OKX's messages; the text says why."""


class RestAnswer(msgspec.Struct, frozen=True):
    """The body of an answer; `data` is not decoded yet."""

    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class OrderRow(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an answer that is about one order."""

    s_code: str
    s_msg: str = ""
    cl_ord_id: str = ""
    ord_id: str = ""
    req_id: str = ""


class TimeRow(msgspec.Struct, frozen=True):
    """The answer of `/public/time`."""

    ts: str


class Argument(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The name of a subscription."""

    channel: str
    inst_id: str = ""
    inst_type: str = ""
    inst_family: str = ""
    ccy: str = ""
    uid: str = ""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Login, subscribe, unsubscribe, error, notice, or a count of connections."""

    event: str
    code: str = ""
    msg: str = ""
    arg: Argument | None = None
    id: str = ""


class OperationAnswer(msgspec.Struct, frozen=True):
    """The answer to an order, cancel or amend that was sent over the socket."""

    id: str
    op: str
    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class Push(msgspec.Struct, frozen=True):
    """Data of a channel, not decoded yet."""

    arg: Argument
    data: msgspec.Raw
    action: str = ""
    """snapshot or update, of a book alone."""


Frame = Event | OperationAnswer | Push


class _Any(msgspec.Struct, frozen=True):
    event: str | None = None
    op: str | None = None
    id: str = ""
    code: str = ""
    msg: str = ""
    arg: Argument | None = None
    action: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


_FRAME = msgspec.json.Decoder(_Any)
_ANSWER = msgspec.json.Decoder(RestAnswer)
TIMES = msgspec.json.Decoder(list[TimeRow])
ORDER_ROWS = msgspec.json.Decoder(list[OrderRow])


def decode_frame(frame: bytes) -> Frame | None:
    """Return what a frame of a socket is; None: the answer to a ping.

    Raises:
        WireError: it is none of the known ones.
    """
    if frame == PONG:
        return None
    try:
        read = _FRAME.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None
    if read.event is not None:
        return Event(event=read.event, code=read.code, msg=read.msg, arg=read.arg, id=read.id)
    if read.op is not None:
        data = read.data if read.data else msgspec.Raw(b"[]")
        return OperationAnswer(id=read.id, op=read.op, code=read.code, msg=read.msg, data=data)
    if read.arg is not None and read.data:
        return Push(arg=read.arg, data=read.data, action=read.action)
    raise WireError("it is neither an event, an answer nor a push")


def decode_answer(body: bytes) -> RestAnswer:
    """Return the envelope of a REST answer. Raises WireError."""
    try:
        return _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


def decode_rows(data: msgspec.Raw, decoder: msgspec.json.Decoder[list[Row]]) -> list[Row]:
    """Return the rows of a push or an answer. Raises WireError."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None
