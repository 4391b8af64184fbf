"""The bot that a run shows: a market maker with one contract a quote, and a wallet of its own."""

from __future__ import annotations

from tradingtools_client.models import CreateBotRequest

NAME = "paper"
TENANT = "default"
MAX_USDC = 100_000
"""The most that one order may be about."""
ACCOUNT = "paper-bot"
"""At the paper OKX."""
DEPOSITS = {"USDT": "100000"}
_INSTRUMENT = "okx:BTC-USDT-SWAP"


def market_maker(wallet: str) -> CreateBotRequest:
    """Return the bot of a wallet, as it is created."""
    return {
        "name": NAME,
        "walletId": wallet,
        "tenant": TENANT,
        "instruments": [_INSTRUMENT],
        "config": {
            "marketMaking": {
                "instrumentId": _INSTRUMENT,
                "orderSize": str(10**8),
                "maxPosition": str(5 * 10**8),
                "maxHalfSpread": str(10**10),
                "riskAversion": "0.01",
                "arrivalDecay": "0.05",
            }
        },
        "limits": {"maxPosition": "6", "maxDailyLoss": "1000", "maxOrdersPerMinute": 600},
    }
