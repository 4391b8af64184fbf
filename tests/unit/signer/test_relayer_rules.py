"""Calls through the relayer: as the venue's SDK signs them, and nothing else of any contract."""

from __future__ import annotations

from typing import Any

import coincurve
import pytest
from eth_abi.abi import encode
from eth_account import Account as EthAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.relayer import calls as sdk
from polymarket._internal.actions.relayer.signing.deposit_wallet import sign_deposit_wallet_batch
from polymarket._internal.actions.relayer.signing.proxy import (
    build_proxy_transaction_hash,
    sign_proxy_message,
)
from polymarket._internal.actions.relayer.signing.safe import sign_safe_transaction

from services.signer.accounts import PolymarketKeys, address_of
from services.signer.core import polymarket_account as known
from services.signer.core.evm import checksummed, selector
from services.signer.core.polymarket_account import Account
from tradingtools.domain.errors import InvalidField, NotAllowed
from tradingtools.domain.signing import Call, GetHeaderSecrets, RelayerCalls, Signature

PRIVATE = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
KEY = coincurve.PrivateKey(PRIVATE)
ETH = EthAccount.from_key(PRIVATE)
FUNDER: Any = "0x" + "ab" * 20
THIEF: Any = "0x" + "cd" * 20
RELAY: Any = "0x" + "ef" * 20
USD: Any = checksummed(known.COLLATERAL)
CTF: Any = checksummed(known.CONDITIONAL_TOKENS)
ROUTER: Any = checksummed(known.ROUTER)
ADAPTER: Any = checksummed(min(known.ADAPTERS))
CONDITION = "0x" + "5a" * 32
NOW_MS = 1_790_000_000_000
DEADLINE = NOW_MS // 1000 + 60

SPLIT = sdk.ctf_split_position_call(
    target=ADAPTER, collateral=USD, condition_id=CONDITION, amount=7_000_000
)
MERGE = sdk.ctf_merge_positions_call(
    target=CTF, collateral=USD, condition_id=CONDITION, amount=7_000_000
)
REDEEM = sdk.ctf_redeem_positions_call(ctf=ADAPTER, collateral=USD, condition_id=CONDITION)
APPROVE = sdk.erc20_approval_call(token_address=USD, spender=ROUTER, amount=sdk.MAX_UINT256)
APPROVE_ALL = sdk.erc1155_set_approval_for_all_call(token_address=CTF, operator=ADAPTER)
V2 = "0x" + "5a" * 31
ROUTED = [
    sdk.router_split_call(router=ROUTER, condition_id=V2, amount=1),
    sdk.router_merge_call(router=ROUTER, condition_id=V2, amount=1),
    sdk.router_redeem_call(router=ROUTER, condition_id=V2, outcome_index=1, amount=1),
]
SIGNED = [SPLIT, MERGE, REDEEM, APPROVE, APPROVE_ALL, *ROUTED]


def keys(signature_type: int) -> PolymarketKeys:
    account = Account(
        signature_type=signature_type, funder=bytes.fromhex(FUNDER[2:]), signer=address_of(KEY),
        max_order_micros=1,
    )  # fmt: skip
    return PolymarketKeys(account, KEY, GetHeaderSecrets(key="", passphrase=""))


def ask(calls: list[sdk.TransactionCall]) -> RelayerCalls:
    return RelayerCalls(
        wallet="w", epoch=1, nonce=5, deadline=DEADLINE, gas_limit=200_000, relay=RELAY,
        calls=tuple(Call(to=str(call.to), data=str(call.data)) for call in calls),
    )  # fmt: skip


def _safe(calls: list[sdk.TransactionCall]) -> str:
    one = calls[0]
    if len(calls) > 1:
        to: Any = checksummed(known.SAFE_MULTISEND)
        one = sdk.TransactionCall(to=to, data=sdk.encode_safe_multisend_call(calls))
    return sign_safe_transaction(
        ETH, safe_address=FUNDER, to=one.to, data=one.data, value=0, operation=int(len(calls) > 1),
        nonce="5", chain_id=137,
    )  # fmt: skip


def _proxy(calls: list[sdk.TransactionCall]) -> str:
    to: Any = checksummed(known.PROXY_FACTORY)
    hub: Any = checksummed(known.RELAY_HUB)
    made = build_proxy_transaction_hash(
        from_address=ETH.address, to=to, data=sdk.encode_proxy_call(calls), relayer_fee="0",
        gas_price="0", gas_limit="200000", nonce="5", relay_hub=hub, relay=RELAY,
    )  # fmt: skip
    return sign_proxy_message(ETH, made)


def _batch(calls: list[sdk.TransactionCall]) -> str:
    return sign_deposit_wallet_batch(
        ETH, wallet=FUNDER, calls=calls, nonce="5", deadline=str(DEADLINE), chain_id=137
    )


