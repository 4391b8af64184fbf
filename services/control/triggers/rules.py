"""Check triggers, each kind by its own rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.control import parsing
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_types import MAX_RUNGS, UNPRICED, Rung, TriggerType


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerTerms:
    """When a trigger fires and for how much; None: absent. Amounts in micros."""

    price_micros: int | None = None
    size_micros: int | None = None
    """Shares; None: whatever the lot holds."""
    callback_micros: int | None = None
    callback_ppm: int | None = None
    fire_at_ms: int | None = None
    rungs: tuple[Rung, ...] | None = None
    break_even: bool | None = None
    two_ticks: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualLot:
    """A position that a follower says to have bought by hand, and its follower."""

    user_id: str
    wallet_id: str
    held_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A trigger to be made."""

    wallet: str
    condition_id: str
    asset_id: str
    trigger_type: TriggerType
    terms: TriggerTerms
    origin: str
    """The subscription, or MANUAL."""
    manual: ManualLot | None = None


def check_terms(kind: TriggerType, terms: TriggerTerms) -> None:
    """Check that a trigger has what its kind needs and nothing else. Raises InvalidField."""
    timed, trailing = kind is TriggerType.TIME_STOP, kind is TriggerType.TRAILING_STOP
    unpriced = kind in UNPRICED
    if unpriced is (terms.price_micros is not None):
        raise parsing.refuse("triggerPrice", "none for this type" if unpriced else "a price")
    if timed is (terms.fire_at_ms is None):
        raise parsing.refuse("fireAtMs", "an instant for a time stop, and for no other type")
    if trailing is (terms.callback_micros is None and terms.callback_ppm is None):
        raise parsing.refuse("callback", "one for a trailing stop, and for no other type")
    if (terms.callback_micros or 0) >= (terms.price_micros or MICROS):
        raise parsing.refuse("callbackPrice", "less than triggerPrice")
    if (kind is TriggerType.LADDER) is (terms.rungs is None):
        raise parsing.refuse("rungs", f"1 to {MAX_RUNGS} for a ladder, and none for another type")
    if terms.break_even and kind is not TriggerType.STOP_LOSS:
        raise parsing.refuse("breakEven", "false, but for a stop-loss")
    if terms.two_ticks and timed:
        raise parsing.refuse("twoTicks", "false for a time stop")


def rungs(given: Sequence[tuple[str, str]]) -> tuple[Rung, ...] | None:
    """A ladder's rungs from their texts, price and fraction; none given: absent.

    Raises:
        InvalidField: a price that does not rise, or fractions that are more than the whole.
    """
    made: list[Rung] = []
    for number, (price, fraction) in enumerate(given):
        at, last = f"rungs[{number}]", number == len(given) - 1
        micros = parsing.within_one(price, f"{at}.triggerPrice") or 0
        if made and micros <= made[-1].price_micros:
            raise parsing.refuse(f"{at}.triggerPrice", "more than that of the rung before")
        share = parsing.amount(fraction, f"{at}.fraction") if fraction or not last else 0
        if not last and share == 0:
            raise parsing.refuse(
                f"{at}.fraction", "more than 0; only the last rung may leave it out"
            )
        made.append(Rung(micros, share))
    if sum(rung.share_ppm for rung in made) > MICROS:
        raise parsing.refuse("rungs", "fractions that sum to 1 or less")
    return tuple(made) or None


def trigger_size(text: str | None) -> int | None:
    """Shares to sell in micros, more than zero; absent: whatever the lot holds."""
    micros = parsing.optional_amount(text, "size")
    if micros == 0:
        raise parsing.refuse("size", "more than 0, or absent for the whole lot")
    return micros
