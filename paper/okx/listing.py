"""The listing: instruments and tiers of a table of figures, dated contracts with their next expiry.

Contract values, ticks and lots are those of the instruments at OKX of the same name; the bands of
the tiers are this project's. The rows have the fields that OKX's documentation names for
`GET /api/v5/public/instruments` and `GET /api/v5/public/position-tiers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paper.okx.core.instruments import Instrument, Kind, parse
from paper.okx.core.tiers import Tier, parse_tier

Row = dict[str, object]

_SINCE_MS = str(int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000))
_ANY_VALUE = "20000000"
"""The most that a limit order may be worth, in US dollars."""


@dataclass(frozen=True, slots=True)
class _InstrumentFigures:
    """The figures of an instrument; amounts as OKX writes them."""

    kind: Kind
    pair: str
    code: int
    tick: str
    lot: str
    least: str
    most_at_market: str
    contract: str = ""
    """The value of a contract: in coins, where the pair is one with the US dollar in dollars."""


_LISTED = (
    _InstrumentFigures("SPOT", "BTC-USDT", 4, "0.1", "0.00000001", "0.00001", "1000000"),
    _InstrumentFigures("SPOT", "ETH-USDT", 5, "0.01", "0.000001", "0.0001", "1000000"),
    _InstrumentFigures("SWAP", "BTC-USDT", 10459, "0.1", "0.01", "0.01", "12000", "0.01"),
    _InstrumentFigures("SWAP", "ETH-USDT", 10461, "0.01", "0.01", "0.01", "20000", "0.1"),
    _InstrumentFigures("SWAP", "BTC-USD", 10458, "0.1", "1", "1", "30000", "100"),
    _InstrumentFigures("FUTURES", "BTC-USDT", 20459, "0.1", "0.01", "0.01", "12000", "0.01"),
    _InstrumentFigures("FUTURES", "BTC-USD", 20458, "0.1", "1", "1", "10000", "100"),
)
_LEVERAGE: Mapping[Kind, str] = {"SPOT": "10", "SWAP": "100", "FUTURES": "20"}
_MAX: Mapping[Kind, str] = {"SPOT": "9999999999", "SWAP": "100000000", "FUTURES": "100000000"}

_TIERS = (
    (100, "0.004"),
    (75, "0.005"),
    (50, "0.01"),
    (33, "0.015"),
    (25, "0.02"),
    (16, "0.03"),
    (10, "0.05"),
    (5, "0.1"),
)
"""The highest leverage and the maintenance rate of each tier."""
_TIER_ENDS = {
    "BTC-USDT": (1_000, 4_000, 10_000, 20_000, 40_000, 80_000, 150_000, 300_000),
    "ETH-USDT": (2_000, 8_000, 20_000, 40_000, 80_000, 160_000, 300_000, 600_000),
    "BTC-USD": (3_000, 10_000, 30_000, 60_000, 120_000, 250_000, 500_000, 1_000_000),
}
"""The contracts at which each tier ends."""


def quarter_end(now_ms: int) -> datetime:
    """The next last Friday of March, June, September or December at 08:00 UTC, at least a week
    away."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    for ahead in range(3):
        months = now.year * 12 + (now.month - 1) // 3 * 3 + 3 + 3 * ahead
        end = datetime(months // 12, months % 12 + 1, 1, 8, tzinfo=UTC) - timedelta(days=1)
        friday = end - timedelta(days=(end.weekday() - 4) % 7)
        if friday - now >= timedelta(days=7):
            return friday
    raise AssertionError("a quarter has an end")


def instruments(now_ms: int) -> list[Instrument]:
    """The instruments that are traded at a time."""
    return [parse(_row(one, now_ms)) for one in _LISTED]


def tiers(listed: Sequence[Instrument]) -> Mapping[str, Sequence[Tier]]:
    """The tiers of each contract by its instrument id."""
    families = {
        family: [parse_tier(row) for row in _tier_rows(family, ends)]
        for family, ends in _TIER_ENDS.items()
    }
    return {one.inst_id: families[one.family] for one in listed if one.is_contract}


def tier_rows() -> list[Row]:
    """The rows of the tiers as the exchange shows them."""
    return [dict(row) for family, ends in _TIER_ENDS.items() for row in _tier_rows(family, ends)]


def _tier_rows(family: str, ends: Sequence[int]) -> list[dict[str, str]]:
    blank = dict.fromkeys(("baseMaxLoan", "quoteMaxLoan", "instId"), "")
    return [
        blank
        | {
            "tier": str(at + 1),
            "instFamily": family,
            "uly": family,
            "minSz": str(ends[at - 1] if at else 0),
            "maxSz": str(ends[at]),
            "maxLever": str(leverage),
            "imr": f"{10**6 // leverage / 10**6:g}",
            "mmr": maintenance,
            "optMgnFactor": "0",
        }
        for at, (leverage, maintenance) in enumerate(_TIERS)
    ]


def _row(one: _InstrumentFigures, now_ms: int) -> Row:
    """An instrument as the exchange shows it."""
    special = _spot_fields(one) if one.kind == "SPOT" else _contract_fields(one, now_ms)
    sizes = dict.fromkeys(("maxLmtSz", "maxIcebergSz", "maxTriggerSz", "maxTwapSz"), _MAX[one.kind])
    return {
        **_BLANK,
        **sizes,
        "instType": one.kind,
        "instIdCode": one.code,
        "category": "1",
        "lever": _LEVERAGE[one.kind],
        "listTime": _SINCE_MS,
        "lotSz": one.lot,
        "maxLmtAmt": _ANY_VALUE,
        "maxMktSz": one.most_at_market,
        "maxStopSz": one.most_at_market,
        "minSz": one.least,
        "ruleType": "normal",
        "state": "live",
        "tickSz": one.tick,
        "futureSettlement": False,
        "tradeQuoteCcyList": [],
        "upcChg": [],
        **special,
    }


_BLANK = dict.fromkeys(
    (
        *("alias", "auctionEndTime", "baseCcy", "contTdSwTime", "ctMult", "ctType", "ctVal"),
        *("ctValCcy", "expTime", "instFamily", "maxMktAmt", "maxPlatOILmt", "openType", "optType"),
        *("posLmtAmt", "posLmtPct", "preMktSwTime", "quoteCcy", "settleCcy", "stk", "uly"),
    ),
    "",
)


def _spot_fields(one: _InstrumentFigures) -> Row:
    base, quote = one.pair.split("-")
    return {
        "instId": one.pair,
        "groupId": "1",
        "baseCcy": base,
        "quoteCcy": quote,
        "tradeQuoteCcyList": [quote],
        "maxMktAmt": "1000000",
    }


def _contract_fields(one: _InstrumentFigures, now_ms: int) -> Row:
    base, quote = one.pair.split("-")
    inverse = quote == "USD"
    found: Row = {
        "instId": f"{one.pair}-SWAP",
        "groupId": "4",
        "instFamily": one.pair,
        "uly": one.pair,
        "ctMult": "1",
        "ctType": "inverse" if inverse else "linear",
        "ctVal": one.contract,
        "ctValCcy": quote if inverse else base,
        "settleCcy": base if inverse else quote,
    }
    if one.kind == "FUTURES":
        end = quarter_end(now_ms)
        found |= {
            "instId": f"{one.pair}-{end:%y%m%d}",
            "alias": "quarter",
            "expTime": str(int(end.timestamp() * 1000)),
        }
    return found
