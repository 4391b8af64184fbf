"""Read a request's preconditions: Idempotency-Key and If-Match."""

from __future__ import annotations

import hashlib
import re

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.control import parsing
from services.control.store import RequestId, Row
from tradingtools.domain.errors import Conflict
from tradingtools.rpc.headers import Context, header_of, idempotency_key


def request_id(context: Context, method: str, request: Message) -> RequestId | None:
    """Return the id of a repeatable create; None without a key. Raises InvalidField."""
    key = idempotency_key(context)
    if key is None:
        return None
    return RequestId(
        method=method,
        # Of what clients put there, a token among it, nothing is kept that can be read.
        key=hashlib.sha256(key.encode()).hexdigest(),
        request_hash=hashlib.sha256(_same(request).SerializeToString(deterministic=True)).digest(),
    )


_SPELLED = re.compile("0x[0-9a-fA-F]{40}([0-9a-fA-F]{24})?")


def _same(request: Message) -> Message:
    """The request with its addresses in one spelling: in another it is the same request."""
    one = type(request)()
    one.CopyFrom(request)
    _spell(one)
    return one


def _spell(message: Message) -> None:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            if _SPELLED.fullmatch(value):
                setattr(message, field.name, value.lower())
        elif field.type == FieldDescriptor.TYPE_STRING:
            value[:] = [one.lower() if _SPELLED.fullmatch(one) else one for one in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                _spell(inner)


def expected_version(context: Context, request: Message) -> int | None:
    """The version that a change is meant for: If-Match, or the request's own field; None: any.

    Raises:
        InvalidField: If-Match is not one quoted version, or says another than the request.
    """
    known = "version" in request.DESCRIPTOR.fields_by_name and request.HasField("version")
    given = int(request.version) if known else None  # type: ignore[attr-defined]
    header = header_of(context, "if-match")
    if header is None:
        return given
    version = parsing.if_match(header)
    if given not in (None, version):
        raise parsing.refuse("version", "the version that If-Match names")
    return version


def refuse_other_version(kind: str, row: Row, version: int | None) -> None:
    """Refuse a change that is meant for another state than the row's; raises Conflict."""
    if version is not None and version != row["version"]:
        raise Conflict(f"the {kind} has version {row['version']}", kind=kind, id=row["id"])
