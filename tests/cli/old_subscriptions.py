"""Subscriptions of v1 of all odd kinds, the same each time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
NUMBER = 212
"""As many as the real cut-over had."""


def _wallet(draw: random.Random) -> str:
    return f"0x{draw.getrandbits(160):040x}"


def plain(draw: random.Random, number: int) -> Json:
    """Return one that is valid unless changed."""
    return {
        "_id": f"64f{number:021x}", "userId": f"user-{number}", "privyWalletId": f"privy-{number}",
        "proxyWallet": _wallet(draw), "targetWallet": _wallet(draw), "status": "ACTIVE",
        "copyMode": "FIXED", "fixedAmount": draw.choice(["5", 10, "25.5"]), "__v": 0,
        "createdAt": "2025-11-01T00:00:00Z", "settings": {"maxTradeUsd": "50", "slippageBps": 300},
    }  # fmt: skip


def _position(draw: random.Random, size: str = "12.5", **changes: Any) -> Json:
    return {
        "conditionId": f"0x{draw.getrandbits(256):064x}", "tokenId": str(draw.getrandbits(250) + 1),
        "size": size, "avgPrice": "0.43", "chainBalance": size, "chainBlock": 70_000_001, **changes,
    }  # fmt: skip


def _ratio(old: Json, draw: random.Random) -> None:
    del old["fixedAmount"]
    old |= {"copyMode": "percentage", "percentage": draw.choice(["10", 7.5, "0.33333333"])}


def _held(old: Json, draw: random.Random) -> None:
    old["positions"] = [_position(draw), _position(draw, "0.000001"), _position(draw, "0")]


def _ended_and_held(old: Json, draw: random.Random) -> None:
    old["status"] = "CANCELLED"
    _held(old, draw)


def _rich(old: Json, draw: random.Random) -> None:
    old["settings"] |= {
        "maxPositionUsd": 200, "dailyTradeCapUsd": "500.123456789", "maxOpenPositions": "20",
        "maxFillAgeSec": 60, "minPrice": 0.05, "maxPrice": "0.95", "minTargetUsd": "25.0000001",
        "sides": "BUY", "excludedMarkets": [f"0x{draw.getrandbits(256):064X}"],
    }  # fmt: skip
    old |= {"sellMode": "ALL", "tpsl": {"takeProfitPercent": 50, "stopLossPercent": "20"}}


def _less_on_chain(old: Json, draw: random.Random) -> None:
    old["positions"] = [_position(draw, "10", chainBalance="4.25")]


def _without_balance(old: Json, draw: random.Random) -> None:
    old["positions"] = [_position(draw, chainBalance=None), {"tokenId": "x"}]


def _put(**changes: Any) -> Callable[[Json, random.Random], None]:
    return lambda old, _draw: old.update(changes)


def _drop(name: str) -> Callable[[Json, random.Random], None]:
    return lambda old, _draw: old.pop(name)


def _itself(old: Json, _draw: random.Random) -> None:
    old["targetWallet"] = old["proxyWallet"].upper().replace("X", "x")


KINDS: dict[str, tuple[Callable[[Json, random.Random], None], str]] = {
    "plain": (_put(), "CREATED"),
    "ratio": (_ratio, "CREATED"),
    "held": (_held, "CREATED"),
    "rich": (_rich, "CREATED"),
    "proportional": (_put(copyMode="PROPORTIONAL"), "CREATED"),
    "paused": (_put(status="paused"), "CREATED"),
    "less on the chain": (_less_on_chain, "CREATED"),
    "no balance": (_without_balance, "CREATED"),
    "object id": (lambda old, _: old.update(_id={"$oid": old["_id"]}), "CREATED"),
    "upper case": (lambda old, _: old.update(targetWallet=old["targetWallet"].upper().replace(
        "X", "x")), "CREATED"),
    "rounded": (_put(fixedAmount="3.1415926535"), "CREATED"),
    "nulls": (_put(settings=None, positions=None, tpsl={}), "CREATED"),
    "ended": (_put(status="DELETED"), "SKIPPED"),
    "ended and held": (_ended_and_held, "SKIPPED"),
    "unknown field": (_put(maxDailyLossUsd=100), "REFUSED"),
    "unknown setting": (lambda old, _: old["settings"].update(kelly="0.5"), "REFUSED"),
    "too small": (_put(fixedAmount="0.5"), "REFUSED"),
    "zero": (_put(fixedAmount=0), "REFUSED"),
    "negative": (_put(fixedAmount="-5"), "REFUSED"),
    "not finite": (_put(fixedAmount="NaN"), "REFUSED"),
    "words for a number": (_put(fixedAmount="ten"), "REFUSED"),
    "no amount": (_drop("fixedAmount"), "REFUSED"),
    "unknown mode": (_put(copyMode="KELLY"), "REFUSED"),
    "unknown state": (_put(status="ON_FIRE"), "REFUSED"),
    "dead leader": (_put(targetWallet="0x" + "0" * 40), "REFUSED"),
    "itself": (_itself, "REFUSED"),
    "no wallet": (_put(proxyWallet="alice.eth"), "REFUSED"),
    "no user": (_drop("userId"), "REFUSED"),
    "no id": (_drop("_id"), "REFUSED"),
    "a list as text": (lambda old, _: old["settings"].update(excludedMarkets="all"), "REFUSED"),
    "too large a ratio": (_put(copyMode="RATIO", percentage=10_001), "REFUSED"),
}  # fmt: skip
"""What is changed of a plain one, and what becomes of it."""


def generated() -> tuple[list[Json], list[str]]:
    """Return old subscriptions and what is to become of each: twins of others at the end."""
    draw = random.Random(31)  # noqa: S311 - the same each time
    olds, verdicts = [], []
    kinds = list(KINDS.values())
    for number in range(NUMBER - 4):
        change, verdict = kinds[number % len(kinds)]
        old = plain(draw, number)
        change(old, draw)
        olds.append(old)
        verdicts.append(verdict)
    # The same id twice: neither is told from the other. The same pair twice: the first stays.
    for _ in range(2):
        olds.append(plain(draw, 999) | {"_id": "twice"})
        verdicts.append("REFUSED")
    first = plain(draw, 1000)
    olds += [first, first | {"_id": "another", "status": "PAUSED"}]
    verdicts += ["CREATED", "REFUSED"]
    return olds, verdicts
