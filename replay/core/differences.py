"""Find where a plan differs from the recorded one, and say it in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import structs

from services.router.core.judgement import Decoder, Judgement, known_of, order_of
from services.router.core.records import Copy, Plan
from tradingtools.domain.leader_trade import TradeKey
from tradingtools.domain.money import to_text
from tradingtools.domain.order import Order
from tradingtools.domain.subscription import Subscription

NOTHING = "nothing"
_FIRST = ("copied", "reason", "size_micros", "limit_micros")
"""Fields that say the most, before the others in their order."""
_SAID = frozenset({"body", "follower"})
"""Fields that say nothing that others do not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first field of a judgement that is not what it was."""

    at_ms: int
    """When it was judged, since 1970."""
    record_key: str
    key: TradeKey
    title: str
    subscription_id: str
    follower: str
    """Wallet; empty: the subscription is in no recording."""
    field: str
    was: str
    now: str
    why_was: str
    why_now: str

    def words(self) -> str:
        """Return the difference as a person reads it."""
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        what = f"{self.key.side.lower()} of {self.key.leader}"
        market = f" in {self.title!r}" if self.title else f" of asset {self.key.asset_id}"
        return (
            f"At {at} the {what}{market}, transaction {self.key.leader_tx}, for follower"
            f" {self.follower or 'unknown'} ({self.subscription_id}): {self.field} was {self.was}"
            f" and is now {self.now}. Then: {self.why_was}. Now: {self.why_now}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The verdict of a plan on one follower."""

    copy: Copy | None
    orders: tuple[Order, ...]

    @property
    def why(self) -> str:
        """Return the verdict in words."""
        if self.copy is None:
            return "no decision"
        verdict = "copied" if self.copy.copied else "not copied"
        if not self.copy.reason:
            return verdict
        return f"{verdict}, {self.copy.reason}" + (
            f" ({self.copy.detail})" if self.copy.detail else ""
        )


def recorded_plan(judgement: Judgement, recorded: Decoder) -> Plan:
    """Return the plan as it was made."""
    left: dict[TradeKey, dict[str, Copy]] = {}
    for other in judgement.left:
        left.setdefault(other.key, {})[other.subscription_id] = recorded.copy(other.copy)
    return Plan(
        orders=tuple(map(order_of, judgement.orders)),
        copies={i: recorded.copy(fields) for i, fields in judgement.copies.items()},
        left=left,
    )


def first_difference(judgement: Judgement, recorded: Decoder, now: Plan) -> Difference | None:
    """Return the first field in which a plan is not the recorded one; None: they are equal."""
    was = recorded_plan(judgement, recorded)
    if was == now:
        return None
    known = known_of(judgement, recorded)
    followers = [recorded.follower(judged).id for judged in judgement.followers]
    for identifier in dict.fromkeys([*followers, *was.copies, *now.copies]):
        before = known.get(identifier)
        for found in _of_follower(
            _outcome(was, identifier, before), _outcome(now, identifier, before)
        ):
            return _explained(judgement, recorded, judgement.key, identifier, found)
    for key in dict.fromkeys([*was.left, *now.left]):
        of_then, of_now = was.left.get(key, {}), now.left.get(key, {})
        for identifier in dict.fromkeys([*of_then, *of_now]):
            outcomes = (
                _Outcome(copy=of_then.get(identifier), orders=()),
                _Outcome(copy=of_now.get(identifier), orders=()),
            )
            for found in _of_follower(*outcomes):
                return _explained(judgement, recorded, key, identifier, found)
    return None


_Found = tuple[str, str, str, _Outcome, _Outcome]
"""Field, was, now, and both outcomes."""


def _outcome(plan: Plan, subscription_id: str, before: Copy | None) -> _Outcome:
    return _Outcome(
        copy=plan.copies.get(subscription_id, before),
        orders=tuple(o for o in plan.orders if o.subscription_id == subscription_id),
    )


def _of_follower(was: _Outcome, now: _Outcome) -> Iterator[_Found]:
    for name, then, here in _pairs(was, now):
        if then == here:
            continue
        if then is None or here is None:
            yield name, _shown(name, then), _shown(name, here), was, now
            continue
        for field in _fields(then):
            old, new = getattr(then, field), getattr(here, field)
            if old != new:
                yield f"{name} {_named(field)}", _shown(field, old), _shown(field, new), was, now


def _pairs(
    was: _Outcome, now: _Outcome
) -> Iterator[tuple[str, Copy | Order | None, Copy | Order | None]]:
    """Yield what is compared: orders first, for they are money."""
    for at in range(max(len(was.orders), len(now.orders))):
        yield "order", _at(was.orders, at), _at(now.orders, at)
    yield "decision", was.copy, now.copy


def _at(orders: tuple[Order, ...], at: int) -> Order | None:
    return orders[at] if at < len(orders) else None


def _fields(value: Copy | Order) -> list[str]:
    names = [each.name for each in structs.fields(value) if each.name not in _SAID]
    return sorted(names, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))


def _named(field: str) -> str:
    return field.removesuffix("_micros").replace("_", " ")


def _shown(field: str, value: object) -> str:
    match value:
        case None:
            return NOTHING
        case Order():
            return f"{to_text(value.size_micros)} shares at {to_text(value.limit_micros)}"
        case Copy():
            return _Outcome(copy=value, orders=()).why
        case Subscription():
            return f"by version {value.version} of the settings"
        case bool():
            return "true" if value else "false"
        case int() if field.endswith("_micros"):
            return to_text(value)
        case _:
            return str(value) or NOTHING


def _explained(
    judgement: Judgement, recorded: Decoder, key: TradeKey, subscription_id: str, found: _Found
) -> Difference:
    field, was, now, then, here = found
    follower = next(
        (s.follower.proxy for s in recorded.subscriptions.values() if s.id == subscription_id), ""
    )
    return Difference(
        at_ms=judgement.now_ms,
        record_key=judgement.record_key,
        key=key,
        title=judgement.title,
        subscription_id=subscription_id,
        follower=follower,
        field=field,
        was=was,
        now=now,
        why_was=then.why,
        why_now=here.why,
    )


def fields_difference(
    was: Mapping[str, object], now: Mapping[str, object]
) -> tuple[str, str, str] | None:
    """Return the first field in which two decisions differ as the journal carries them."""
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            return _named(name), _shown(name, was.get(name)), _shown(name, now.get(name))
    return None
