"""Whom the run creates as a client would: subscriptions to start with, triggers as fills arrive.

Pure. The sizes are chosen so that in a minute of the tape copies, skips with several reasons,
take-profits and stop-losses all occur.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict

from tradingtools.domain.money import MICROS, ceil_to, floor_to, to_text
from tradingtools_client.models import (
    CreateSubscriptionRequest,
    CreateTriggerRequest,
    LimitsInput,
    SizingInput,
)


class _Profile(TypedDict):
    sizing: SizingInput
    limits: LimitsInput


_PROFILES: tuple[_Profile, ...] = (
    {
        "sizing": {"ratio": {"ratio": "0.05"}},
        "limits": {"maxPerTrade": "50", "maxPerMarket": "400", "maxSlippage": "0.05"},
    },
    {
        "sizing": {"fixed": {"amount": "20"}},
        "limits": {"maxPerTrade": "40", "maxPerMarket": "150", "maxSlippage": "0.03"},
    },
    {
        "sizing": {"fixed": {"amount": "6"}},
        "limits": {"maxPerTrade": "8", "maxPerMarket": "15", "maxSlippage": "0.002"},
    },
    {
        "sizing": {"ratio": {"ratio": "0.002"}},
        "limits": {"maxPerTrade": "25", "maxSlippage": "0.1", "maxAgeMs": 2000},
    },
)
"""Roomy by ratio, fixed, tight (market caps and slippage bind soon), small by ratio."""

TICK_MICROS = 1_000
_TAKE_PROFIT_PPM, _TAKE_PROFIT_MIN = 30_000, 10_000
_STOP_LOSS_PPM, _STOP_LOSS_MIN = 40_000, 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """A lot's first buy, as the fills of a subscription show it. Amounts in micros."""

    subscription_id: str
    wallet: str
    condition_id: str
    asset_id: str
    price_micros: int


def subscriptions(
    leaders: tuple[str, ...], followers: int, run_id: str
) -> Iterator[CreateSubscriptionRequest]:
    """Bodies of `POST /subscriptions`: for each leader so many followers, each with a wallet.

    Wallets and ids follow from the run's id: a continued run asks for the same again.
    """
    for leader in leaders:
        for number in range(followers):
            seed = f"{run_id}:{leader}:{number}"
            digest = hashlib.sha256(seed.encode()).hexdigest()
            profile = _PROFILES[number % len(_PROFILES)]
            yield {
                "follower": {
                    "followerUserId": f"user-{digest[40:52]}",
                    "followerWalletId": f"wallet-{digest[52:]}",
                    "followerProxy": f"0x{digest[:40]}",
                },
                "leader": leader,
                "sizing": profile["sizing"],
                "limits": profile["limits"],
            }


def triggers(bought: Bought) -> Iterator[CreateTriggerRequest]:
    """Bodies of `POST /triggers` that guard a lot near its price: above and below, if there is
    room between 0 and 1."""
    price = bought.price_micros
    above = price + max(price * _TAKE_PROFIT_PPM // MICROS, _TAKE_PROFIT_MIN)
    below = price - max(price * _STOP_LOSS_PPM // MICROS, _STOP_LOSS_MIN)
    take_profit = ceil_to(above, TICK_MICROS)
    stop_loss = floor_to(below, TICK_MICROS)
    if take_profit <= MICROS - TICK_MICROS:
        yield _trigger(bought, "TRIGGER_TYPE_TAKE_PROFIT", take_profit)
    if stop_loss >= TICK_MICROS:
        yield _trigger(bought, "TRIGGER_TYPE_STOP_LOSS", stop_loss)


def _trigger(
    bought: Bought,
    kind: Literal["TRIGGER_TYPE_TAKE_PROFIT", "TRIGGER_TYPE_STOP_LOSS"],
    price_micros: int,
) -> CreateTriggerRequest:
    return {
        "wallet": bought.wallet,
        "conditionId": bought.condition_id,
        "assetId": bought.asset_id,
        "side": "sell",
        "triggerType": kind,
        "triggerPrice": to_text(price_micros),
        "subscriptionId": bought.subscription_id,
    }


def idempotency_key(*parts: str) -> str:
    """A key that is the same whenever the same thing is asked for."""
    return hashlib.sha256(":".join(parts).encode()).hexdigest()
