"""JSON bodies with one thing wrong: strategies that say what, where, and how it has to be named.

Objects are lists of pairs here, so that a key can occur twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

AMOUNT = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?")
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_NO_AMOUNTS = (
    "1e3", "NaN", "Infinity", "-1", "+1", "01", "1.", ".5", "0x1", " 1", "1 ", "1\n", "1,5", "1_0",
    "1.0000001", "9999999999", "\uff11", "\u0661", "1\u0000", "null", "true", "--1", "1..2",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A body with one thing wrong."""

    text: str
    reason: str
    field: str
    """As the answer has to name it."""


class Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A value within a body: its parent, where in it, and its path in words."""

    parent: Any
    at: int
    name: str

    @property
    def value(self) -> Any:
        return self.parent[self.at][1] if isinstance(self.parent, Pairs) else self.parent[self.at]

    def put(self, value: Any) -> None:
        if isinstance(self.parent, Pairs):
            self.parent[self.at] = (self.parent[self.at][0], value)
        else:
            self.parent[self.at] = value


def _pairs(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Pairs((name, _pairs(inner)) for name, inner in value.items())
    return [_pairs(inner) for inner in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(n)}:{_text(v)}" for n, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value)


def _places(parent: Any, path: str = "") -> Iterator[_Place]:
    for at, element in enumerate(parent):
        if isinstance(parent, Pairs):
            name, value = f"{path}{element[0]}", element[1]
        else:
            name, value = f"{path[:-1]}[{at}]", element
        yield _Place(parent, at, name)
        if isinstance(value, list):
            yield from _places(value, f"{name}.")


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_ANY: st.SearchStrategy[Any] = (
    _SCALARS | st.just([]) | st.just(Pairs()) | st.just([1]) | st.just(Pairs([("a", 1)]))
)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _other_type(value: Any, other: Any) -> bool:
    if _is_whole(value):
        return not _is_whole(other) and not (isinstance(other, str) and WHOLE.fullmatch(other))
    if isinstance(value, float):
        # Where a number may have a fraction, it may have none.
        return not isinstance(other, float) and not _is_whole(other)
    if isinstance(value, Pairs) or isinstance(other, Pairs):
        return isinstance(value, Pairs) != isinstance(other, Pairs)
    return type(value) is not type(other)


@st.composite
def unknown_fields(draw: st.DrawFn, example: Mapping[str, Any]) -> Wrong:
    """A field more, in any of the objects."""
    body = _pairs(example)
    homes = [(body, "")] + [
        (place.value, f"{place.name}.") for place in _places(body) if isinstance(place.value, Pairs)
    ]
    home, path = draw(st.sampled_from(homes))
    known = {name for name, _ in home}
    name = draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
    name = name if name not in known else f"{name}?"
    # A capital is no field's first letter, so this is one that no request has.
    name = f"X{name}" if name[:1].islower() else name
    home.insert(draw(st.integers(0, len(home))), (name, draw(_SCALARS)))
    return Wrong(text=_text(body), reason="UNKNOWN_FIELD", field=path + (name or '""'))


@st.composite
def wrong_types(draw: st.DrawFn, example: Mapping[str, Any]) -> Wrong:
    """A value of another JSON type, null included."""
    body = _pairs(example)
    place = draw(st.sampled_from(list(_places(body))))
    value = place.value
    place.put(draw(_ANY.filter(lambda other: _other_type(value, other))))
    return Wrong(text=_text(body), reason="INVALID_FIELD", field=place.name)


@st.composite
def doubled_keys(draw: st.DrawFn, example: Mapping[str, Any]) -> Wrong:
    """A key twice, with the same value or another."""
    body = _pairs(example)
    places = [place for place in _places(body) if isinstance(place.parent, Pairs)]
    place = draw(st.sampled_from(places))
    key, value = place.parent[place.at]
    place.parent.append((key, draw(st.just(value) | _SCALARS)))
    return Wrong(text=_text(body), reason="MALFORMED_BODY", field=place.name)


def _amounts(body: Any) -> list[_Place]:
    return [
        place
        for place in _places(body)
        if isinstance(place.value, str)
        and AMOUNT.fullmatch(place.value)
        # An asset is a number of 78 digits, not an amount.
        and len(place.value) < 20
    ]


def has_amounts(example: Mapping[str, Any]) -> bool:
    """Return whether a body has a text that is an amount."""
    return bool(_amounts(_pairs(example)))


@st.composite
def no_amounts(draw: st.DrawFn, example: Mapping[str, Any]) -> Wrong:
    """A text that is no amount in the place of one."""
    body = _pairs(example)
    place = draw(st.sampled_from(_amounts(body)))
    random = st.text(min_size=1, max_size=12).filter(lambda text: not AMOUNT.fullmatch(text))
    place.put(draw(st.sampled_from(_NO_AMOUNTS) | random))
    return Wrong(text=_text(body), reason="INVALID_FIELD", field=place.name)
