"""Strict reading of JSON bodies and query strings against a request's shape.

The edge's transcoder drops unknown fields, takes numbers for strings, null for zero, and the last
of two equal keys. In a system that moves money each of these is a 400 that names the field, found
here before the transcoder sees the request. Patterns and ranges come after it, by the rules in the
contracts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from tradingtools.domain import texts
from tradingtools.domain.errors import InvalidField, MalformedBody, UnknownField

_MAX_DEPTH = 16
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_INSTANT = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}"
    r"(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_SECRET = re.compile("[0-9A-Fa-f]{41,}")
"""May be a token, whole or not: an address has 40 digits."""


class Kind(StrEnum):
    """The type of a field."""

    STRING = "string"
    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    NUMBER = "number"
    """For a foreign shape only: amounts of ours are decimal strings."""
    ENUM = "enum"
    TIMESTAMP = "timestamp"
    MESSAGE = "message"


_QUOTED = "a string in quotes"
_EXPECTED = {
    Kind.BOOL: "true or false",
    Kind.INT32: "a whole number",
    Kind.INT64: "a whole number",
    Kind.NUMBER: "a number",
    Kind.ENUM: "the name of a value",
    Kind.TIMESTAMP: "an instant such as 2026-01-31T12:00:00Z",
    Kind.MESSAGE: "an object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its kind, and for enums the names, for messages the shape.

    Many: a list of such values, also when it is empty.
    """

    kind: Kind
    names: frozenset[str] = frozenset()
    shape: Shape | None = None
    choice: str = ""
    """The group of which only one may be given; empty: none."""
    many: bool = False
    most: int | None = None
    """Values that the list may have; None: the contract says nothing."""
    expected: str = ""
    """Its contract's rules in words; empty: whatever its kind takes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a message by their JSON names."""

    fields: Mapping[str, Field]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys as written, so that doubled ones can be seen."""


def _refuse_constant(text: str) -> NoReturn:
    raise MalformedBody(f"the body holds {text}, which is not JSON")


def parse_object(raw: bytes) -> Any:
    """Parse a body that has to be one JSON object; objects come back as pairs.

    Raises:
        MalformedBody: it is empty, not UTF-8, not JSON, or not an object.
    """
    if not raw.strip():
        raise MalformedBody("the body is empty; expected a JSON object")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_Pairs,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError, ArithmeticError):
        raise MalformedBody("the body is not JSON") from None
    if not isinstance(value, _Pairs):
        raise MalformedBody("the body is not a JSON object")
    return value


def check_body(shape: Shape, raw: bytes, *, bound: frozenset[str] = frozenset()) -> None:
    """Check a body against the request's shape.

    Args:
        shape: of the request.
        raw: the body as it came.
        bound: fields that the path gives; the body may not give them again.

    Raises:
        MalformedBody: not a JSON object, or a key twice.
        UnknownField: a field that the request does not have.
        InvalidField: a value of another type than the field's, or too many of them.
    """
    _check_object(shape, parse_object(raw), "", bound)


def _check_object(shape: Shape, pairs: _Pairs, path: str, bound: frozenset[str]) -> None:
    if path.count(".") > _MAX_DEPTH:
        raise MalformedBody("the body is nested too deeply")
    seen: set[str] = set()
    chosen: dict[str, str] = {}
    for name, value in pairs:
        where = f"{path}{shown(name)}"
        if name in seen:
            raise MalformedBody(f"{where}: given twice", field=where)
        seen.add(name)
        field = shape.fields.get(name)
        if field is None or name in bound:
            raise UnknownField(f"{where}: no such field", field=where)
        if field.choice and field.choice in chosen:
            expected = f"only one of {chosen[field.choice]} and {name}"
            raise InvalidField(f"{where}: expected {expected}", field=where, expected=expected)
        chosen[field.choice] = name
        _check_field(field, value, where)


def _check_field(field: Field, value: Any, where: str) -> None:
    if not field.many:
        _check_value(field, value, where)
        return
    # An object is a list of pairs here; it is no list of values.
    if not isinstance(value, list) or isinstance(value, _Pairs):
        raise InvalidField(f"{where}: expected a list", field=where, expected="a list")
    # Before any element is looked at: a short body holds tens of thousands.
    _refuse_too_many(field, len(value), where)
    for number, element in enumerate(value):
        _check_value(field, element, f"{where}[{number}]")


def _refuse_too_many(field: Field, count: int, where: str) -> None:
    if field.most is not None and count > field.most:
        expected = f"at most {field.most} elements"
        raise InvalidField(f"{where}: expected {expected}", field=where, expected=expected)


def shown(name: str) -> str:
    """Return what a client wrote, as an answer may repeat it: short, printable, no token, never
    empty."""
    name = _SECRET.sub("***", name)
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:64]) or '""'


def _check_value(field: Field, value: Any, where: str) -> None:
    if field.kind is Kind.MESSAGE and isinstance(value, _Pairs) and field.shape is not None:
        _check_object(field.shape, value, f"{where}.", frozenset())
        return
    if not _fits(field, value):
        expected = _expected(field, value)
        raise InvalidField(f"{where}: expected {expected}", field=where, expected=expected)


def _expected(field: Field, value: Any) -> str:
    if field.kind is not Kind.STRING:
        return field.expected or _EXPECTED[field.kind]
    if isinstance(value, str):
        return texts.EXPECTED
    # What it should be does not help who has left the quotes out.
    quoted = "string" in field.expected or not field.expected
    return (field.expected or _QUOTED) if quoted else f"{_QUOTED}: {field.expected}"


def _fits(field: Field, value: Any) -> bool:
    match field.kind:
        case Kind.STRING:
            return isinstance(value, str) and texts.is_plain(value)
        case Kind.BOOL:
            return isinstance(value, bool)
        case Kind.ENUM:
            return isinstance(value, str) and value in field.names
        case Kind.TIMESTAMP:
            return isinstance(value, str) and _INSTANT.fullmatch(value) is not None
        case Kind.INT32:
            return _is_int(value) and _in_range(value, 32)
        case Kind.INT64:
            # Answers carry these as strings, so a client may send them back as such.
            whole = int(value) if _is_whole_text(value) else value
            return _is_int(whole) and _in_range(whole, 64)
        case Kind.NUMBER:
            return _is_number(value)
        case Kind.MESSAGE:
            return False


def _is_whole_text(value: Any) -> bool:
    return isinstance(value, str) and _WHOLE.fullmatch(value) is not None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """A number whose double still has six exact decimals."""
    if _is_int(value):
        return abs(int(value)) < 10**9
    return isinstance(value, Decimal) and value.is_finite() and value.adjusted() < 9


def _in_range(value: int, bits: int) -> bool:
    half = 1 << (bits - 1)
    return -half <= value < half


def check_query(shape: Shape, query: str, *, bound: frozenset[str] = frozenset()) -> None:
    """Check a query string: known names, once each, values of the field's type.

    Raises:
        UnknownField: a name that the request does not have, or that the path gives.
        InvalidField: a value of another type, or a name twice or too often.
    """
    if not query:
        return
    seen: Counter[str] = Counter()
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        field = shape.fields.get(name)
        if field is None or field.kind is Kind.MESSAGE or name in bound:
            where = shown(name)
            raise UnknownField(f"{where}: no such parameter", field=where)
        if name in seen and not field.many:
            raise InvalidField(f"{name}: given twice", field=name, expected="one value")
        seen[name] += 1
        _refuse_too_many(field, seen[name], name)
        if not _fits(field, _from_query(field, text)):
            expected = _expected(field, text)
            raise InvalidField(f"{name}: expected {expected}", field=name, expected=expected)


def _from_query(field: Field, text: str) -> Any:
    if field.kind is Kind.BOOL:
        return {"true": True, "false": False}.get(text)
    if field.kind in (Kind.INT32, Kind.INT64):
        return int(text) if _WHOLE.fullmatch(text) else None
    return text
