"""The fields of OKX's answers and rows with their kinds, as its API documentation names them.

A shape has a kind for each field. A list of one kind is a list of any length, a tuple has a kind
for each place. A kind whose name begins with `maybe` allows an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TypeAlias

Kind: TypeAlias = "str | Mapping[str, Kind] | Sequence[Kind]"

PATTERNS = {
    "decimal": r"-?[0-9]+(\.[0-9]+)?",
    "maybe_decimal": r"(-?[0-9]+(\.[0-9]+)?)?",
    "ms": r"[0-9]{13}",
    "maybe_ms": r"([0-9]{13}|0)?",
    "micros": r"[0-9]{16}",
    "boolean": "true|false",
    "word": r"[^\s]+",
    "text": r".*",
}
"""The kinds that are texts; `flag` is a boolean of JSON, `number` a whole number of JSON."""


def shape(**names: str) -> dict[str, Kind]:
    """Return a shape of the names of each kind."""
    return {name: kind for kind, listed in names.items() for name in listed.split()}


def answer(*rows: Kind) -> dict[str, Kind]:
    """Return the shape of an answer of REST."""
    return {"code": "decimal", "msg": "text", "data": list(rows)}


INSTRUMENT = shape(
    word="instId instType ruleType state",
    text="""alias baseCcy category ctType ctValCcy instFamily optType quoteCcy settleCcy stk uly""",
    decimal="lever lotSz maxIcebergSz maxLmtAmt maxLmtSz maxTriggerSz maxTwapSz minSz tickSz",
    maybe_decimal="ctMult ctVal maxMktAmt maxMktSz maxStopSz",
    ms="listTime",
    maybe_ms="auctionEndTime expTime",
)
FUTURE = INSTRUMENT
SWAP = {
    **INSTRUMENT,
    **shape(
        flag="futureSettlement",
        maybe_decimal="maxPlatOILmt posLmtAmt posLmtPct",
        maybe_ms="contTdSwTime preMktSwTime",
        number="instIdCode",
        text="openType",
    ),
    "tradeQuoteCcyList": ["word"],
}
SPOT = {
    **INSTRUMENT,
    **shape(
        flag="futureSettlement",
        maybe_ms="contTdSwTime preMktSwTime",
        number="instIdCode",
        text="openType",
        word="groupId",
    ),
    "tradeQuoteCcyList": ["word"],
    "upcChg": [shape(word="param", decimal="newValue", ms="effTime")],
}
POSITION_TIER = shape(
    decimal="imr maxLever maxSz minSz mmr tier",
    maybe_decimal="baseMaxLoan optMgnFactor quoteMaxLoan",
    text="instFamily instId uly",
)

LEVEL: tuple[Kind, ...] = ("decimal",) * 4
REST_BOOK = {**shape(ms="ts"), "asks": [LEVEL], "bids": [LEVEL]}
BBO = {**REST_BOOK, **shape(number="seqId")}
BOOK = {**REST_BOOK, **shape(number="checksum prevSeqId seqId")}
TRADE = shape(word="instId side tradeId", decimal="px sz", ms="ts")
PUSHED_TRADE = {**TRADE, **shape(decimal="count")}
TICKER = shape(
    word="instId instType",
    decimal="lastSz vol24h volCcy24h",
    maybe_decimal="""askPx askSz bidPx bidSz high24h last low24h open24h sodUtc0 sodUtc8""",
    ms="ts",
)
INDEX_TICKER = shape(word="instId", decimal="high24h idxPx low24h open24h sodUtc0 sodUtc8", ms="ts")
CANDLE: tuple[Kind, ...] = ("ms", *("decimal",) * 8)
MARK_PRICE = shape(word="instId instType", decimal="markPx", ms="ts")
PRICE_LIMIT = shape(word="instId instType", decimal="buyLmt sellLmt", flag="enabled", ms="ts")
FUNDING = shape(
    word="instId",
    decimal="fundingRate",
    maybe_decimal="nextFundingRate",
    ms="fundingTime nextFundingTime ts",
)
SETTLED_FUNDING = shape(
    word="instId instType", decimal="fundingRate realizedRate", ms="fundingTime"
)

ACCOUNT_CONFIG = {
    **shape(
        word="""acctLv acctStpMode ctIsoMode greeksType level mainUid mgnIsoMode perm posMode
            roleType type uid""",
        text="""feeType ip kycLv label levelTmp liquidationGear opAuth settleCcy spotOffsetType
            spotRoleType stgyType""",
        flag="autoLoan enableSpotBorrow spotBorrowAutoRepay",
    ),
    "settleCcyList": ["word"],
    "spotTraderInsts": ["word"],
    "traderInsts": ["word"],
}
BALANCE_DETAIL = shape(
    word="ccy",
    decimal="availBal cashBal eq eqUsd frozenBal ordFrozen",
    maybe_decimal="""accAvgPx availEq borrowFroz clSpotInUseAmt crossLiab disEq fixedBal imr
        interest isoEq isoLiab isoUpl liab maxLoan maxSpotInUseAmt mgnRatio mmr notionalLever
        openAvgPx rewardBal smtSyncEq spotBal spotCopyTradingEq spotInUseAmt spotIsoBal spotUpl
        spotUplRatio stgyEq totalPnl totalPnlRatio twap upl uplLiab""",
    flag="collateralEnabled",
    ms="uTime",
)
BALANCE = {
    **shape(
        decimal="totalEq",
        maybe_decimal="""adjEq borrowFroz imr isoEq mgnRatio mmr notionalUsd notionalUsdForBorrow
            notionalUsdForFutures notionalUsdForOption notionalUsdForSwap ordFroz upl""",
        ms="uTime",
    ),
    "details": [BALANCE_DETAIL],
}
PUSHED_BALANCE = {
    **BALANCE,
    **shape(maybe_decimal="availEq"),
    "details": [
        BALANCE_DETAIL
        | shape(decimal="coinUsdPrice", maybe_decimal="colBorrAutoConversion")
        | shape(flag="collateralRestrict")
    ],
}
POSITION = shape(
    word="ccy instId instType mgnMode posId posSide",
    text="posCcy spotInUseCcy tradeId",
    decimal="""adl avgPx fee fundingFee lever liqPenalty markPx notionalUsd pnl pos realizedPnl upl
        uplRatio""",
    maybe_decimal="""availPos baseBal bePx idxPx interest last liqPx margin mgnRatio mmr optVal
        pendingCloseOrdLiabVal quoteBal quoteBorrowed quoteInterest spotInUseAmt uplLastPx
        uplRatioLastPx usdPx""",
    ms="cTime uTime",
)
FEES = {
    **shape(
        word="category instType level ruleType",
        maybe_decimal="delivery exercise maker makerU makerUSDC taker takerU takerUSDC",
        ms="ts",
    ),
    "feeGroup": [shape(word="groupId", decimal="maker taker", maybe_decimal="elpMaker rpiMaker")],
    "fiat": ["text"],
}

ORDER = {
    **shape(
        word="category feeCcy instId instType ordId ordType side state tdMode",
        text="""algoClOrdId algoId attachAlgoClOrdId cancelSource cancelSourceReason ccy clOrdId
            posSide pxType quickMgnType rebateCcy slTriggerPxType source stpId stpMode tag tgtCcy
            tpTriggerPxType tradeId""",
        boolean="isTpLimit reduceOnly",
        decimal="accFillSz fee pnl rebate sz",
        maybe_decimal="""avgPx fillPx fillSz lever px pxUsd pxVol slOrdPx slTriggerPx tpOrdPx
            tpTriggerPx""",
        ms="cTime uTime",
        maybe_ms="fillTime",
    ),
    "attachAlgoOrds": ["text"],
    "linkedAlgoOrd": shape(text="algoId"),
}
PUSHED_ORDER = {**ORDER, **shape(text="execType")}
FILL = shape(
    word="billId execType feeCcy instId instType ordId side tradeId",
    text="clOrdId",
    decimal="fee fillPx fillSz",
    ms="ts",
)
LIQUIDATION_WARNING = shape(
    word="ccy instId instType mgnMode posId posSide",
    text="instFamily posCcy",
    decimal="lever markPx mgnRatio pos",
    ms="cTime pTime uTime",
)

OPERATION = {
    **answer(shape(text="clOrdId ordId sMsg tag", decimal="sCode", ms="ts")),
    **shape(micros="inTime outTime"),
}
POSITION_MODE = shape(word="posMode")


def same(ours: object, kind: Kind, newer: Set[str] = frozenset(), path: str = "") -> None:
    """Compare fields and kinds, of all rows of a list."""
    if isinstance(kind, dict):
        assert isinstance(ours, dict), f"{path}: {ours!r}"
        assert kind.keys() - ours.keys() == set(), path
        assert ours.keys() - kind.keys() - newer == set(), path
        for name, one in kind.items():
            same(ours[name], one, newer, f"{path}.{name}")
    elif isinstance(kind, list):
        assert isinstance(ours, list), f"{path}: {ours!r}"
        for one in ours:
            same(one, kind[0], newer, f"{path}[]")
    elif isinstance(kind, tuple):
        assert isinstance(ours, list), f"{path}: {ours!r}"
        assert len(ours) == len(kind), path
        for one, of in zip(ours, kind, strict=True):
            same(one, of, newer, f"{path}[]")
    else:
        assert isinstance(kind, str)
        assert fits(ours, kind), f"{path}: {ours!r} is no {kind}"


def fits(value: object, kind: str) -> bool:
    """Return whether a value is of a kind that has no parts."""
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str) and re.fullmatch(PATTERNS[kind], value) is not None
