"""Exchanges that trading wallets can be of, as clients name them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An exchange: what is traded there, and what a wallet of it needs."""

    name: str
    kinds: tuple[str, ...]
    environments: tuple[str, ...]
    credentials: tuple[str, ...]
    """Fields of its credentials (`tradingtools.domain.credentials`)."""
    modes: tuple[str, ...] = ()
    """Modes that an account has to be in."""
    amends: bool = False
    leverage: bool = False


EXCHANGES = (
    Exchange(
        name="okx",
        kinds=("spot", "future", "swap"),
        environments=("live", "demo"),
        credentials=("api_key", "secret", "passphrase"),
        modes=("Spot or Futures", "net positions"),
        amends=True,
        leverage=True,
    ),
    Exchange(
        name="polymarket",
        kinds=("binary",),
        environments=("live",),
        credentials=("private_key", "signature_type", "funder"),
    ),
)
BY_NAME = {exchange.name: exchange for exchange in EXCHANGES}
