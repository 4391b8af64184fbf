"""Bots, their orders and fills as the contract has them."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from services.control import parsing
from services.control.auth.tokens import Caller
from services.control.messages import Fields, timestamp
from services.control.store import Row
from tradingtools.domain import strategies
from tradingtools.domain.bot_states import BotState
from tradingtools.v1 import bot_service_pb2 as pb

_ALPHABET = string.digits + string.ascii_lowercase
_ID_LENGTH = 12
_LONGEST_NUMBER = 18
DEFAULT_TENANT = "default"
_CONFIGS = pb.BotConfig.DESCRIPTOR.fields_by_name
Units = Mapping[str, Any]
"""An instrument as an order of it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBot:
    """The bot that a create asks for."""

    id: str
    tenant: str
    name: str
    wallet_id: str
    strategy: str
    config: Mapping[str, Any]
    """All settings, defaults included, as an engine reads them."""
    instruments: tuple[str, ...]
    limits: Mapping[str, str]
    request_key: bytes | None
    request_hash: bytes | None


def new_bot(request: pb.CreateBotRequest, caller: Caller, key: str | None) -> NewBot:
    """Return the bot that a client asks for.

    Args:
        request: of the client.
        caller: whose token it came with.
        key: the Idempotency-Key; None: there is none.

    Raises:
        InvalidField: a setting is out of its range, or trades what is not among the instruments;
            an instrument is named twice.
    """
    if len(set(request.instruments)) < len(request.instruments):
        raise parsing.refuse("instruments", "each of them once")
    strategy = str(request.config.WhichOneof("strategy"))
    body = request.SerializeToString(deterministic=True)
    return NewBot(
        id="".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH)),
        tenant=request.tenant or DEFAULT_TENANT,
        name=request.name,
        wallet_id=request.wallet_id,
        strategy=strategy,
        config=_config(request.config, request.instruments),
        instruments=tuple(request.instruments),
        limits=limits(request.limits),
        request_key=None if key is None else _digest(f"{caller.namespace}:{key}".encode()),
        request_hash=None if key is None else _digest(body),
    )


def limits(message: pb.BotLimits) -> Mapping[str, str]:
    """Return limits as they are kept."""
    return {field.name: str(value) for field, value in message.ListFields()}


def changed(
    request: pb.UpdateBotRequest, row: Row
) -> tuple[Mapping[str, Any], Mapping[str, str], str]:
    """Return the settings and limits of a bot after a change, and what has changed, for people.

    Raises:
        InvalidField: a setting is out of its range, of another strategy, or cannot change any more.
    """
    config, kept = row["config"], row["limits"]
    if request.HasField("config"):
        strategy = str(request.config.WhichOneof("strategy"))
        if strategy != row["strategy"]:
            expected = f"settings of {row['strategy']}: a bot keeps its strategy"
            raise parsing.refuse("config", expected)
        config = _config(request.config, row["instruments"])
    if request.HasField("limits"):
        kept = limits(request.limits)
    moved = _moved("config", row["config"], config)
    if row["state"] != BotState.IDLE:
        _refuse_fixed(row["strategy"], row["config"], config)
    return config, kept, "; ".join([*moved, *_moved("limits", row["limits"], kept)])


