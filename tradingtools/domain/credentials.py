"""Credentials of trading wallets, as their owner seals them for the signer."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class OkxCredentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key of OKX, which may read and trade and no more."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "OkxCredentials(...)"


class PolymarketCredentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The private key of a Polymarket account, and of which kind the account is."""

    private_key: str
    """Hex, with 0x or without."""
    signature_type: int
    """0: the key's own address, 1: a proxy, 2: a Safe, 3: a deposit wallet."""
    funder: str = ""
    """The contract that holds cash and shares; empty with type 0."""

    def __repr__(self) -> str:
        return "PolymarketCredentials(...)"


Credentials: TypeAlias = OkxCredentials | PolymarketCredentials
KINDS: dict[str, type[OkxCredentials] | type[PolymarketCredentials]] = {
    "okx": OkxCredentials,
    "polymarket": PolymarketCredentials,
}
"""By exchange."""
