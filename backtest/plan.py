"""The plan of a backtest: a bot as `POST /bots` takes it, a market, and what is assumed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf import json_format

from backtest import tape
from backtest.exchange import FeeRates
from backtest.made import MarketSettings, instrument, made
from backtest.run import Assumptions, Backtest, Outcome
from backtest.tape import TapeEvent
from services.bots.core.risk import LimitError, RiskLimits, limits_of
from services.bots.strategies.registry import strategy
from tradingtools.domain import strategies
from tradingtools.domain.instrument import Instrument
from tradingtools.v1 import bot_service_pb2 as pb

_POINTS = 400
"""Of the curve, at most."""
_FEES = {
    "okx": FeeRates(maker=200, taker=500),
    "polymarket": FeeRates(maker=0, taker=10_000),
}
"""Of an account without a discount."""
_RETAINED_BYTES = 16_000_000
"""A recording up to this is read once for all runs of a sweep."""


class PlanError(ValueError):
    """A plan that cannot be tried; the text names the field."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One backtest, or a sweep of them."""

    bot: dict[str, Any]
    """``config``, ``instruments`` and ``limits`` as ``POST /bots`` takes them; with a ``strategy``,
    ``config`` has the settings of that one by their own names."""
    recording: str = ""
    """File of a recorded market; empty: a seeded one."""
    market: MarketSettings = MarketSettings()
    latency_ms: int = 20
    jitter_ms: int = 10
    maker_fee: int | None = None
    """Parts of a million of the notional; None: those of each venue without a discount."""
    taker_fee: int | None = None
    vary: dict[str, list[str]] = {}
    """Settings of the strategy, or ``seed``, with the values to try: every combination is."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One run that can be started: everything checked."""

    name: str
    config: Any
    instruments: tuple[Instrument, ...]
    limits: RiskLimits
    assumptions: Assumptions
    market: MarketSettings
    recording: str


def trial(plan: Plan, changes: Mapping[str, str] | None = None) -> Trial:
    """Return the run of a plan, with some settings changed.

    Raises:
        PlanError: a field is missing, unknown or out of its range.
    """
    changes = dict(changes or {})
    seed = changes.pop("seed", None)
    try:
        how = plan.market
        if seed is not None:
            how = msgspec.structs.replace(how, seed=msgspec.convert(seed, int, strict=False))
    except msgspec.ValidationError:
        raise PlanError(f"seed: {seed!r} is no whole number") from None
    if how.seconds < 1 or how.updates_per_second <= 0 or how.prints_per_second < 0:
        raise PlanError("market: seconds and updates_per_second have to be above zero")
    if min(plan.latency_ms, plan.jitter_ms) < 0:
        raise PlanError("latencyMs: at least 0")
    name, config = _config(plan.bot, changes)
    instruments = _instruments(plan, config)
    seconds = how.seconds if not plan.recording else _span_s(plan.recording)
    return Trial(
        name=name,
        config=config,
        instruments=instruments,
        limits=_limits(plan.bot, instruments[0]),
        assumptions=Assumptions(
            latency_ms=plan.latency_ms,
            jitter_ms=plan.jitter_ms,
            seed=how.seed,
            venue_fees={it.venue: _fees(plan, it.venue) for it in instruments},
            sample_ms=max(seconds * 1000 // _POINTS, 1000),
        ),
        market=how,
        recording=plan.recording,
    )


def _fees(plan: Plan, venue: str) -> FeeRates:
    usual = _FEES.get(venue, FeeRates())
    return FeeRates(
        maker=usual.maker if plan.maker_fee is None else plan.maker_fee,
        taker=usual.taker if plan.taker_fee is None else plan.taker_fee,
    )


def combinations(plan: Plan) -> list[dict[str, str]]:
    """Return the changes of each run of a sweep, the last setting fastest."""
    names = list(plan.vary)
    return [
        dict(zip(names, values, strict=True)) for values in itertools.product(*plan.vary.values())
    ]


def played(one: Trial) -> Outcome:
    """Run it. The same trial gives the same outcome, to the last unit."""
    test = Backtest(
        strategy(one.name),
        one.config,
        {it.id: it for it in one.instruments},
        limits=one.limits,
        assumptions=one.assumptions,
    )
    return test.run(events(one))


def events(one: Trial) -> Sequence[TapeEvent] | Any:
    """Return the market of a run."""
    if one.recording:
        path = Path(one.recording)
        if path.stat().st_size > _RETAINED_BYTES:
            return tape.recorded(path)
        return _recorded(one.recording, path.stat().st_mtime_ns)
    # Another setting of the same strategy sees the same market, unless it is priced by them.
    return _made(msgspec.json.encode(one.market), one.instruments, _Same(one.name, one.config))


class _Same:
    """Settings that count as the same where they do not make the market."""

    def __init__(self, name: str, config: Any) -> None:
        self.config = config
        self._key = repr(config) if name == "delta_hedge" else name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=4)
