"""Metrics of an engine of bots."""

from __future__ import annotations

from functools import partial

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from services.bots.core import assignment
from services.bots.core.assignment import Fleet
from tradingtools.domain.portfolio_risk import RiskScope
from tradingtools.runtime.instruments import Histogram, counter, each

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
SENT = _counter(
    "bots.requests",
    "Requests about orders that went to an exchange, by kind",
    each(kind=("PLACE", "AMEND", "CANCEL")),
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

_levels = {"wallets": 0, "running": 0, "waiting": 0, "engines": 0}


def told(fleet: Fleet, engine: str, *, bots: int) -> None:
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


for _name, _description in (
    ("wallets", "Wallets that this engine has"),
    ("running", "Bots that it runs"),
    ("waiting", "Wallets of all that no engine has room for, or can the exchange of"),
    ("engines", "Engines that live"),
):
    metrics.get_meter(_SCOPE).create_observable_gauge(
        f"bots.{_name}", [partial(_observed, _name)], description=_description
    )
