"""The limits of bots, and what reaching each of them does: one table.

Shared by the engine, which obeys it, by REST, which tells it, and by the documents. A limit that is
not set does not exist; one of zero lets nothing in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RiskAction(StrEnum):
    """The consequence of a limit that is reached, from the mildest to the hardest."""

    REFUSE = "REFUSE"
    """An order that would pass it is not sent; what only reduces a holding goes."""
    REDUCE_ONLY = "REDUCE_ONLY"
    """Besides, what rests and could open is cancelled, as long as the limit is reached."""
    CANCEL_AND_STOP = "CANCEL_AND_STOP"
    """RISK_STOPPED: every order is cancelled, what is held stays; only a person resumes it."""
    FLATTEN_AND_STOP = "FLATTEN_AND_STOP"
    """RISK_STOPPED, and what is held is closed."""


class RiskLimit(StrEnum):
    """The limits. Values are what settings, reasons, events and REST call them."""

    MAX_POSITION = "max_position"
    MAX_NOTIONAL = "max_notional"
    MAX_EXPOSURE = "max_exposure"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_ORDERS_PER_MINUTE = "max_orders_per_minute"
    MAX_OPEN_ORDERS = "max_open_orders"
    MAX_LEVERAGE = "max_leverage"
    MAX_FUNDING_RATE = "max_funding_rate"
    MAX_MARKET_LOSS = "max_market_loss"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MAX_UNREALISED_LOSS = "max_unrealised_loss"
    MIN_LIQUIDATION_BUFFER = "min_liquidation_buffer"
    STALE_MARKS = "stale_marks"
    ORDER_AFTER_ITS_END = "order_after_its_end"
    POSITION_MISSING = "position_missing"
    KILL_SWITCH = "kill_switch"
    CLOSED_BY_EXCHANGE = "closed_by_exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table."""

    action: RiskAction
    meaning: str
    """The measure that is compared, for a person."""


_L, _A = RiskLimit, RiskAction

RULES: Final[Mapping[RiskLimit, Rule]] = {
    _L.MAX_POSITION: Rule(
        action=_A.REFUSE,
        meaning="size of one instrument on either side, if all orders of that side fill",
    ),
    _L.MAX_NOTIONAL: Rule(
        action=_A.REFUSE, meaning="worth of all that is held and of all that could still fill"
    ),
    _L.MAX_EXPOSURE: Rule(
        action=_A.REFUSE,
        meaning="longs less shorts, over all instruments, if all orders of one side fill and none"
        " of the other",
    ),
    _L.MAX_ORDER_NOTIONAL: Rule(action=_A.REFUSE, meaning="worth of one order"),
    _L.MAX_ORDERS_PER_MINUTE: Rule(
        action=_A.REFUSE,
        meaning="orders and changes within a minute; reducing ones, too, but not those with which a"
        " stop closes what is held",
    ),
    _L.MAX_OPEN_ORDERS: Rule(action=_A.REFUSE, meaning="orders that may still fill"),
    _L.MAX_LEVERAGE: Rule(
        action=_A.REFUSE,
        meaning="worth of futures and swaps, held and that could still fill, by the account's money"
        " in the currency that they settle in; an account that was not told yet has none",
    ),
    _L.MAX_FUNDING_RATE: Rule(
        action=_A.REDUCE_ONLY,
        meaning="part of its worth that a swap's side pays at the next funding; of that side alone",
    ),
    _L.MAX_MARKET_LOSS: Rule(
        action=_A.REDUCE_ONLY,
        meaning="loss in one market since the bot began: an instrument, or both outcomes of a"
        " binary; of that market alone",
    ),
    _L.MAX_DAILY_LOSS: Rule(
        action=_A.CANCEL_AND_STOP, meaning="loss since the day began (UTC), open gains included"
    ),
    _L.MAX_DRAWDOWN: Rule(action=_A.CANCEL_AND_STOP, meaning="loss from the highest result"),
    _L.MAX_UNREALISED_LOSS: Rule(
        action=_A.FLATTEN_AND_STOP, meaning="loss of closing all that is held at its marks"
    ),
    _L.MIN_LIQUIDATION_BUFFER: Rule(
        action=_A.FLATTEN_AND_STOP,
        meaning="way from the mark to the price of liquidation, as part of the mark",
    ),
    _L.STALE_MARKS: Rule(
        action=_A.REDUCE_ONLY,
        meaning="age of an instrument's mark (`mark_age_ms`); what rests is cancelled while its"
        " book is in doubt",
    ),
    _L.CLOSED_BY_EXCHANGE: Rule(
        action=_A.CANCEL_AND_STOP,
        meaning="a liquidation, or a deleveraging by the exchange, of what the bot held",
    ),
    _L.POSITION_MISSING: Rule(
        action=_A.REDUCE_ONLY,
        meaning="the exchange holds less than the fills of the wallet's bots make; of that"
        " instrument alone, until a fill or a person explains it; what stays missing is gone from"
        " the bots' holdings, too",
    ),
    _L.ORDER_AFTER_ITS_END: Rule(
        action=_A.CANCEL_AND_STOP, meaning="an order exists that had provably ended"
    ),
    _L.KILL_SWITCH: Rule(
        action=_A.FLATTEN_AND_STOP,
        meaning="a person has set it for all bots of a tenant, or of one of its exchanges",
    ),
}
"""Every limit of one bot, and what it does."""

assert set(RULES) == set(RiskLimit)  # noqa: S101 - a limit without an action is a defect
