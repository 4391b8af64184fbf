"""The facts of a Polymarket wallet and of the contracts that it may deal with (Polygon).

The contracts are those of the venue's own SDK (`polymarket-client`, environments), which a test
compares.
"""

from __future__ import annotations

from dataclasses import dataclass

CHAIN_ID = 137


def _bytes(*addresses: str) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(one[2:]) for one in addresses)


COLLATERAL = bytes.fromhex("C011a7E12a19f7B1f670d46F03B03f3342E82DFB")
CONDITIONAL_TOKENS = bytes.fromhex("4D97DCd97eC945f40cF65F87097ACe5EA0476045")
ROUTER = bytes.fromhex("12121212006e4CD160D18e3f00711DA5c3372600")
POSITION_MANAGER = bytes.fromhex("006F54F7f9A22e0000CC2AB60031000000ae9fEF")
ADAPTERS = _bytes(
    "0xAdA100Db00Ca00073811820692005400218FcE1f", "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
)
EXCHANGES = {
    "2": _bytes(
        "0xE111180000d2663C0091e4f400237545B87B996B", "0xe2222d279d744050d28e00520010520000310F59"
    ),
    "3": _bytes("0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
}
"""By version of the EIP-712 domain: the contracts that settle orders."""
PROXY_FACTORY = bytes.fromhex("aB45c5A4B0c941a2F231C04C3f49182e1A254052")
RELAY_HUB = bytes.fromhex("D216153c06E857cD7f72665E0aF1d7D82172F494")
SAFE_MULTISEND = bytes.fromhex("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761")

SPENDERS = EXCHANGES["2"] | EXCHANGES["3"] | ADAPTERS | {ROUTER}
"""Who may be approved to move collateral and positions."""

EOA, PROXY, SAFE, DEPOSIT_WALLET = 0, 1, 2, 3
SIGNATURE_TYPES = (EOA, PROXY, SAFE, DEPOSIT_WALLET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account whose orders are signed, and within what limit."""

    signature_type: int
    funder: bytes
    """The contract, or of type 0 the address, that holds cash and shares."""
    signer: bytes
    """The address of the private key."""
    max_order_micros: int
    """The most USDC that one order may be about."""
