"""Calls that change sets: to the byte those of the venue's own client."""

from __future__ import annotations

from typing import Any

import pytest
from polymarket._internal.actions.relayer import calls as sdk
from polymarket.environments import PRODUCTION

from tradingtools.domain.signing import Call
from tradingtools.venues.outcome_sets import SetAction
from tradingtools.venues.polymarket import contracts
from tradingtools.venues.polymarket.eip712 import EncodingError
from tradingtools.venues.polymarket.set_calls import call_of, through_proxy

CONDITION = "0x" + "5a" * 32
V1 = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
V2_CONDITION = "0x01" + "5a" * 15 + "00" * 15
YES, NO = (str(int(V2_CONDITION + outcome, 16)) for outcome in ("00", "01"))
CONFIG: Any = PRODUCTION._config


def made(action: SetAction, asset: str, *, neg_risk: bool = False, size: int = 7_000_000) -> Call:
    return call_of(action, asset_id=asset, condition_id=CONDITION, neg_risk=neg_risk, size=size)


def theirs(call: sdk.TransactionCall) -> Call:
    return Call(to=str(call.to), data=str(call.data))


@pytest.mark.parametrize("neg_risk", [False, True])
def test_sets_of_protocol_v1_go_through_the_adapter(neg_risk: bool) -> None:
    adapter = CONFIG.neg_risk_collateral_adapter if neg_risk else CONFIG.collateral_adapter
    about: Any = {"collateral": CONFIG.collateral_token, "condition_id": CONDITION}
    sized: Any = {"target": adapter, "amount": 7_000_000, **about}

    def ours(action: SetAction) -> Call:
        return made(action, V1, neg_risk=neg_risk)

    assert ours(SetAction.SPLIT) == theirs(sdk.ctf_split_position_call(**sized))
    assert ours(SetAction.MERGE) == theirs(sdk.ctf_merge_positions_call(**sized))
    assert ours(SetAction.REDEEM) == theirs(sdk.ctf_redeem_positions_call(ctf=adapter, **about))


@pytest.mark.parametrize(("asset", "outcome"), [(YES, 0), (NO, 1)])
def test_sets_of_protocol_v2_go_through_the_router(asset: str, outcome: int) -> None:
    about: Any = {"router": CONFIG.protocol_v2_router, "condition_id": V2_CONDITION, "amount": 7}
    redeem = sdk.router_redeem_call(outcome_index=outcome, **about)
    assert made(SetAction.SPLIT, asset, size=7) == theirs(sdk.router_split_call(**about))
    assert made(SetAction.MERGE, asset, size=7) == theirs(sdk.router_merge_call(**about))
    assert made(SetAction.REDEEM, asset, size=7) == theirs(redeem)


@pytest.mark.parametrize("action", list(SetAction))
@pytest.mark.parametrize("asset", [V1, YES])
def test_a_proxy_wallet_makes_the_same_call(action: SetAction, asset: str) -> None:
    call: Any = made(action, asset)
    one = sdk.TransactionCall(to=call.to, data=call.data)
    assert through_proxy(call) == sdk.encode_proxy_call([one])


def test_the_contracts_are_those_of_the_venue() -> None:
    derived = CONFIG.wallet_derivation
    assert CONFIG.collateral_adapter == contracts.ADAPTER
    assert CONFIG.neg_risk_collateral_adapter == contracts.NEG_RISK_ADAPTER
    assert CONFIG.protocol_v2_router == contracts.ROUTER
    assert CONFIG.collateral_token == contracts.COLLATERAL
    assert CONFIG.relay_hub == contracts.RELAY_HUB
    assert derived.proxy_factory == contracts.PROXY_FACTORY
    assert derived.deposit_wallet_factory == contracts.DEPOSIT_WALLET_FACTORY


def test_a_condition_that_is_none_is_named() -> None:
    with pytest.raises(EncodingError, match="conditionId"):
        call_of(SetAction.MERGE, asset_id=V1, condition_id="0x12", neg_risk=False, size=1)
