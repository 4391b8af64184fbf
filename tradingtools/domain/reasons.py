"""Reasons why a leader trade was not copied or an order did not fill: one code, one meaning.

Codes are stored, shown over REST and documented; they never change their meaning.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes of decisions and of orders that ended without a fill."""

    def __new__(cls, code: str, meaning: str = "", advice: str = "") -> Reason:
        """Make a string of a code; its meaning and what a follower can do travel beside it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.advice = advice
        return member

    meaning: str
    advice: str

    NONE = (
        "",
        "Decided whole; what became of it is told by its orders.",
        "Nothing.",
    )
    PAUSED = (
        "PAUSED",
        "The subscription is paused or deleted; entries are not made.",
        "Resume it.",
    )
    HALTED = (
        "HALTED",
        "An operator's halt covers it.",
        "Wait, or ask the operator.",
    )
    SUBSCRIPTION_CHANGED = (
        "SUBSCRIPTION_CHANGED",
        "The settings changed under way: a copy is decided again, an order of a resync is not.",
        "Nothing; after a resync, ask for another preview.",
    )
    SIDE_FILTERED = (
        "SIDE_FILTERED",
        "The subscription does not copy this side.",
        "Change filters.sides.",
    )
    PRICE_BAND = (
        "PRICE_BAND",
        "The leader's price is outside the price band.",
        "Widen filters.minPrice, filters.maxPrice.",
    )
    LEADER_TOO_SMALL = (
        "LEADER_TOO_SMALL",
        "The leader's trade is below the minimum that is copied.",
        "Lower filters.minLeaderNotional.",
    )
    LEADER_STATISTICS = (
        "LEADER_STATISTICS",
        "The leader's statistics are not what the subscription asks for.",
        "Change filters.leader, or follow another leader.",
    )
    LEADER_UNKNOWN = (
        "LEADER_UNKNOWN",
        "The subscription asks for statistics of the leader that are not known, or too old.",
        "Wait, raise filters.leader.maxAgeSeconds, or set onMissing to ON_MISSING_COPY.",
    )
    MARKET_FILTERED = (
        "MARKET_FILTERED",
        "The market is denied, or not among those that are allowed.",
        "Change the lists of markets.",
    )
    CATEGORY_FILTERED = (
        "CATEGORY_FILTERED",
        "The category is denied, or not among those that are allowed.",
        "Change the lists of categories.",
    )
    NEAR_END = (
        "NEAR_END",
        "The market ends too soon, or its end is not known.",
        "Lower filters.minSecondsToEnd.",
    )
    OPPOSITE_SIDE = (
        "OPPOSITE_SIDE",
        "The leader is on both sides of the market.",
        "Change filters.oppositeSide.",
    )
    MAX_POSITIONS = (
        "MAX_POSITIONS",
        "As many outcomes are held as the subscription allows.",
        "Raise limits.maxOpenPositions, or sell.",
    )
    MAX_BUYS = (
        "MAX_BUYS",
        "The outcome was bought as often in 90 days as the subscription allows.",
        "Raise limits.maxBuysPerOutcome.",
    )
    EXITS_OFF = (
        "EXITS_OFF",
        "The subscription does not follow the leader's sells.",
        "Sell by trigger, or change exits.mode.",
    )
    TOO_OLD = (
        "TOO_OLD",
        "The leader's trade was older than the maximum age when it was judged, or nearly so.",
        "Raise limits.maxAgeMs, at the price of later entries.",
    )
    TRADE_CLOSED = (
        "TRADE_CLOSED",
        "Rows of the leader's trade came long after the others; they are not copied.",
        "Nothing.",
    )
    EXPIRED = (
        "EXPIRED",
        "The order could not be sent before its deadline.",
        "Nothing: a late entry is worse than none.",
    )
    MARKET_UNKNOWN = (
        "MARKET_UNKNOWN",
        "Neither the book nor the rules of the market could be had.",
        "Nothing: exits are tried again.",
    )
    MARKET_CLOSED = (
        "MARKET_CLOSED",
        "The market takes no orders any more.",
        "Nothing: what is held waits for the payout.",
    )
    PRICE_OUT_OF_RANGE = (
        "PRICE_OUT_OF_RANGE",
        "No limit between one tick and one minus a tick.",
        "Nothing.",
    )
    SLIPPAGE = (
        "SLIPPAGE",
        "The book offers nothing within the slippage limit.",
        "Raise limits.maxSlippage, at the price of dearer entries.",
    )
    SPREAD = (
        "SPREAD",
        "Best ask and best bid are further apart than allowed.",
        "Raise limits.maxSpread.",
    )
    THIN_BOOK = (
        "THIN_BOOK",
        "The book offers less than the wanted part of the size within the limit.",
        "Lower limits.minDepthFraction, or copy smaller.",
    )
    BELOW_MINIMUM = (
        "BELOW_MINIMUM",
        "The copy would be smaller than the market's minimum order.",
        "Copy larger, or change sizing.belowMinimum, for exits exits.belowMinimum.",
    )
    ACCUMULATING = (
        "ACCUMULATING",
        "Below the minimum order: its money, or an exit's shares, go to the next of the outcome.",
        "Nothing.",
    )
    NO_TIER = (
        "NO_TIER",
        "The leader's trade is below the first tier.",
        "Add a tier from 0.",
    )
    EQUITY_UNKNOWN = (
        "EQUITY_UNKNOWN",
        "The leader's or the follower's equity is not known.",
        "Fund the wallet, set TT_INGEST_RPC_URL, or size otherwise.",
    )
    CAP_PER_TRADE = (
        "CAP_PER_TRADE",
        "The limit per trade allows less than the subscription asks for.",
        "Raise limits.maxPerTrade.",
    )
    CAP_PER_MARKET = (
        "CAP_PER_MARKET",
        "The limit per market allows less than the subscription asks for.",
        "Raise limits.maxPerMarket, or wait for exits.",
    )
    CAP_PER_LEADER = (
        "CAP_PER_LEADER",
        "The limit per leader allows less than the subscription asks for.",
        "Raise limits.maxPerLeader, or wait for exits.",
    )
    CAP_TOTAL = (
        "CAP_TOTAL",
        "The wallet's limit on all that is held allows less than the subscription asks for.",
        "Raise limits.maxTotal, or wait for exits.",
    )
    CAP_PER_DAY = (
        "CAP_PER_DAY",
        "What is left of the day's budget is less than the subscription asks for.",
        "Raise limits.maxPerDay, or wait for the next UTC day.",
    )
    BUDGET = (
        "BUDGET",
        "What is left of the wallet's funding is less than the subscription asks for.",
        "Fund the wallet, or wait for exits.",
    )
    CASH = (
        "CASH",
        "The cash in the wallet that is not reserved is less than the subscription asks for.",
        "Pay in, or wait for exits.",
    )
    IN_LINE = (
        "IN_LINE",
        "What is held is what the leader's position implies, as far as the sizing can tell.",
        "Nothing.",
    )
    HOLDING_UNKNOWN = (
        "HOLDING_UNKNOWN",
        "What the leader holds is not known, or he has traded since it was told.",
        "Ask for another preview in a while.",
    )
    BOOK_STALE = (
        "BOOK_STALE",
        "The book is in doubt: the spread or depth that is asked for, or a price, is not known.",
        "Leave out limits.maxSpread and minDepthFraction, or say limits.onDoubtfulBook.",
    )
    KEY_TAKEN = (
        "KEY_TAKEN",
        "Another subscription of the wallet copies this transaction already.",
        "Nothing.",
    )
    SHADOW = (
        "SHADOW",
        "Decided on paper: the subscription is a shadow and sends nothing.",
        "Create one that is none.",
    )
    NOTHING_HELD = (
        "NOTHING_HELD",
        "Nothing was bought after this leader, so nothing is sold.",
        "Nothing.",
    )
    ALREADY_SELLING = (
        "ALREADY_SELLING",
        "Another exit under way has the shares, or the next slice waits for the last.",
        "Nothing: judged again when it ends.",
    )
    WAITING_FOR_ENTRY = (
        "WAITING_FOR_ENTRY",
        "An entry is still unresolved; the sell is applied to what it brings.",
        "Nothing.",
    )
    DUST = (
        "DUST",
        "What is held is below the market's minimum order.",
        "Nothing: it waits for the payout.",
    )
    LEADER_LEFT = (
        "LEADER_LEFT",
        "The leader sold before the entry was sent.",
        "Nothing.",
    )
    RISK = (
        "RISK",
        "The executor's last gate refused it.",
        "Ask the operator.",
    )
    INSUFFICIENT_BALANCE = (
        "INSUFFICIENT_BALANCE",
        "insiders-api refused it: the wallet's balance or allowance is too small.",
        "Put money into the wallet, or allow the venue to use it.",
    )
    CLOSED_ONLY = (
        "CLOSED_ONLY",
        "insiders-api refused it: the wallet may only sell.",
        "Ask the venue why; exits go on.",
    )
    FORBIDDEN = (
        "FORBIDDEN",
        "insiders-api refused it: the wallet may not trade.",
        "Ask the venue why.",
    )
    MIN_SIZE = (
        "MIN_SIZE",
        "insiders-api refused it: the market's minimum order had just grown.",
        "Nothing: the next trade is sized by it.",
    )
    TICK_SIZE = (
        "TICK_SIZE",
        "insiders-api refused it: the market's tick had just changed.",
        "Nothing: the next trade is sized by it.",
    )
    PRICE_RANGE = (
        "PRICE_RANGE",
        "insiders-api refused it: no price between one tick and one minus a tick.",
        "Nothing.",
    )
    TOO_LATE = (
        "TOO_LATE",
        "insiders-api refused it: it came after its deadline.",
        "Nothing: a late entry is worse than none.",
    )
    VOIDED = (
        "VOIDED",
        "insiders-api refused it: it had been made void, so that it can never come late.",
        "Nothing.",
    )
    INVALID_REQUEST = (
        "INVALID_REQUEST",
        "insiders-api refused it as malformed; a person has to look.",
        "Ask the operator.",
    )
    NOTHING_FILLED = (
        "NOTHING_FILLED",
        "Accepted, and no counterpart was found within the limit.",
        "Raise limits.maxSlippage, for an exit exits.maxSlippage.",
    )
    SETTLEMENT_FAILED = (
        "SETTLEMENT_FAILED",
        "Matched, but the settlement failed.",
        "Nothing: what was booked is taken back.",
    )
    UNANSWERED = (
        "UNANSWERED",
        "The answer is missing or says nothing; being found out.",
        "Wait.",
    )
    NEVER_ARRIVED = (
        "NEVER_ARRIVED",
        "insiders-api never got it, and can never accept it.",
        "Nothing: its money is free again.",
    )
    UNDECIDABLE = (
        "UNDECIDABLE",
        "It cannot be found out; a person has to look.",
        "Ask the operator.",
    )
    CONTRADICTION = (
        "CONTRADICTION",
        "What insiders-api tells under the key cannot be this order; a person has to look.",
        "Ask the operator.",
    )
    APPEARED = (
        "APPEARED",
        "Ended, and then insiders-api told otherwise; a person has to look.",
        "Ask the operator.",
    )
    OPERATOR = (
        "OPERATOR",
        "An operator ended it, with evidence.",
        "Ask the operator.",
    )
    ADOPTED = (
        "ADOPTED",
        "By an operator, shares that the wallet held became the subscription's, or left it again.",
        "Nothing: they are sold with the leader and by triggers.",
    )
    SOLD_ELSEWHERE = (
        "SOLD_ELSEWHERE",
        "insiders-api says that the wallet holds less than its lots: they hold what is there.",
        "Nothing: what is bought again by hand is never sold for a copy.",
    )