def _moved(where: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = sorted({*before, *after})
    return [
        f"{where}.{one}: {_written(before.get(one))} -> {_written(after.get(one))}"
        for one in names
        if before.get(one) != after.get(one)
    ]


def _written(value: Any) -> str:
    return "none" if value is None else str(value)


def _refuse_fixed(strategy: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    names = getattr(pb.BotConfig(), strategy).DESCRIPTOR.fields_by_name
    for name in strategies.fixed(strategy):
        if before.get(name) != after.get(name):
            raise parsing.refuse(
                f"config.{_CONFIGS[strategy].json_name}.{names[name].json_name}",
                f"{_written(before.get(name))}, as it began: what it holds depends on it;"
                " for another value make another bot",
            )


def _config(config: pb.BotConfig, instruments: Sequence[str]) -> Mapping[str, Any]:
    strategy = str(config.WhichOneof("strategy"))
    message = getattr(config, strategy)
    values = {field.name: value for field, value in message.ListFields()}
    names = message.DESCRIPTOR.fields_by_name
    where = f"config.{_CONFIGS[strategy].json_name}"
    try:
        found = strategies.config(strategy, values, texts=True)
    except strategies.ConfigError as error:
        raise parsing.refuse(f"{where}.{names[error.field].json_name}", error.expected) from None
    for field, instrument in found.traded().items():
        if instrument not in instruments:
            raise parsing.refuse(f"{where}.{names[field].json_name}", 'one of "instruments"')
    return asdict(found)


def bot(row: Row) -> Fields:
    """Return a bot's fields."""
    units: Mapping[str, Units] = row["units"] or {}
    found: Fields = {
        name: row[name]
        for name in ("id", "tenant", "name", "wallet_id", "strategy", "instruments", "reason",
                     "engine", "version")
    }  # fmt: skip
    found |= {
        "config": _stored_config(row["strategy"], row["config"]),
        "limits": _typed(pb.BotLimits, row["limits"]),
        "desired": f"BOT_STATE_{row['desired']}",
        "state": f"BOT_STATE_{row['state']}",
        "slots": [
            {"slot": slot, "explanation": message}
            for slot, message in sorted((row["explanation"] or {}).items())
        ],
        "holdings": [
            _holding(instrument, held, units[instrument])
            for instrument, held in sorted((row["holdings"] or {}).items())
            if instrument in units
        ],
        "created_at": timestamp(row["created_at"]),
        "changed_at": timestamp(row["changed_at"]),
    }
    if row["applied_version"]:
        found["applied_version"] = row["applied_version"]
    if row["written_at"] is not None:
        found["written_at"] = timestamp(row["written_at"])
    if row["equity"] is not None:
        digits = next((int(one["money_digits"]) for one in units.values()), 0)
        found["equity"] = {
            name: _text(row["equity"][name], digits) for name in ("result", "peak", "day_start")
        }
    return found


def size_units(field: str, text: str, units: Row) -> int:
    """Return a size in an instrument's units. Raises InvalidField: it has too many digits."""
    exact = Decimal(text).scaleb(int(units["size_digits"]))
    if exact != exact.to_integral_value():
        raise parsing.refuse(field, f"at most {units['size_digits']} decimal digits")
    return int(exact)


def order(row: Row) -> Fields:
    """Return an order's fields."""
    units = row["instrument"]
    found: Fields = {
        name: row[name]
        for name in ("id", "slot", "instrument_id", "state", "venue_order_id", "settled")
    }
    return found | {
        "side": f"SIDE_{row['side']}",
        "price": _text(row["price"], units["price_digits"]),
        "size": _text(row["size"], units["size_digits"]),
        "filled": _text(row["filled"], units["size_digits"]),
        "pending": "" if row["pending"] == "NONE" else row["pending"],
        "created_at": timestamp(row["created_at"]),
        "changed_at": timestamp(row["changed_at"]),
    }


def fill(row: Row) -> Fields:
    """Return a fill's fields."""
    units = row["instrument"]
    found: Fields = {
        name: row[name]
        for name in ("trade_id", "order_id", "instrument_id", "fee_currency", "maker", "undone")
    }
    found |= {
        "side": f"SIDE_{row['side']}",
        "price": _text(row["price"], units["price_digits"]),
        "size": _text(row["size"], units["size_digits"]),
        "fee": _text(row["fee"], units["money_digits"]),
        "traded_at": timestamp(row["traded_at"]),
    }
    if row["mid_price"] is not None:
        found["mid_price"] = _text(row["mid_price"], units["price_digits"])
    return found


def fill_number(text: str) -> int:
    """Return the number of a fill in a page's token. Raises InvalidField."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise parsing.refuse("pageToken", "a token from the page before of the same list")
    return int(text)


def _holding(instrument: str, held: Mapping[str, int], units: Units) -> Fields:
    money = {
        name: _text(held[name], units["money_digits"])
        for name in ("cost", "realised", "fees", "funding", "volume")
    }
    size = _text(held["size"], units["size_digits"])
    return {"instrument_id": instrument, "size": size, **money}


def _stored_config(strategy: str, values: Mapping[str, Any]) -> Fields:
    """Return the settings; nothing for a strategy that the contract does not have."""
    if strategy not in _CONFIGS:
        return {}
    return {strategy: _typed(getattr(pb.BotConfig(), strategy).__class__, values)}


def _typed(message: Any, values: Mapping[str, Any]) -> Fields:
    """Return values as a message has them: decimals as texts, whole numbers as such."""
    found: Fields = {}
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None or value is None:
            continue
        if field.type == FieldDescriptor.TYPE_STRING:
            found[name] = _plain(value)
        else:
            found[name] = value if isinstance(value, bool) else int(value)
    return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _decimal(Decimal(str(value)))


def _text(units: int, digits: int) -> str:
    return _decimal(Decimal(units).scaleb(-digits))


def _decimal(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
