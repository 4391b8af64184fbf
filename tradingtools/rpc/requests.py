"""Requests as gRPC brings them: bytes into a message that its contract allows, or why not.

Before it: the interceptors of the port. After it: a servicer, which sees only requests whose every
field it knows and whose rules hold.
"""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from tradingtools.domain import texts
from tradingtools.domain.errors import InvalidField, MalformedBody, UnknownField
from tradingtools.rpc import validation, wording
from tradingtools.rpc.validation import Violation

LONGEST_OF_PEOPLE = 64 * 1024
"""Bytes of a request; as long as a body at the edge may be."""
LONGEST = 512 * 1024
"""The same between the engine's processes: a book feed is asked for 5,000 assets at once."""
_TAG_BYTES = 5
"""Of a field's number on the wire, at most."""
_WITH_TEXT = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE}


def read(raw: bytes, parse: Callable[[bytes], Message], *, strict: bool) -> Message:
    """Return the request in the bytes.

    Args:
        raw: as they came.
        parse: of the request's type.
        strict: as of :func:`check`.

    Raises:
        MalformedBody: the bytes are too many, or no message of the type.
        UnknownField, InvalidField: see :func:`check`.
    """
    longest = LONGEST_OF_PEOPLE if strict else LONGEST
    if len(raw) > longest:
        raise MalformedBody(f"the request is larger than {longest // 1024} KiB")
    try:
        request = parse(raw)
    except (DecodeError, UnicodeDecodeError):
        raise MalformedBody("the bytes are not a message of this call") from None
    check(request, strict=strict)
    return request


def check(request: Message, *, strict: bool) -> None:
    """Check a request against the rules in its contract.

    Args:
        request: parsed.
        strict: also refuse fields that the contract does not have, and texts with control
            characters. A person's client that sets such a field means something by it; processes
            of the engine differ in version during an upgrade, and hand on what the venue wrote.

    Raises:
        UnknownField: see ``strict``; with the first such field's path.
        InvalidField: with the first violated field's path and what was expected.
    """
    # First of all: what follows looks at every element.
    _refuse(validation.too_many(request))
    if strict:
        _refuse_strange(request)
    _refuse(validation.first(request))


def _refuse(found: Violation | None) -> None:
    if found is None:
        return
    expected = wording.violated(found)
    message = expected if expected.startswith(wording.REQUIRED) else f"expected {expected}"
    raise InvalidField(f"{found.path}: {message}", field=found.path, expected=expected)


def _refuse_strange(message: Message) -> None:
    """Refuse what no contract has, a field by its number, and what no text may have."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    _poll(message, "", unknown=known.ByteSize() != message.ByteSize())


def _poll(message: Message, path: str, *, unknown: bool) -> None:
    number = _first_unknown(message) if unknown else None
    if number is not None:
        raise UnknownField(f"{path}{number}: no such field", field=f"{path}{number}")
    for descriptor, value in message.ListFields():
        if descriptor.type not in _WITH_TEXT:
            continue
        for place, inner in enumerate(value if descriptor.is_repeated else [value]):
            index = f"[{place}]" if descriptor.is_repeated else ""
            if not isinstance(inner, str):
                _poll(inner, f"{path}{descriptor.json_name}{index}.", unknown=unknown)
            elif not texts.is_plain(inner):
                where, expected = f"{path}{descriptor.json_name}{index}", texts.EXPECTED
                raise InvalidField(f"{where}: expected {expected}", field=where, expected=expected)


def _first_unknown(message: Message) -> int | None:
    """Return the number of the first one; protobuf's own UnknownFieldSet is slow where there are
    many."""
    rest = type(message)()
    rest.CopyFrom(message)
    for field, _ in message.ListFields():
        rest.ClearField(field.name)
    tag = 0
    for place, byte in enumerate(rest.SerializeToString()[:_TAG_BYTES]):
        tag |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return tag >> 3
    return None
