"""Requests as gRPC brings them: bytes into a message that its contract allows, or why not.

Before it: the interceptors of the port. After it: a servicer, which sees only requests whose every
field it knows and whose rules hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tradingtools.domain.errors import InvalidField, MalformedBody, UnknownField
from tradingtools.runtime import grpc_rules

if TYPE_CHECKING:
    import protovalidate


def read(raw: bytes, parse: Callable[[bytes], Message], *, strict: bool) -> Message:
    """The request in the bytes.

    Args:
        raw: as they came.
        parse: of the request's type.
        strict: also refuse fields that the contract does not have. A person's client that sets one
            means something by it; processes of the engine differ in version during an upgrade.

    Raises:
        MalformedBody: the bytes are no message of the type.
        UnknownField: see ``strict``.
        InvalidField: a rule of the contract is broken; with the first such field's path.
    """
    try:
        request = parse(raw)
    except (DecodeError, UnicodeDecodeError):
        raise MalformedBody("the bytes are not a message of this call") from None
    if strict:
        unknown = _unknown(request, "")
        if unknown:
            raise UnknownField(f"{unknown}: no such field", field=unknown)
    check(request)
    return request


def check(request: Message) -> None:
    """Check a request against the rules in its contract.

    Raises:
        InvalidField: with the first violated field's path and what was expected.
    """
    if grpc_rules.surely_kept(request):
        return
    violations = interpreter().collect_violations(request)
    if not violations:
        # protovalidate 2.1 lets values through that the enum of a repeated field does not have.
        undefined = _undefined(request, "")
        if undefined:
            expected = "a value of its enum"
            raise InvalidField(f"{undefined}: {expected}", field=undefined, expected=expected)
        return
    first = violations[0].proto
    elements = first.field.elements if first.field is not None else []
    path = ".".join(_shown(element) for element in elements) or "body"
    expected = first.message or first.rule_id
    raise InvalidField(f"{path}: {expected}", field=path, expected=expected)


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


def _unknown(message: Message, path: str) -> str:
    """Where the first field is that the contract does not have, by its number; empty: nowhere."""
    unknown = UnknownFieldSet(message)
    if len(unknown) > 0:
        number: int = unknown[0].field_number
        return f"{path}{number}"
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for place, inner in enumerate(value if descriptor.is_repeated else [value]):
            index = f"[{place}]" if descriptor.is_repeated else ""
            found = _unknown(inner, f"{path}{descriptor.json_name}{index}.")
            if found:
                return found
    return ""


def _undefined(message: Message, path: str) -> str:
    """Where the first enum value is that the contract does not have; empty: nowhere."""
    for descriptor, value in message.ListFields():
        for place, inner in enumerate(value if descriptor.is_repeated else [value]):
            here = f"{path}{descriptor.json_name}" + (
                f"[{place}]" if descriptor.is_repeated else ""
            )
            if descriptor.enum_type is not None:
                if inner not in descriptor.enum_type.values_by_number:
                    return here
            elif descriptor.message_type is not None:
                found = _undefined(inner, f"{here}.")
                if found:
                    return found
    return ""
