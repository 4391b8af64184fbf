"""The groups of a subscription's settings between their messages and what is stored.

Sizing, limits, filters and exits each become a `Group`; a row becomes their fields again. Before it
come requests that the contracts' patterns have checked; after it the rules that compare fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from google.protobuf.message import Message

from services.control import parsing
from services.control.messages import Fields
from services.control.store import Row
from services.control.subscriptions import rules
from services.control.subscriptions.rules import Group
from tradingtools.domain import ids
from tradingtools.domain.copy_settings import StartMode, Tier
from tradingtools.domain.money import to_text
from tradingtools.domain.subscription import SizingMode
from tradingtools.v1 import control_service_pb2 as control

_COLUMNS = {name: f"{name}_micros" for name in ("max_per_trade", "max_per_market", "max_slippage")}
_AMOUNTS = ("max_per_leader", "max_total", "max_per_day")
_FRACTIONS = {"max_spread": "max_spread", "min_depth_fraction": "min_depth"}
_COUNTS = {"max_open_positions": "max_positions", "max_buys_per_outcome": "max_buys_per_outcome"}
_LISTS = ("markets_allowed", "markets_denied", "categories_allowed", "categories_denied")
_PRICES = ("min_price", "max_price")
_LEADER_FRACTIONS = ("min_win_rate", "max_drawdown", "min_copyability")


def _json_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _text(message: Message, name: str) -> str | None:
    return str(getattr(message, name)) if message.HasField(name) else None


def _group(
    names: Iterable[str], values: dict[str, object], columns: dict[str, object] | None = None
) -> Group:
    given = {name: value for name, value in values.items() if value is not None}
    return Group(columns=columns or {}, names=frozenset(names), settings=given)


def _enum(message: Message, name: str, prefix: str) -> str | None:
    kind = message.DESCRIPTOR.fields_by_name[name].enum_type
    if kind is None or not message.HasField(name):
        return None
    return str(kind.values_by_number[getattr(message, name)].name).removeprefix(prefix)


def sizing_group(message: control.Sizing) -> Group:
    """Sizing as given; raises InvalidField."""
    mode, micros = SizingMode.FIXED, 0
    tiers: list[dict[str, int]] | None = None
    match message.WhichOneof("mode"):
        case "fixed":
            micros = rules.fixed_amount(message.fixed.amount, "sizing.fixed.amount")
        case "ratio":
            mode = SizingMode.RATIO
            micros = rules.factor(message.ratio.ratio, "sizing.ratio.ratio")
        case "proportional":
            mode = SizingMode.PROPORTIONAL
        case "tiers":
            mode = SizingMode.TIERS
            tiers = _tiers(message.tiers)
        case _:
            raise parsing.refuse("sizing", "exactly one form")
    multiplier = _text(message, "multiplier")
    return _group(
        ("tiers", "multiplier_micros", "below_minimum"),
        {
            "tiers": tiers,
            "multiplier_micros": multiplier and rules.factor(multiplier, "sizing.multiplier"),
            "below_minimum": _enum(message, "below_minimum", "BELOW_MINIMUM_"),
        },
        {"sizing_mode": mode.value, "sizing_micros": micros},
    )


def _tiers(message: control.TieredSizing) -> list[dict[str, int]]:
    read: list[dict[str, int]] = []
    for number, tier in enumerate(message.tiers):
        path = f"sizing.tiers.tiers[{number}]"
        values = {"from_micros": parsing.amount(tier.from_notional, f"{path}.fromNotional")}
        if tier.WhichOneof("mode") == "fixed":
            values["fixed_micros"] = rules.fixed_amount(tier.fixed.amount, f"{path}.fixed.amount")
        else:
            values["ratio_micros"] = rules.factor(tier.ratio.ratio, f"{path}.ratio.ratio")
        read.append(values)
    rules.ascending(tuple(Tier(**values) for values in read))
    return read


def limits_group(message: control.Limits) -> Group:
    """Limits as given, absent ones absent; raises InvalidField."""

    def given(name: str) -> int | None:
        return parsing.optional_amount(_text(message, name), f"limits.{_json_name(name)}")

    values: dict[str, object] = {f"{name}_micros": given(name) for name in _AMOUNTS}
    for name, ours in _FRACTIONS.items():
        values[f"{ours}_micros"] = rules.fraction(
            _text(message, name), f"limits.{_json_name(name)}"
        )
    for name, ours in _COUNTS.items():
        values[ours] = getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]
    columns: dict[str, object] = {
        f"{name}_micros": given(name)
        for name in ("max_per_trade", "max_per_market", "max_slippage")
    }
    values["on_doubtful_book"] = _enum(message, "on_doubtful_book", "DOUBTFUL_BOOK_")
    wait = message.HasField("doubtful_book_wait_ms")
    values["doubtful_book_wait_ms"] = message.doubtful_book_wait_ms if wait else None
    columns["max_age_ms"] = message.max_age_ms if message.HasField("max_age_ms") else None
    return _group(values, values, columns)


def filters_group(message: control.Filters) -> Group:
    """Filters as given; raises InvalidField."""
    values: dict[str, object] = {
        "sides": _enum(message, "sides", "COPY_SIDES_"),
        "opposite_side": _enum(message, "opposite_side", "OPPOSITE_SIDE_"),
        "min_leader_micros": parsing.optional_amount(
            _text(message, "min_leader_notional"), "filters.minLeaderNotional"
        ),
        "min_seconds_to_end": (
            message.min_seconds_to_end if message.HasField("min_seconds_to_end") else None
        ),
    }
    for name in _PRICES:
        path = f"filters.{_json_name(name)}"
        values[f"{name}_micros"] = rules.fraction(_text(message, name), path)
    for name in _LISTS:
        texts = list(getattr(message, name))
        if name.startswith("markets"):
            path = f"filters.{_json_name(name)}"
            texts = [
                parsing.canonical(ids.hash32, text, f"{path}[{number}]")
                for number, text in enumerate(texts)
            ]
        values[name] = texts or None
    values["leader"] = _leader(message.leader) if message.HasField("leader") else None
    return _group(values, values)


def _leader(message: control.LeaderFilter) -> dict[str, object]:
    values: dict[str, object] = {
        f"{name}_micros": rules.fraction(_text(message, name), f"filters.leader.{_json_name(name)}")
        for name in _LEADER_FRACTIONS
    }
    values["min_profit_factor_micros"] = parsing.optional_amount(
        _text(message, "min_profit_factor"), "filters.leader.minProfitFactor"
    )
    trades = message.HasField("min_trades_30d")
    values["min_trades_30d"] = message.min_trades_30d if trades else None
    if all(bound is None for bound in values.values()):
        raise parsing.refuse("filters.leader", "at least one bound")
    values["on_missing"] = _enum(message, "on_missing", "ON_MISSING_")
    age = message.HasField("max_age_seconds")
    values["max_age_seconds"] = message.max_age_seconds if age else None
    return {name: value for name, value in values.items() if value is not None}


def _leader_shown(stored: Mapping[str, Any]) -> Fields:
    shown: Fields = {}
    for name, value in stored.items():
        if name.endswith("_micros"):
            shown[name.removesuffix("_micros")] = to_text(value)
        else:
            shown[name] = f"ON_MISSING_{value}" if name == "on_missing" else value
    return shown


def exits_group(message: control.Exits) -> Group:
    """Exits as given; raises InvalidField."""
    slippage = rules.fraction(_text(message, "max_slippage"), "exits.maxSlippage")
    values: dict[str, object] = {
        "exit_mode": _enum(message, "mode", "EXIT_MODE_"),
        "exit_below_minimum": _enum(message, "below_minimum", "EXIT_BELOW_MINIMUM_"),
        "exit_max_slippage_micros": slippage,
    }
    return _group(values, values)


def start_mode(request: control.CreateSubscriptionRequest) -> StartMode:
    """Return which of the leader's positions are followed."""
    return StartMode(_enum(request, "start", "START_MODE_") or StartMode.BASELINE)


