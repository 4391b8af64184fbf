"""Balances, positions, configuration, fees and bills as rows."""

from __future__ import annotations

from collections.abc import Sequence

from paper.okx.core import funds
from paper.okx.core.amounts import ONE, ratio, show
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Account
from paper.okx.core.margin import Position
from paper.okx.core.orders import Order
from paper.okx.core.tiers import Tier
from paper.okx.core.world import Bill, World
from paper.okx.wire.envelope import Json
from paper.okx.wire.prices import dollars, in_dollars


def balance_row(world: World, account: Account, desired: Sequence[str] = ()) -> Json:
    """An account's balance, all currencies or those wanted."""
    orders = world.open_orders(account.name)
    known = sorted(set(account.cash) | {p.instrument.settle for p in account.positions.values()})
    details = [
        _detail(world, account, orders, currency)
        for currency in known
        if not desired or currency in desired
    ]
    total = sum(_equity(world, account, c) * dollars(world, c) // ONE for c in known)
    isolated = sum(_isolated(world, account, c)[0] * dollars(world, c) // ONE for c in known)
    # Empty: fields of account modes that are not offered here.
    row: Json = dict.fromkeys(
        (
            "adjEq",
            "availEq",
            "borrowFroz",
            "delta",
            "deltaLever",
            "deltaNeutralStatus",
            "imr",
            "mgnRatio",
            "mmr",
            "notionalUsd",
            "notionalUsdForBorrow",
            "notionalUsdForFutures",
            "notionalUsdForOption",
            "notionalUsdForSwap",
            "ordFroz",
            "upl",
        ),
        "",
    )
    return row | {
        "details": details,
        "isoEq": show(isolated),
        "totalEq": show(total),
        "uTime": str(account.updated_ms),
    }


def _detail(world: World, account: Account, orders: list[Order], currency: str) -> Json:
    futures = account.mode == "2"
    bound = funds.frozen(account, orders, currency)
    iso_equity, iso_gain = _isolated(world, account, currency)
    equity = _equity(world, account, currency)
    initial = funds.initial(account, currency, world.marks)
    free = max(0, funds.available(account, orders, currency, world.marks))
    cash = max(0, funds.available_cash(account, orders, currency, world.marks))
    counted, demanded = funds.pool_margin(account, orders, currency, world.marks, world.tiers)
    kept = sum(
        funds.need(account, p, world.marks[p.instrument.inst_id], _tiers(world, p)).maintenance
        for p in funds.crossed(account, currency)
    )
    gain = equity - account.cash[currency] - iso_equity + iso_gain
    row: Json = dict.fromkeys(_NOT_OFFERED, "")
    return row | {
        "autoLendAmt": "0",
        "autoLendMtAmt": "0",
        "autoLendStatus": "off",
        "availBal": show(cash),
        "availEq": show(free) if futures else "",
        "cashBal": show(account.cash[currency]),
        "ccy": currency,
        "coinUsdPrice": show(dollars(world, currency)),
        "colBorrAutoConversion": "0",
        "collateralEnabled": False,
        "collateralRestrict": False,
        "colRes": "0",
        "disEq": show(in_dollars(world, equity, currency)),
        "eq": show(equity),
        "eqUsd": show(in_dollars(world, equity, currency)),
        "fixedBal": "0",
        "frozenBal": show(bound + initial + iso_equity),
        "frpType": "0",
        "imr": show(initial) if futures else "",
        "isoEq": show(iso_equity) if futures else "",
        "isoUpl": show(iso_gain) if futures else "",
        "mgnRatio": ratio(counted, demanded) if futures else "",
        "mmr": show(kept) if futures else "",
        "notionalLever": "0" if futures else "",
        "ordFrozen": show(bound),
        "rewardBal": "0",
        "smtSyncEq": "0",
        "spotCopyTradingEq": "0",
        "spotIsoBal": "0",
        "stgyEq": "0",
        "twap": "0",
        "uTime": str(account.updated_ms),
        "upl": show(gain) if futures else "",
    }


_NOT_OFFERED = (
    "accAvgPx",
    "borrowFroz",
    "clSpotInUseAmt",
    "crossLiab",
    "interest",
    "isoLiab",
    "liab",
    "maxLoan",
    "maxSpotInUse",
    "maxSpotInUseAmt",
    "openAvgPx",
    "spotBal",
    "spotInUseAmt",
    "spotUpl",
    "spotUplRatio",
    "totalPnl",
    "totalPnlRatio",
    "uplLiab",
)


def _isolated(world: World, account: Account, currency: str) -> tuple[int, int]:
    """Equity and gain of a currency's isolated positions."""
    held = [
        p
        for p in account.positions.values()
        if p.lots and p.mode == "isolated" and p.instrument.settle == currency
    ]
    gain = sum(p.gain(world.marks[p.instrument.inst_id]) for p in held)
    return sum(p.margin for p in held) + gain, gain


def _equity(world: World, account: Account, currency: str) -> int:
    isolated, _ = _isolated(world, account, currency)
    return funds.equity(account, currency, world.marks) + isolated


def _tiers(world: World, position: Position) -> Sequence[Tier]:
    return world.tiers[position.instrument.inst_id]


def config_row(account: Account, permissions: Sequence[str], ip: str) -> Json:
    """The account's configuration."""
    return {
        "acctLv": account.mode,
        "acctStpMode": "cancel_maker",
        "autoLoan": False,
        "ctIsoMode": "automatic",
        "enableSpotBorrow": False,
        "feeType": "0",
        "greeksType": "PA",
        "ip": ip,
        "kycLv": "3",
        "label": account.name,
        "level": account.fees.level,
        "levelTmp": "",
        "liquidationGear": "-1",
        "mainUid": account.name,
        "mgnIsoMode": "automatic",
        "opAuth": "0",
        "perm": ",".join(permissions),
        "posMode": "net_mode",
        "roleType": "0",
        "settleCcy": "USDT",
        "settleCcyList": ["USDT"],
        "spotBorrowAutoRepay": False,
        "spotOffsetType": "",
        "spotRoleType": "0",
        "spotTraderInsts": [],
        "stgyType": "0",
        "traderInsts": [],
        "type": "0",
        "uid": account.name,
    }


def fee_row(account: Account, kind: str, now_ms: int) -> Json:
    """The account's fee rates for a kind of instruments; what is paid is below zero."""
    contract = kind != "SPOT"
    maker = show(-account.fees.rate(contract=contract, maker=True) * ONE // 10**6)
    taker = show(-account.fees.rate(contract=contract, maker=False) * ONE // 10**6)
    group = {
        "groupId": "4" if contract else "1",
        "maker": maker,
        "taker": taker,
        "elpMaker": maker,
        "rpiMaker": maker,
    }
    return {
        "category": "1",
        "delivery": "0" if kind == "FUTURES" else "",
        "exercise": "",
        "feeGroup": [group],
        "fiat": [],
        "instType": kind,
        "level": account.fees.level,
        "maker": "" if contract else maker,
        "makerU": maker if contract else "",
        "makerUSDC": maker,
        "ruleType": "normal",
        "taker": "" if contract else taker,
        "takerU": taker if contract else "",
        "takerUSDC": taker,
        "ts": str(now_ms),
    }


def leverage_row(of: Instrument, mode: str, leverage: int) -> Json:
    """A contract's leverage in a margin mode."""
    return {
        "ccy": "",
        "instId": of.inst_id,
        "lever": str(leverage),
        "mgnMode": mode,
        "posSide": "net",
    }


def bill_row(world: World, bill: Bill) -> Json:
    """A change of a balance."""
    of = world.instruments.get(bill.inst_id)
    return {
        "bal": show(bill.balance),
        "balChg": show(bill.change),
        "billId": world.shown_id(bill.bill_id),
        "ccy": bill.currency,
        "clOrdId": "",
        "execType": "",
        "fee": "0",
        "instId": bill.inst_id,
        "instType": "" if of is None else of.kind,
        "interest": "",
        "mgnMode": bill.mode if bill.mode != "cash" else "",
        "notes": "",
        "ordId": bill.ord_id,
        "pnl": "0",
        "posBal": "",
        "posBalChg": "",
        "px": "",
        "subType": _BILL_SUBTYPES[bill.kind][bill.change < 0],
        "sz": show(abs(bill.change)),
        "tag": "",
        "tradeId": "",
        "ts": str(bill.at_ms),
        "type": bill.kind,
    }


_BILL_SUBTYPES = {
    "1": ("11", "12"),
    "2": ("1", "2"),
    "3": ("112", "113"),
    "5": ("104", "105"),
    "6": ("160", "161"),
    "8": ("174", "173"),
}
