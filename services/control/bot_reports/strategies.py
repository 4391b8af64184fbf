"""The strategies and their settings: bounds and words of the contract, defaults of the domain.

Nothing is written down here twice: what REST takes is in the OpenAPI document, which is generated
from the protos, and what is left out has the default of its dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2
from services.control.messages import Fields
from tradingtools.domain import strategies
from tradingtools.domain.errors import NotFound
from tradingtools.v1 import bot_service_pb2 as pb

_UNITS: Mapping[str, str] = {
    "order_size": "size units",
    "max_position": "size units",
    "position": "size units",
    "lower": "price units",
    "upper": "price units",
    "min_half_spread": "price units",
    "max_half_spread": "price units",
    "opening_slippage": "price units",
    "amount": "money units",
    "budget": "money units",
    "max_slippage": "millionths",
    "take_profit": "millionths",
    "min_confidence": "millionths",
    "requote_ticks": "ticks",
    "toxic_imbalance": "part of 1",
    "max_sets": "size units",
    "min_edge": "price units",
    "exit_edge": "price units",
    "strike": "price units",
    "max_loss": "money units",
    "rebalance_band": "millionths",
}
_SUFFIXES: Mapping[str, str] = {
    "_fee": "millionths",
    "_rate": "millionths a year",
    "_h": "hours",
    "_ms": "milliseconds",
    "_s": "seconds",
    "_millionths": "millionths",
    "_bps": "basis points",
}
_TYPES: Mapping[int, str] = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "boolean",
    FieldDescriptor.TYPE_INT32: "integer",
    FieldDescriptor.TYPE_INT64: "integer",
}
_DECIMAL = "[0-9]{1,6})?$"
"""The end of the pattern of each decimal text."""


def strategy(name: str, components: Mapping[str, Any]) -> Fields:
    """Return a strategy's fields.

    Args:
        name: as bots have it.
        components: schemas of the OpenAPI document.

    Raises:
        NotFound: there is none of this name.
    """
    field = pb.BotConfig.DESCRIPTOR.fields_by_name.get(name)
    if field is None or field.message_type is None or name not in strategies.CONFIGS:
        raise NotFound(f"no strategy {name}", kind="strategy", id=name)
    schema = components[field.message_type.name]
    defaults = {one.name: one.default for one in fields(strategies.CONFIGS[name])}
    fixed = strategies.fixed(name)
    return {
        "name": name,
        "config_key": field.json_name,
        "description": schema.get("description", ""),
        "settings": [
            _setting(
                one,
                schema["properties"][one.json_name].get("description", ""),
                defaults.get(one.name, MISSING),
                changeable=one.name not in fixed,
            )
            for one in field.message_type.fields
        ],
    }


def names() -> list[str]:
    """Return the names of the strategies that a bot can have."""
    known = pb.BotConfig.DESCRIPTOR.fields_by_name
    return sorted(name for name in strategies.CONFIGS if name in known)


def _setting(one: FieldDescriptor, description: str, default: Any, *, changeable: bool) -> Fields:
    rules = one.GetOptions().Extensions[validate_pb2.field]
    pattern = rules.string.pattern
    kind = _TYPES.get(one.type, "object")
    found: Fields = {
        "name": one.json_name,
        "type": "decimal" if pattern.endswith(_DECIMAL) else kind,
        "unit": unit(one.name),
        "required": default is MISSING,
        "description": description,
        "changeable": changeable,
        "pattern": pattern,
    }
    if default is not MISSING and default not in (None, ""):
        found["default"] = str(default).lower() if isinstance(default, bool) else _plain(default)
    bounds = getattr(rules, str(rules.WhichOneof("type") or "int64"))
    for bound, rule in (("minimum", "gte"), ("maximum", "lte")) if kind == "integer" else ():
        if bounds.HasField(rule):
            found[bound] = str(getattr(bounds, rule))
    return found


def unit(name: str) -> str:
    """Return the unit of a setting; empty: a plain number or text."""
    if name in _UNITS:
        return _UNITS[name]
    return next((message for end, message in _SUFFIXES.items() if name.endswith(end)), "")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
