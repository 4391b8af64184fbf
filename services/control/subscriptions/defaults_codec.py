"""A subscription's default triggers between their message and the column that keeps them.

Beside `settings_codec`, which has the other groups; before it come requests that the contracts'
patterns have checked.
"""

from __future__ import annotations

from services.control import parsing
from services.control.messages import Fields
from services.control.store import Row
from services.control.subscriptions.rules import Group
from tradingtools.domain.default_triggers import DefaultTriggers, Gain, from_json, to_json
from tradingtools.domain.money import MICROS, to_text
from tradingtools.v1 import control_service_pb2 as control


def triggers_group(message: control.DefaultTriggers) -> Group:
    """Default triggers as given; raises InvalidField."""
    trailing = message.trailing if message.HasField("trailing") else None
    profit = _gain(message.take_profit, "triggers.takeProfit") if message.take_profit else None
    stop = message.stop_loss if message.HasField("stop_loss") else None
    ladder = _ladder(message)
    if message.break_even and (stop is None or not ladder):
        raise parsing.refuse("triggers.breakEven", "false without both stopLoss and ladder")
    defaults = DefaultTriggers(
        take_profit_ppm=profit,
        stop_loss_ppm=parsing.within_one(stop, "triggers.stopLoss"),
        break_even=message.break_even,
        trailing_from_ppm=_from(trailing),
        trailing_ppm=None
        if trailing is None
        else parsing.within_one(trailing.callback_fraction, "triggers.trailing.callbackFraction"),
        ladder=ladder,
        time_stop_seconds=message.time_stop_seconds
        if message.HasField("time_stop_seconds")
        else None,
    )
    return Group(columns={"triggers": to_json(defaults)}, names=frozenset(), settings={})


def _gain(text: str, field: str) -> int:
    micros = parsing.amount(text, field)
    if micros == 0:
        raise parsing.refuse(field, "more than 0")
    return micros


def _from(trailing: control.DefaultTrailing | None) -> int:
    if trailing is None or not trailing.HasField("gain"):
        return 0
    return parsing.amount(trailing.gain, "triggers.trailing.gain")


def _ladder(message: control.DefaultTriggers) -> tuple[Gain, ...]:
    made: list[Gain] = []
    for number, rung in enumerate(message.ladder):
        at, last = f"triggers.ladder[{number}]", number == len(message.ladder) - 1
        gain = _gain(rung.gain, f"{at}.gain")
        if made and gain <= made[-1].gain_ppm:
            raise parsing.refuse(f"{at}.gain", "more than that of the rung before")
        share = parsing.amount(rung.fraction, f"{at}.fraction") if rung.fraction or not last else 0
        if share == 0 and not last:
            raise parsing.refuse(
                f"{at}.fraction", "more than 0; only the last rung may leave it out"
            )
        made.append(Gain(gain, share))
    if sum(rung.share_ppm for rung in made) > MICROS:
        raise parsing.refuse("triggers.ladder", "fractions that sum to 1 or less")
    return tuple(made)


def to_fields(row: Row) -> Fields:
    """A row's default triggers as fields of a subscription; none are left out."""
    defaults = from_json(row["triggers"])
    if defaults == DefaultTriggers():
        return {}
    shown: Fields = {}
    for name, ppm in (
        ("take_profit", defaults.take_profit_ppm),
        ("stop_loss", defaults.stop_loss_ppm),
    ):
        if ppm is not None:
            shown[name] = to_text(ppm)
    if defaults.break_even:
        shown["break_even"] = True
    if defaults.trailing_ppm is not None:
        shown["trailing"] = {"callback_fraction": to_text(defaults.trailing_ppm)}
        if defaults.trailing_from_ppm:
            shown["trailing"]["gain"] = to_text(defaults.trailing_from_ppm)
    if defaults.ladder:
        shown["ladder"] = [
            {
                "gain": to_text(rung.gain_ppm),
                "fraction": to_text(rung.share_ppm) if rung.share_ppm else "",
            }
            for rung in defaults.ladder
        ]
    if defaults.time_stop_seconds is not None:
        shown["time_stop_seconds"] = defaults.time_stop_seconds
    return {"triggers": shown}
