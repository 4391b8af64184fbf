"""Calls of contracts that change sets of outcomes, done to the exchange's own ledger."""

from __future__ import annotations

from collections.abc import Sequence

from paper.clob.core import abi
from paper.clob.core.exchange import Exchange
from paper.clob.core.relayed import Call

COLLATERAL = "0xc011a7e12a19f7b1f670d46f03b03f3342e82dfb"
CONDITIONAL_TOKENS = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"
ADAPTER = "0xada100db00ca00073811820692005400218fce1f"
NEG_RISK_ADAPTER = "0xada2005600dec949baf300f4c6120000bdb6eaab"
ROUTER = "0x12121212006e4cd160d18e3f00711da5c3372600"
_SPLIT = abi.selector("splitPosition(address,bytes32,bytes32,uint256[],uint256)")
_MERGE = abi.selector("mergePositions(address,bytes32,bytes32,uint256[],uint256)")
_REDEEM = abi.selector("redeemPositions(address,bytes32,bytes32,uint256[])")
_ROUTER_SPLIT = abi.selector("split(bytes31,uint256)")
_ROUTER_MERGE = abi.selector("merge(bytes31,uint256)")
_ROUTER_REDEEM = abi.selector("redeem(bytes31,uint256,uint256)")
_APPROVALS = (
    (COLLATERAL, abi.selector("approve(address,uint256)")),
    (CONDITIONAL_TOKENS, abi.selector("setApprovalForAll(address,bool)")),
)


class SetCalls:
    """Does what calls say.

    Args:
        exchange: whose wallets and markets they are about.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def make(self, wallet: str, calls: Sequence[Call], now_ms: int) -> None:
        """Do all of them. Raises ValueError: the one that cannot be done; nothing was."""
        doing = [one for one in calls if (one[0], one[1][:4]) not in _APPROVALS]
        if not doing:
            return
        if len(doing) != 1:
            # What the first has done would have to be taken back.
            raise ValueError("one call at a time is done here")
        ((contract, data),) = doing
        if contract == ROUTER:
            self._route(wallet, data, now_ms)
        elif contract in (ADAPTER, NEG_RISK_ADAPTER):
            self._adapt(wallet, contract, data, now_ms)
        else:
            raise ValueError("execution reverted: no such contract")

    def _adapt(self, wallet: str, contract: str, data: bytes, now_ms: int) -> None:
        kind, rest = data[:4], data[4:]
        condition = "0x" + abi.word(rest, 64).hex()
        if abi.address(rest, 0) != COLLATERAL or abi.number(rest, 32):
            raise ValueError("execution reverted: another collateral or a parent")
        if not abi.is_both(abi.numbers(rest, 96)):
            raise ValueError("execution reverted: not both outcomes")
        state = self._exchange.market(condition)
        if state is None or state.market.neg_risk != (contract == NEG_RISK_ADAPTER):
            raise ValueError("execution reverted: a market of another adapter")
        if kind == _REDEEM:
            self._exchange.redeem(wallet, condition)
        elif kind in (_SPLIT, _MERGE):
            size = abi.number(rest, 128)
            self._change(wallet, condition, size if kind == _SPLIT else -size, now_ms)
        else:
            raise ValueError("execution reverted: no such function")

    def _route(self, wallet: str, data: bytes, now_ms: int) -> None:
        kind, rest = data[:4], data[4:]
        position = abi.number(rest, 0) >> 8
        condition = next(
            (
                state.market.condition
                for state in self._exchange.markets()
                if int(state.market.assets[0]) >> 8 == position
            ),
            "",
        )
        if kind == _ROUTER_REDEEM:
            self._exchange.redeem(wallet, condition)
        elif kind in (_ROUTER_SPLIT, _ROUTER_MERGE):
            size = abi.number(rest, 32)
            self._change(wallet, condition, size if kind == _ROUTER_SPLIT else -size, now_ms)
        else:
            raise ValueError("execution reverted: no such function")

    def _change(self, wallet: str, condition: str, size: int, now_ms: int) -> None:
        if not size:
            raise ValueError("execution reverted: nothing to do")
        self._exchange.change_sets(wallet, condition, size, now_ms)
