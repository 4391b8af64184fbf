"""Risk of bots: limits of one bot, and of all bots of a wallet, an exchange and a tenant. Pure."""

from services.bots.core.risk.exposure import (
    CONTRACTS,
    Equity,
    Exposure,
    MarkPoint,
    gross_notional,
    market_of,
    net_notional,
    reduces,
    reserved,
    result,
    worst_position,
)
from services.bots.core.risk.judgement import (
    Closed,
    admits,
    breaches,
    closed,
    near_liquidation,
)
from services.bots.core.risk.limits import Breach, LimitError, RiskLimits, breach, limits_of
from tradingtools.domain.bot_risk import RULES, RiskAction, RiskLimit

__all__ = [
    "CONTRACTS",
    "RULES",
    "Breach",
    "Closed",
    "Equity",
    "Exposure",
    "LimitError",
    "MarkPoint",
    "RiskAction",
    "RiskLimit",
    "RiskLimits",
    "admits",
    "breach",
    "breaches",
    "closed",
    "gross_notional",
    "limits_of",
    "market_of",
    "near_liquidation",
    "net_notional",
    "reduces",
    "reserved",
    "result",
    "worst_position",
]
