"""Requests as gRPC brings them: bytes into a message that its contract allows, or why not.

Before it: the interceptors of the port. After it: a servicer, which sees only requests whose every
field it knows and whose rules hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tradingtools.domain import texts
from tradingtools.domain.errors import InvalidField, MalformedBody, UnknownField
from tradingtools.runtime import grpc_rules, grpc_words

if TYPE_CHECKING:
    import protovalidate

_WITH_TEXT = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE}


def read(raw: bytes, parse: Callable[[bytes], Message], *, strict: bool) -> Message:
    """The request in the bytes.

    Args:
        raw: as they came.
        parse: of the request's type.
        strict: as of :func:`check`.

    Raises:
        MalformedBody: the bytes are no message of the type.
        UnknownField, InvalidField: see :func:`check`.
    """
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
    if strict:
        _refuse_strange(request, "")
    if grpc_rules.surely_kept(request):
        return
    violations = interpreter().collect_violations(request)
    if not violations:
        # protovalidate 2.1 lets values through that the enum of a repeated field does not have.
        undefined = _undefined(request, "")
        if undefined is not None:
            path, field = undefined
            raise _refused(path, grpc_words.of(field))
        return
    elements = violations[0].proto.field.elements
    path = ".".join(_shown(element) for element in elements) or "body"
    raise _refused(path, grpc_words.violated(request, violations[0]))


def _refused(path: str, expected: str) -> InvalidField:
    said = expected if expected.startswith(grpc_words.REQUIRED) else f"expected {expected}"
    return InvalidField(f"{path}: {said}", field=path, expected=expected)


@cache
def interpreter() -> protovalidate.Validator:
    """protovalidate, imported when a request first needs it: a third of a process's start.

    What the engine's processes ask each other rarely does. Whoever serves people asks for it at
    its start, so that none of them waits for it.
    """
    import protovalidate  # noqa: PLC0415

    return protovalidate.Validator()  # type: ignore[no-untyped-call]


def _shown(element: Any) -> str:
    name: str = element.field_name
    head, *rest = name.split("_")
    index = f"[{element.index}]" if element.WhichOneof("subscript") == "index" else ""
    return head + "".join(part.title() for part in rest) + index


def _refuse_strange(message: Message, path: str) -> None:
    """Refuse what no contract has, a field by its number, and what no text may have."""
    unknown = UnknownFieldSet(message)
    if len(unknown) > 0:
        number = f"{path}{unknown[0].field_number}"
        raise UnknownField(f"{number}: no such field", field=number)
    for descriptor, value in message.ListFields():
        if descriptor.type not in _WITH_TEXT:
            continue
        for place, inner in enumerate(value if descriptor.is_repeated else [value]):
            index = f"[{place}]" if descriptor.is_repeated else ""
            if not isinstance(inner, str):
                _refuse_strange(inner, f"{path}{descriptor.json_name}{index}.")
            elif not texts.is_plain(inner):
                where, expected = f"{path}{descriptor.json_name}{index}", texts.EXPECTED
                raise InvalidField(f"{where}: expected {expected}", field=where, expected=expected)


def _undefined(message: Message, path: str) -> tuple[str, FieldDescriptor] | None:
    """Where the first enum value is that the contract does not have; None: nowhere."""
    for descriptor, value in message.ListFields():
        for place, inner in enumerate(value if descriptor.is_repeated else [value]):
            here = f"{path}{descriptor.json_name}" + (
                f"[{place}]" if descriptor.is_repeated else ""
            )
            if descriptor.enum_type is not None:
                if inner not in descriptor.enum_type.values_by_number:
                    return here, descriptor
            elif descriptor.message_type is not None:
                found = _undefined(inner, f"{here}.")
                if found is not None:
                    return found
    return None
