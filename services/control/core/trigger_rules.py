"""What the terms of a trigger have to be, for each kind. Pure.

Comes after `rules`, which makes exact values of text; here they are judged against the kind and
against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.control.core.rules import TriggerTerms, amount, refuse, within_one
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_types import MAX_RUNGS, UNPRICED, Rung, TriggerType


def check_terms(kind: TriggerType, terms: TriggerTerms) -> None:
    """Check that a trigger has what its kind needs and nothing else. Raises InvalidField."""
    timed, trailing = kind is TriggerType.TIME_STOP, kind is TriggerType.TRAILING_STOP
    unpriced = kind in UNPRICED
    if unpriced is (terms.price_micros is not None):
        raise refuse("triggerPrice", "none for this type" if unpriced else "a price")
    if timed is (terms.fire_at_ms is None):
        raise refuse("fireAtMs", "an instant for a time stop, and for no other type")
    if trailing is (terms.callback_micros is None and terms.callback_ppm is None):
        raise refuse("callback", "one for a trailing stop, and for no other type")
    if (terms.callback_micros or 0) >= (terms.price_micros or MICROS):
        raise refuse("callbackPrice", "less than triggerPrice")
    if (kind is TriggerType.LADDER) is (terms.rungs is None):
        raise refuse("rungs", f"1 to {MAX_RUNGS} for a ladder, and none for another type")
    if terms.break_even and kind is not TriggerType.STOP_LOSS:
        raise refuse("breakEven", "false, but for a stop-loss")
    if terms.two_ticks and timed:
        raise refuse("twoTicks", "false for a time stop")


def rungs(given: Sequence[tuple[str, str]]) -> tuple[Rung, ...] | None:
    """A ladder's rungs from their texts, price and fraction; none given: absent.

    Raises:
        InvalidField: a price that does not rise, or fractions that are more than the whole.
    """
    made: list[Rung] = []
    for number, (price, fraction) in enumerate(given):
        at, last = f"rungs[{number}]", number == len(given) - 1
        micros = within_one(price, f"{at}.triggerPrice") or 0
        if made and micros <= made[-1].price_micros:
            raise refuse(f"{at}.triggerPrice", "more than that of the rung before")
        share = amount(fraction, f"{at}.fraction") if fraction or not last else 0
        if not last and share == 0:
            raise refuse(f"{at}.fraction", "more than 0; only the last rung may leave it out")
        made.append(Rung(micros, share))
    if sum(rung.share_ppm for rung in made) > MICROS:
        raise refuse("rungs", "fractions that sum to 1 or less")
    return tuple(made) or None