@pytest.mark.parametrize(("signature_type", "theirs"), [(1, _proxy), (2, _safe), (3, _batch)])
@pytest.mark.parametrize("calls", [*([one] for one in SIGNED), SIGNED], ids=str)
def test_they_are_signed_as_the_sdk_signs_them(
    signature_type: int, theirs: Any, calls: list[sdk.TransactionCall]
) -> None:
    answer = keys(signature_type).prepare(ask(calls), NOW_MS).answer()
    assert answer == Signature(signature=theirs(calls))


def _call(to: str, signature: str, values: list[Any]) -> sdk.TransactionCall:
    kinds = signature[signature.index("(") + 1 : -1].split(",")
    data: Any = "0x" + (selector(signature) + encode(kinds, values)).hex()
    target: Any = to
    return sdk.TransactionCall(to=target, data=data)


NEVER = [
    sdk.erc20_transfer_call(token_address=USD, recipient=THIEF, amount=1),
    sdk.erc20_approval_call(token_address=USD, spender=THIEF, amount=1),
    sdk.erc20_approval_call(token_address=THIEF, spender=ROUTER, amount=1),
    sdk.erc1155_set_approval_for_all_call(token_address=CTF, operator=THIEF),
    sdk.erc1155_set_approval_for_all_call(token_address=USD, operator=ROUTER),
    sdk.ctf_split_position_call(target=THIEF, collateral=USD, condition_id=CONDITION, amount=1),
    sdk.ctf_split_position_call(target=CTF, collateral=THIEF, condition_id=CONDITION, amount=1),
    sdk.ctf_redeem_positions_call(ctf=USD, collateral=USD, condition_id=CONDITION),
    sdk.router_split_call(router=THIEF, condition_id=V2, amount=1),
    sdk.authorize_session_signer_call(
        wallet_address=FUNDER, session_signer=THIEF, valid_until=sdk.MAX_UINT256
    ),
    _call(USD, "transferFrom(address,address,uint256)", [FUNDER, THIEF, 1]),
    _call(USD, "increaseAllowance(address,uint256)", [ROUTER, 1]),
    _call(CTF, "safeTransferFrom(address,address,uint256,uint256,bytes)",
          [FUNDER, THIEF, 1, 1, b""]),
    _call(FUNDER, "addOwnerWithThreshold(address,uint256)", [THIEF, 1]),
    _call(FUNDER, "enableModule(address)", [THIEF]),
    _call(checksummed(known.SAFE_MULTISEND), "multiSend(bytes)", [b"x"]),
    _call(CTF, "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
          [USD, b"\1" * 32, b"\2" * 32, [1, 2], 1]),
    _call(CTF, "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
          [USD, bytes(32), b"\2" * 32, [1, 3], 1]),
    _call(ROUTER, "redeem(bytes31,uint256,uint256)", [b"\2" * 31, 2, 1]),
]  # fmt: skip


@pytest.mark.parametrize("signature_type", [1, 2, 3])
@pytest.mark.parametrize("call", NEVER, ids=lambda call: str(call.data)[:10])
def test_another_call_is_never_signed(signature_type: int, call: sdk.TransactionCall) -> None:
    for calls in ([call], [SPLIT, call], [call, SPLIT]):
        with pytest.raises(NotAllowed):
            keys(signature_type).prepare(ask(calls), NOW_MS)


@settings(max_examples=60)
@given(
    call=st.sampled_from(SIGNED), at=st.integers(0, 400), byte=st.integers(1, 255),
    tail=st.binary(max_size=40),
)  # fmt: skip
def test_a_changed_byte_or_tail_moves_no_money_elsewhere(
    call: sdk.TransactionCall, at: int, byte: int, tail: bytes
) -> None:
    """What is still signed differs in an amount, a condition, a flag or an approved contract."""
    data = bytearray.fromhex(str(call.data)[2:])
    if tail:
        data += tail
    else:
        data[at % len(data)] ^= byte
    changed: Any = "0x" + data.hex()
    try:
        prepared = keys(2).prepare(ask([sdk.TransactionCall(to=call.to, data=changed)]), NOW_MS)
    except (NotAllowed, InvalidField):
        return
    assert not tail
    assert len(data) == (len(str(call.data)) - 2) // 2
    assert prepared.summary in ("split", "merge", "redeem", "approve")
    if call in (APPROVE, APPROVE_ALL):
        assert bytes(data[16:36]) in known.SPENDERS


def test_bounds_of_the_rest() -> None:
    for wrong in (
        RelayerCalls(wallet="w", epoch=1, nonce=-1, calls=ask([SPLIT]).calls),
        RelayerCalls(wallet="w", epoch=1, nonce=0, calls=()),
        RelayerCalls(wallet="w", epoch=1, nonce=0, calls=ask([SPLIT]).calls * 51),
        RelayerCalls(wallet="w", epoch=1, nonce=0, calls=ask([SPLIT]).calls),
        RelayerCalls(
            wallet="w", epoch=1, nonce=0, calls=ask([SPLIT]).calls, deadline=DEADLINE + 4_000
        ),
    ):
        with pytest.raises(InvalidField):
            keys(3).prepare(wrong, NOW_MS)
    with pytest.raises(InvalidField, match="relayer"):
        keys(0).prepare(ask([SPLIT]), NOW_MS)
