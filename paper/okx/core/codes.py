"""The exchange's own codes and what it says with them."""

from __future__ import annotations

MESSAGES = {
    "50011": (
        "Rate limit reached. Please refer to API documentation and throttle requests accordingly"
    ),
    "50014": "Parameter {0} can not be empty.",
    "50026": "System error. Try again later",
    "50036": (
        "The expTime can't be earlier than the current system time. Please adjust the "
        "expTime and try again."
    ),
    "50061": (
        "Sub-account rate limit reached. Please refer to API documentation and throttle "
        "requests accordingly"
    ),
    "51000": "Parameter {0} error",
    "51001": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    "51004": (
        "Order failed. For isolated/cross {0}, the sum of current order size, position "
        "size in the same direction, and pending orders in the same direction can't be "
        "more than {1} (contracts) under {2}x leverage."
    ),
    "51006": (
        "Order price is not within the price limit (max buy price: {0}, min sell price: {1})"
    ),
    "51008": "Order failed. Insufficient {0} balance in account.",
    "51010": "You can't complete this request under your current account mode.",
    "51016": "Client order ID already exists.",
    "51020": "Your order should meet or exceed the minimum order amount.",
    "51022": "Contract suspended.",
    "51024": "Trading account is blocked.",
    "51027": "Contract expired.",
    "51121": "Order quantity must be a multiple of the lot size.",
    "51149": "Order timed out. Please try again later.",
    "51169": (
        "Order failed. You don't have any positions in this direction for this contract "
        "to reduce or close."
    ),
    "51174": (
        "Order failed. The number of {0} pending orders reached the upper limit of {1} (orders)."
    ),
    "51201": "The value of a market order can't exceed {0}.",
    "51202": "Market order amount exceeds the maximum amount.",
    "51203": "Order amount exceeds the limit {0}.",
    "51400": (
        "Order cancellation failed as the order has been filled, canceled or does not exist."
    ),
    "51503": (
        "Order modification failed as the order has been filled, canceled or does not exist."
    ),
    "51603": "Order does not exist",
    "59000": "Your settings failed as you have positions, bot or open orders.",
    "59102": "Leverage exceeds the maximum limit. Please lower the leverage.",
    "59108": "Low leverage and insufficient margin, please adjust the leverage.",
    "59300": "Margin call failed. Position does not exist.",
    "59301": "Margin adjustment failed for exceeding the max limit.",
}
"""By code; words in braces are filled in."""


class Refusal(Exception):
    """A request that is not done: the exchange's code and its sentence."""

    def __init__(self, code: str, *words: str) -> None:
        self.code = code
        self.message = MESSAGES[code].format(*words)
        super().__init__(f"{code}: {self.message}")
