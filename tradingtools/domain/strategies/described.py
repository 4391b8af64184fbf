"""The settings of each strategy, described for forms and documents by the code that obeys them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import Meta

from tradingtools.domain.strategies import CONFIGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting."""

    name: str
    doc: str
    kind: str
    """integer, number, boolean, choice or text."""
    unit: str
    """price, size or money in units of the instrument, instrument, seconds, count..."""
    required: bool
    default: str | None
    """As a text; None: there is none, or it is absent."""
    least: str | None
    most: str | None
    exclusive_least: bool
    """The value has to be above ``least``."""
    exclusive_most: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyDescription:
    """One strategy with its settings in their order."""

    name: str
    doc: str
    settings: tuple[Setting, ...]


@cache
def described(name: str) -> StrategyDescription:
    """Return the description of a strategy that exists."""
    kind = CONFIGS[name]
    docs, types = _docs(kind), get_type_hints(kind, include_extras=True)
    settings = tuple(_setting(one, types[one.name], docs.get(one.name, "")) for one in fields(kind))
    return StrategyDescription(name=name, doc=inspect.getdoc(kind) or "", settings=settings)


def _docs(kind: type[Any]) -> Mapping[str, str]:
    """Return the texts below the fields of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found


def _setting(field: Any, hint: Any, doc: str) -> Setting:
    hint, meta = _unwrapped(hint)
    choices = tuple(one.value for one in hint) if issubclass(hint, Enum) else ()
    default = None if field.default is MISSING else field.default
    least = meta.gt if meta.gt is not None else meta.ge
    most = meta.lt if meta.lt is not None else meta.le
    return Setting(
        name=field.name,
        doc=" ".join(doc.split()),
        kind="choice" if choices else _KINDS[hint],
        unit=str((meta.extra or {}).get("unit", "")),
        required=field.default is MISSING,
        default=_text(default),
        least=_text(least),
        most=_text(most),
        exclusive_least=meta.gt is not None,
        exclusive_most=meta.lt is not None,
        choices=choices,
    )


_KINDS = {int: "integer", float: "number", bool: "boolean", str: "text"}


def _unwrapped(hint: Any) -> tuple[Any, Meta]:
    """Return the plain type of a hint with its bounds."""
    if get_origin(hint) is Annotated:
        plain, *more = get_args(hint)
        return plain, next((one for one in more if isinstance(one, Meta)), Meta())
    present = [one for one in get_args(hint) if one is not type(None)]
    return _unwrapped(present[0]) if present else (hint, Meta())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
