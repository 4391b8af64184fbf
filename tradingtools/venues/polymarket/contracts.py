"""The contracts on Polygon that orders are signed for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CHAIN_ID = 137
COLLATERAL = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CONDITIONAL_TOKENS = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
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
