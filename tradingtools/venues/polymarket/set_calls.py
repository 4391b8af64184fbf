"""Calls of contracts that make, merge and redeem sets of outcomes, and what wraps them.

Pure. The signer composes the same bytes from the bare call by code of its own; tests compare both
with the venue's client. Before: `contracts`. After: `relayer_requests`.
"""

from __future__ import annotations

from tradingtools.domain.signing import Call
from tradingtools.venues.outcome_sets import SetAction
from tradingtools.venues.polymarket import eip712
from tradingtools.venues.polymarket.contracts import (
    ADAPTER,
    COLLATERAL,
    NEG_RISK_ADAPTER,
    ROUTER,
    is_protocol_v2,
)

_SPLIT = "splitPosition(address,bytes32,bytes32,uint256[],uint256)"
_MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
_REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"
_PROXY = "proxy((uint8,address,uint256,bytes)[])"


def call_of(
    action: SetAction, *, asset_id: str, condition_id: str, neg_risk: bool, size: int
) -> Call:
    """Return the call of a change.

    Args:
        action: what is done.
        asset_id: an outcome of the market; of a redemption, the one that is held.
        condition_id: of the market, 32 bytes.
        neg_risk: the market is one of several that exclude each other.
        size: sets or shares, in micros; a redemption of Protocol V1 is always of all that is held.

    Raises:
        EncodingError: a value does not fit.
    """
    if is_protocol_v2(asset_id):
        return Call(to=ROUTER, data=_hex(_routed(action, int(asset_id), size)))
    head = eip712.address("collateral", COLLATERAL) + bytes(32)
    head += eip712.bytes32("conditionId", condition_id)
    both = _words(2, 1, 2)
    if action is SetAction.REDEEM:
        data = _selector(_REDEEM) + head + _words(4 * 32) + both
    else:
        name = _SPLIT if action is SetAction.SPLIT else _MERGE
        data = _selector(name) + head + _words(5 * 32, size) + both
    return Call(to=NEG_RISK_ADAPTER if neg_risk else ADAPTER, data=_hex(data))


def _routed(action: SetAction, position: int, size: int) -> bytes:
    # A position's id is its condition in 31 bytes, and then the outcome.
    condition, outcome = (position >> 8) << 8, position & 0xFF
    if action is SetAction.REDEEM:
        return _selector("redeem(bytes31,uint256,uint256)") + _words(condition, outcome, size)
    return _selector(f"{action.value}(bytes31,uint256)") + _words(condition, size)


def through_proxy(call: Call) -> str:
    """Return the data by which a proxy wallet's factory makes a call."""
    data = bytes.fromhex(call.data[2:])
    inner = _words(1) + eip712.address("to", call.to) + _words(0, 4 * 32, len(data))
    inner += data + bytes(-len(data) % 32)
    return _hex(_selector(_PROXY) + _words(32, 1, 32) + inner)


def _selector(signature: str) -> bytes:
    return eip712.keccak256(signature.encode())[:4]


def _words(*values: int) -> bytes:
    return b"".join(eip712.uint("amount", value) for value in values)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
