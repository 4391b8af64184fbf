"""The contracts on Polygon that orders are signed for, and that change sets of outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CHAIN_ID = 137
COLLATERAL = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CONDITIONAL_TOKENS = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
ADAPTER = "0xAdA100Db00Ca00073811820692005400218FcE1f"
NEG_RISK_ADAPTER = "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
"""They split, merge and redeem sets of Protocol V1, for the collateral of today."""
ROUTER = "0x12121212006e4CD160D18e3f00711DA5c3372600"
"""It does so for sets of Protocol V2."""
PROXY_FACTORY = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
RELAY_HUB = "0xD216153c06E857cD7f72665E0aF1d7D82172F494"
DEPOSIT_WALLET_FACTORY = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
# A position of Protocol V2 has these bits of its id empty.
_PROTOCOL_V2_EMPTY = ((1 << 64) - 1) << 40


@dataclass(frozen=True, slots=True)
class Exchange:
    """The contract that verifies an order, and the version of its EIP-712 domain."""

    contract: str
    version: Literal["2", "3"]
    chain_id: int = CHAIN_ID


STANDARD = Exchange("0xE111180000d2663C0091e4f400237545B87B996B", "2")
NEG_RISK = Exchange("0xe2222d279d744050d28e00520010520000310F59", "2")
PROTOCOL_V2 = Exchange("0xe3333700cA9d93003F00f0F71f8515005F6c00Aa", "3")
EXCHANGES = (STANDARD, NEG_RISK, PROTOCOL_V2)


def is_protocol_v2(asset_id: str) -> bool:
    """Return whether an asset is a position of Protocol V2, by its id alone."""
    return int(asset_id) & _PROTOCOL_V2_EMPTY == 0


def exchange_of(asset_id: str, *, neg_risk: bool) -> Exchange:
    """Return the contract that orders of an asset are signed for."""
    if is_protocol_v2(asset_id):
        return PROTOCOL_V2
    return NEG_RISK if neg_risk else STANDARD
