"""Files of bots as `POST /bots` takes them, one for each strategy and place."""

from __future__ import annotations

from typing import Any

SWAP, SPOT = "okx:BTC-USDT-SWAP", "okx:BTC-USDT"
YES, NO = "polymarket:yes", "polymarket:no"
PLACES: dict[str, list[tuple[str, ...]]] = {
    "arbitrage": [(YES, NO)],
    "dca": [(SWAP,), (YES,)],
    "delta_hedge": [(YES, SWAP)],
    "funding_arbitrage": [(SPOT, SWAP)],
    "grid": [(SWAP,), (YES,)],
    "market_making": [(SWAP,), (YES, NO)],
    "signal": [(SWAP,), (YES,)],
}
_COIN, _SHARE, _CONTRACT, _PRICE = 10**8, 10**6, 10**8, 10**10


def file(name: str, *traded: str) -> dict[str, Any]:
    """Return the file of a bot that trades these instruments."""
    config = _CONFIGS[name](traded)
    first = {
        name.split("_", maxsplit=1)[0] + "".join(it.title() for it in name.split("_")[1:]): config
    }
    return {"config": first, "instruments": list(traded), "limits": {"maxOrdersPerMinute": 3000}}


def _maker(traded: tuple[str, ...]) -> dict[str, Any]:
    if traded[0] == SWAP:
        return {"instrumentId": SWAP, "orderSize": _CONTRACT, "maxPosition": 5 * _CONTRACT,
                "maxHalfSpread": 3 * _PRICE, "riskAversion": "0.02",
                "arrivalDecay": "20"}  # fmt: skip
    return {"instrumentId": YES, "complementId": NO, "orderSize": 10 * _SHARE,
            "maxPosition": 50 * _SHARE, "maxHalfSpread": 10_000, "riskAversion": "0.1",
            "arrivalDecay": "1000"}  # fmt: skip


def _grid(traded: tuple[str, ...]) -> dict[str, Any]:
    middle, step, size = (
        (64_005 * _PRICE, 4 * _PRICE // 10, _CONTRACT)
        if traded[0] == SWAP
        else (500_000, 4_000, 10 * _SHARE)
    )
    return {"instrumentId": traded[0], "lower": middle - 10 * step, "upper": middle + 10 * step,
            "cells": 20, "orderSize": size, "openingSlippage": 10 * step}  # fmt: skip


def _dca(traded: tuple[str, ...]) -> dict[str, Any]:
    amount = 700 * 10**8 if traded[0] == SWAP else 10 * 10**6
    return {"instrumentId": traded[0], "amount": amount, "intervalS": 20, "takeProfit": 200}


def _signal(traded: tuple[str, ...]) -> dict[str, Any]:
    size = 5 * _CONTRACT if traded[0] == SWAP else 50 * _SHARE
    return {"instrumentId": traded[0], "position": size, "halfLifeS": 60, "maxSlippage": 10_000,
            "reverse": True}  # fmt: skip


def _arbitrage(_traded: tuple[str, ...]) -> dict[str, Any]:
    return {"instrumentId": YES, "complementId": NO, "orderSize": 20 * _SHARE,
            "maxSets": 200 * _SHARE, "minEdge": 5_000, "takerFee": 1_000,
            "maxLoss": 5 * _SHARE}  # fmt: skip


def _funding(_traded: tuple[str, ...]) -> dict[str, Any]:
    return {"spotId": SPOT, "swapId": SWAP, "orderSize": _COIN // 100, "maxPosition": _COIN // 20,
            "horizonH": 24, "entryRate": 100_000, "spotFee": 500, "swapFee": 500,
            "maxLoss": 1_000 * 10**8}  # fmt: skip


def _delta(_traded: tuple[str, ...]) -> dict[str, Any]:
    return {"binaryId": YES, "hedgeId": SWAP, "strike": 64_000 * _PRICE,
            "expiresMs": 1_700_000_000_000 + 90 * 86_400_000, "volatility": "0.5",
            "orderSize": 1_000 * _SHARE, "maxPosition": 2_000 * _SHARE, "minEdge": 20_000,
            "binaryFee": 1_000, "hedgeFee": 500, "maxLoss": 100 * _SHARE}  # fmt: skip


_CONFIGS = {
    "arbitrage": _arbitrage,
    "dca": _dca,
    "delta_hedge": _delta,
    "funding_arbitrage": _funding,
    "grid": _grid,
    "market_making": _maker,
    "signal": _signal,
}