def _made(how: bytes, instruments: tuple[Instrument, ...], same: _Same) -> Sequence[TapeEvent]:
    settings = msgspec.json.decode(how, type=MarketSettings)
    return tuple(made(same.config, instruments, settings))


@lru_cache(maxsize=1)
def _recorded(path: str, _changed_ns: int) -> Sequence[TapeEvent]:
    return tuple(tape.recorded(Path(path)))


def _config(bot: Mapping[str, Any], changes: Mapping[str, str]) -> tuple[str, Any]:
    unknown = bot.keys() - {"config", "instruments", "limits", "name", "strategy"}
    if unknown:
        raise PlanError(f"{min(unknown)}: no field of a bot's file")
    if "strategy" in bot:
        return _by_field(str(bot["strategy"]), bot.get("config", {}), changes)
    try:
        message = json_format.ParseDict(bot.get("config", {}), pb.BotConfig())
    except json_format.ParseError as error:
        raise PlanError(f"config: {error}") from None
    name = message.WhichOneof("strategy")
    if name is None:
        raise PlanError("config: settings of one strategy")
    settings = getattr(message, str(name))
    values = {field.name: value for field, value in settings.ListFields()}
    fields = settings.DESCRIPTOR.fields
    by_json = {field.json_name: field.name for field in fields}
    where = pb.BotConfig.DESCRIPTOR.fields_by_name[str(name)].json_name
    for setting, text in changes.items():
        if setting not in by_json:
            raise PlanError(f"--vary {setting}: no such setting of {name}; it has "
                            f"{', '.join(sorted(by_json))}, and seed")  # fmt: skip
        values[by_json[setting]] = text
    try:
        return str(name), strategies.config(str(name), values, texts=True)
    except strategies.ConfigError as error:
        reported = {field.name: field.json_name for field in fields}.get(error.field, error.field)
        raise PlanError(f"config.{where}.{reported}: expected {error.expected}") from None


def _by_field(name: str, values: Mapping[str, Any], changes: Mapping[str, str]) -> tuple[str, Any]:
    """Read settings that REST does not know yet: a strategy that is being written."""
    try:
        return name, strategies.config(name, {**values, **changes}, texts=True)
    except strategies.ConfigError as error:
        raise PlanError(str(error)) from None


def _instruments(plan: Plan, config: Any) -> tuple[Instrument, ...]:
    ids = list(dict.fromkeys(config.traded().values()))
    named = plan.bot.get("instruments", ids)
    missing = next((one for one in ids if one not in named), None)
    if missing is not None:
        raise PlanError(f'instruments: {missing} is traded and not one of "instruments"')
    if not plan.recording:
        try:
            return tuple(instrument(one) for one in ids)
        except ValueError as error:
            raise PlanError(f"instruments: {error}") from None
    try:
        known = {one.id: one for one in tape.instruments(Path(plan.recording))}
    except OSError as error:
        raise PlanError(f"{plan.recording}: {error.strerror}") from None
    except ValueError as error:
        raise PlanError(str(error)) from None
    absent = next((one for one in ids if one not in known), None)
    if absent is not None:
        has = ", ".join(sorted(known)) or "none"
        raise PlanError(f"instruments: {absent} is not in the recording, which has {has}")
    return tuple(known[one] for one in ids)


def _limits(bot: Mapping[str, Any], first: Instrument) -> RiskLimits:
    try:
        message = json_format.ParseDict(bot.get("limits", {}), pb.BotLimits())
        return limits_of({f.name: str(value) for f, value in message.ListFields()}, first)
    except json_format.ParseError as error:
        raise PlanError(f"limits: {error}") from None
    except LimitError as error:
        raise PlanError(str(error)) from None


def _span_s(path: str) -> int:
    """Return about how many seconds a recording spans, by its first and last line."""
    first, last = tape.span_ms(Path(path))
    return max((last - first) // 1000, 1)
