"""Why a leader trade was not copied, or an order did not fill: one code, one meaning.

Codes are stored, shown over REST and documented; they never change their meaning.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes of decisions and of orders that ended without a fill."""

    def __new__(cls, code: str, meaning: str = "") -> Reason:
        """A code is a string; its meaning travels beside it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    meaning: str

    NONE = "", "Copied whole."
    PAUSED = "PAUSED", "The subscription is paused or deleted; entries are not made."
    HALTED = "HALTED", "An operator's halt covers it."
    SUBSCRIPTION_CHANGED = "SUBSCRIPTION_CHANGED", "The settings changed while it was under way."
    TOO_OLD = "TOO_OLD", "The leader's trade was older than the maximum age when it was found."
    EXPIRED = "EXPIRED", "The order could not be sent before its deadline."
    MARKET_UNKNOWN = "MARKET_UNKNOWN", "Neither the book nor the rules of the market could be had."
    MARKET_CLOSED = "MARKET_CLOSED", "The market takes no orders any more."
    PRICE_OUT_OF_RANGE = "PRICE_OUT_OF_RANGE", "No limit between one tick and one minus a tick."
    SLIPPAGE = "SLIPPAGE", "The book offers nothing within the slippage limit."
    THIN_BOOK = "THIN_BOOK", "The book offers less than half of the size within the limit."
    BELOW_MINIMUM = "BELOW_MINIMUM", "The copy would be smaller than the market's minimum order."
    CAP_PER_TRADE = (
        "CAP_PER_TRADE",
        "The limit per trade allows less than the subscription asks for.",
    )
    CAP_PER_MARKET = (
        "CAP_PER_MARKET",
        "The limit per market allows less than the subscription asks for.",
    )
    KEY_TAKEN = "KEY_TAKEN", "Another subscription of the wallet copies this transaction already."
    NOTHING_HELD = "NOTHING_HELD", "Nothing was bought after this leader, so nothing is sold."
    ALREADY_SELLING = "ALREADY_SELLING", "All shares are reserved by another exit under way."
    WAITING_FOR_ENTRY = "WAITING_FOR_ENTRY", "The entry is still unresolved; judged when it is."
    DUST = "DUST", "What is held is below the market's minimum order."
    LEADER_LEFT = "LEADER_LEFT", "The leader sold before the entry was sent."
    RISK = "RISK", "The executor's last gate refused it."
    REJECTED = "REJECTED", "insiders-api refused it definitively."
    NOTHING_FILLED = "NOTHING_FILLED", "Accepted, and no counterpart was found within the limit."
    SETTLEMENT_FAILED = "SETTLEMENT_FAILED", "Matched, but the settlement failed."
    UNANSWERED = "UNANSWERED", "The answer is missing or says nothing; being found out."
    NEVER_ARRIVED = "NEVER_ARRIVED", "insiders-api never got it, and can never accept it."
    UNDECIDABLE = "UNDECIDABLE", "It cannot be found out; a person has to look."
    CONTRADICTION = (
        "CONTRADICTION",
        "What insiders-api tells under the key cannot be this order; a person has to look.",
    )
    APPEARED = "APPEARED", "Ended, and then insiders-api told otherwise; a person has to look."
    OPERATOR = "OPERATOR", "An operator ended it, with evidence."
