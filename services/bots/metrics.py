"""Metrics of an engine of bots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.bots.core import assignment
from services.bots.core.assignment import Fleet
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.domain.exchanges import BY_NAME
from tradingtools.domain.portfolio_risk import RiskScope
from tradingtools.runtime.instruments import Histogram, counter, each
from tradingtools.venues.ports import Meaning

_SCOPE = "tradingtools.bots"
_counter = partial(counter, _SCOPE)

_TAKEN = _counter(
    "bots.wallets.taken",
    "Wallets that came to this engine: handed over (clean), or after a death",
    each(clean=(True, False)),
)
_HANDED_OVER = _counter(
    "bots.wallets.handed_over",
    "Wallets that this engine gave away; found: another one had room",
    each(found=(True, False)),
)
_ENDED = _counter(
    "bots.wallets.ended", "Runs of a wallet that ended, by why", each(why=("lost", "failed"))
)
_MOVING = Histogram(
    "bots_hand_over_seconds", "From the wish to hand a wallet over to its lease being another's"
)
_TAKE_OVER = Histogram(
    "bots_take_over_seconds",
    "From the end of a lease that nobody gave away to the account being known to another engine",
)
_NAMES = tuple(BY_NAME)
_KINDS = (PendingRequest.PLACE, PendingRequest.AMEND, PendingRequest.CANCEL)
_SENT = _counter(
    "bots.requests",
    "Requests about orders, by exchange, kind and what the answer means",
    each(exchange=_NAMES, kind=map(str, _KINDS), meaning=(one.name for one in Meaning)),
)
_ANSWER = Histogram(
    "bots_request_seconds",
    "From a request about an order to its answer, with the wait for limits and the signature",
    label="exchange", values=_NAMES,
)  # fmt: skip
DOUBTS = _counter(
    "bots.books.doubts",
    "Books of bots that could be trusted and then could not: gaps, silence, a lost connection",
    each(exchange=_NAMES),
)
PERMIT = Histogram(
    "bots_permit_seconds", "From a permit being asked for to its commit", label="written",
    values=("true", "false"),
)  # fmt: skip
SHARES = _counter(
    "bots.shares.asked",
    "Shares of limits of many bots that were asked for with a permit, by whether they were given",
    each(given=(True, False)),
)
LIMITS = _counter(
    "bots.limits.reached",
    "Limits of many bots that were newly reached, by scope",
    each(scope=tuple(RiskScope)),
)
LAG = Histogram("bots_loop_lag_seconds", "How late the event loop wakes what sleeps")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSnapshot:
    """A wallet as its engine sees it just now."""

    known: bool
    """Its account is: until then nothing is placed."""
    unquoted_ms: int
    """The longest that a running bot wants orders to stand and none does."""
    doubted: int
    """Books of running bots that may not be trusted."""
    free: float
    """The part that is free of the fullest limit of order requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gauge:
    name: str
    description: str
    of: Callable[[Sequence[WalletSnapshot]], float]


_GAUGES = (
    _Gauge(
        name="bots.accounts_unknown",
        description="Wallets of which nothing is placed, since their account is not known",
        of=lambda looks: sum(not one.known for one in looks),
    ),
    _Gauge(
        name="bots.unquoted_seconds",
        description="The longest that a running bot wants orders to stand and none does",
        of=lambda looks: max((one.unquoted_ms for one in looks), default=0) / 1000,
    ),
    _Gauge(
        name="bots.books_doubted",
        description="Books of running bots that may not be trusted",
        of=lambda looks: sum(one.doubted for one in looks),
    ),
    _Gauge(
        name="bots.requests_free_ratio",
        description="The part that is free of the fullest limit of order requests of a wallet",
        of=lambda looks: min((one.free for one in looks), default=1.0),
    ),
)
_levels = {"wallets": 0, "running": 0, "waiting": 0, "engines": 0}
_looks: dict[str, dict[str, float]] = {}


def reported(fleet: Fleet, engine: str, *, bots: int) -> None:
    """Take how the engines stand.

    Args:
        fleet: all of them.
        engine: this one.
        bots: that run here.
    """
    _levels["wallets"] = len(fleet.of(engine))
    _levels["running"] = bots
    _levels["waiting"] = len(assignment.homeless(fleet))
    _levels["engines"] = len(fleet.engines)


def looked(looks: Mapping[str, Sequence[WalletSnapshot]]) -> None:
    """Take how the wallets of this engine stand, by exchange."""
    for name in _NAMES:
        _looks[name] = {one.name: one.of(looks.get(name, ())) for one in _GAUGES}


def sent(exchange: str, kind: PendingRequest, meaning: Meaning, nanoseconds: int) -> None:
    """Count a request about an order that was answered, or will not be."""
    _SENT.add(1, {"exchange": exchange, "kind": str(kind), "meaning": meaning.name})
    _ANSWER.observe_ns(nanoseconds, exchange)


def taken_over(nanoseconds: int) -> None:
    """Note how long a wallet was without an engine that knows its account."""
    _TAKE_OVER.observe_ns(nanoseconds)


def taken(*, clean: bool) -> None:
    """Count a wallet that is ours now."""
    _TAKEN.add(1, {"clean": clean})


def handed_over(nanoseconds: int, *, found: bool) -> None:
    """Count a wallet that was given away."""
    _HANDED_OVER.add(1, {"found": found})
    _MOVING.observe_ns(nanoseconds)


def lost() -> None:
    """Count a wallet that another engine has taken."""
    _ENDED.add(1, {"why": "lost"})


def failed() -> None:
    """Count a wallet whose run ended by a defect."""
    _ENDED.add(1, {"why": "failed"})


def _observed(name: str, _: CallbackOptions) -> list[Observation]:
    return [Observation(_levels[name])]


def _seen(gauge: str, _: CallbackOptions) -> list[Observation]:
    return [Observation(values[gauge], {"exchange": name}) for name, values in _looks.items()]


for _name, _description in (
    ("wallets", "Wallets that this engine has"),
    ("running", "Bots that it runs"),
    ("waiting", "Wallets of all that no engine has room for, or can the exchange of"),
    ("engines", "Engines that live"),
):
    metrics.get_meter(_SCOPE).create_observable_gauge(
        f"bots.{_name}", [partial(_observed, _name)], description=_description
    )

for _gauge in _GAUGES:
    metrics.get_meter(_SCOPE).create_observable_gauge(
        _gauge.name, [partial(_seen, _gauge.name)], description=_gauge.description
    )
looked({})