_SHOWN: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "multiplier_micros": ("sizing", "multiplier", to_text),
    "below_minimum": ("sizing", "below_minimum", "BELOW_MINIMUM_{}".format),
    **{f"{name}_micros": ("limits", name, to_text) for name in _AMOUNTS},
    **{f"{ours}_micros": ("limits", name, to_text) for name, ours in _FRACTIONS.items()},
    **{ours: ("limits", name, int) for name, ours in _COUNTS.items()},
    "on_doubtful_book": ("limits", "on_doubtful_book", "DOUBTFUL_BOOK_{}".format),
    "doubtful_book_wait_ms": ("limits", "doubtful_book_wait_ms", int),
    **{f"{name}_micros": ("filters", name, to_text) for name in _PRICES},
    **{name: ("filters", name, list) for name in _LISTS},
    "min_leader_micros": ("filters", "min_leader_notional", to_text),
    "min_seconds_to_end": ("filters", "min_seconds_to_end", int),
    "leader": ("filters", "leader", _leader_shown),
    "sides": ("filters", "sides", "COPY_SIDES_{}".format),
    "opposite_side": ("filters", "opposite_side", "OPPOSITE_SIDE_{}".format),
    "exit_mode": ("exits", "mode", "EXIT_MODE_{}".format),
    "exit_below_minimum": ("exits", "below_minimum", "EXIT_BELOW_MINIMUM_{}".format),
    "exit_max_slippage_micros": ("exits", "max_slippage", to_text),
}
"""Of what is stored the group and the field, and how its value is written."""


def to_fields(row: Row) -> Fields:
    """A row's settings as fields of a subscription; what is absent is left out."""
    stored = row["settings"]
    groups: Fields = {"sizing": _sizing(row), "limits": _limits(row)}
    # Only what differs from the defaults is stored.
    for name, value in stored.items():
        if name in _SHOWN:
            group, field, show = _SHOWN[name]
            groups.setdefault(group, {})[field] = show(value)
    if stored.get("shadow"):
        groups["shadow"] = True
    if stored.get("start", StartMode.BASELINE) != StartMode.BASELINE:
        groups["start"] = f"START_MODE_{stored['start']}"
    return groups


def _limits(row: Row) -> Fields:
    limits: Fields = {}
    for name, column in _COLUMNS.items():
        if row[column] is not None:
            limits[name] = to_text(row[column])
    if row["max_age_ms"] is not None:
        limits["max_age_ms"] = row["max_age_ms"]
    return limits


def _sizing(row: Row) -> Fields:
    text = to_text(row["sizing_micros"])
    match SizingMode(row["sizing_mode"]):
        case SizingMode.FIXED:
            return {"fixed": {"amount": text}}
        case SizingMode.RATIO:
            return {"ratio": {"ratio": text}}
        case SizingMode.PROPORTIONAL:
            return {"proportional": {}}
        case SizingMode.TIERS:
            tiers = row["settings"].get("tiers", ())
            return {"tiers": {"tiers": [_tier(Tier(**tier)) for tier in tiers]}}
        case mode:
            assert_never(mode)


def _tier(tier: Tier) -> Fields:
    shown: Fields = {"from_notional": to_text(tier.from_micros)}
    if tier.fixed_micros is not None:
        shown["fixed"] = {"amount": to_text(tier.fixed_micros)}
    else:
        shown["ratio"] = {"ratio": to_text(tier.ratio_micros or 0)}
    return shown
