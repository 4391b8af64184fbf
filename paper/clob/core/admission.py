"""The rules by which the exchange takes an order, in its own sentences. Pure."""

from __future__ import annotations

from paper.clob.core.amounts import price_text, text
from paper.clob.core.placement import Placement
from paper.clob.core.values import ONE, WHOLE, Market, Refusal

_SIZE_STEP = 10_000
_CENT = 10_000
_TAKEN_STEP = 100
_SOONEST_MS = 180_000
EARLIER_MS = 60_000
"""A GTD order ends so long before the instant it names."""
_DECIMALS = {1_000: 3, 100: 4, 50: 5, 25: 6, 10: 5, 1: 6}
"""Of USDC in a limit order, by tick (1e-4)."""

BALANCE = (
    "not enough balance / allowance: the balance is not enough -> balance: {}, order amount: {}"
)
FOK_KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED = (
    "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found."
)
CROSSES = "invalid post-only order: order crosses book"


def price_and_size(placed: Placement, market: Market) -> tuple[int, int]:
    """Return price (1e-4) and shares of an order by its two amounts. Raises Refusal."""
    usdc, shares = placed.maker_amount, placed.taker_amount
    if placed.side == "SELL":
        usdc, shares = shares, usdc
    if placed.kind in ("FAK", "FOK"):
        _check_taking(placed)
        # A quotient that lies between two ticks stands for the one within the limit.
        up = placed.side == "SELL"
        exact = usdc * WHOLE
        ticks = -(-exact // (shares * market.tick)) if up else exact // (shares * market.tick)
        price = ticks * market.tick
    else:
        _check_resting(placed, usdc, shares, market)
        price = usdc * WHOLE // shares
        if usdc * WHOLE % (shares * market.tick):
            raise _off_tick(placed, usdc, shares, market)
    if not market.tick <= price <= WHOLE - market.tick:
        raise _off_tick(placed, usdc, shares, market)
    if shares < market.min_size:
        least = text(market.min_size)
        raise Refusal(
            f"order {placed.id} is invalid. Size ({text(shares)}) lower than the minimum: {least}"
        )
    return price, shares


def ends_ms(placed: Placement, now_ms: int) -> int | None:
    """Return when an order ends. Raises Refusal."""
    if (placed.kind == "GTD") != (placed.expiration_ms is not None):
        raise Refusal("invalid expiration")
    if placed.expiration_ms is None:
        return None
    if placed.expiration_ms < now_ms + _SOONEST_MS:
        raise Refusal("invalid expiration")
    return placed.expiration_ms - EARLIER_MS


def check_post_only(placed: Placement) -> None:
    """Refuse a post-only order that cannot rest. Raises Refusal."""
    if placed.post_only and placed.kind in ("FAK", "FOK"):
        raise Refusal("invalid post-only order: only GTC and GTD orders can be post-only")


def max_fee(usdc: int, market: Market) -> int:
    """Return the most that a taker of so much USDC can owe: p (1 - p) is below p."""
    return -(-usdc * market.fee_bps // 10_000)


def taker_fee(price: int, size: int, market: Market) -> int:
    """Return what a taker owes for a match at its price, cut to five decimals."""
    exact = size * market.fee_bps * price * (WHOLE - price)
    return exact // (10_000 * WHOLE * WHOLE) // 10 * 10


def _check_taking(placed: Placement) -> None:
    if placed.maker_amount % _CENT or placed.taker_amount % _TAKEN_STEP:
        side = placed.side.lower()
        raise Refusal(
            f"invalid amounts, the market {side} orders maker amount supports a max accuracy of "
            "2 decimals, taker amount a max of 4 decimals"
        )


def _check_resting(placed: Placement, usdc: int, shares: int, market: Market) -> None:
    decimals = _DECIMALS[market.tick]
    if shares % _SIZE_STEP or usdc % 10 ** (6 - decimals):
        buys = placed.side == "BUY"
        most = (decimals, 2) if buys else (2, decimals)
        raise Refusal(
            f"invalid amounts, the {placed.side.lower()} orders maker amount supports a max "
            f"accuracy of {most[0]} decimals, taker amount a max of {most[1]} decimals"
        )


def _off_tick(placed: Placement, usdc: int, shares: int, market: Market) -> Refusal:
    price = text(usdc * ONE // shares)
    tick = price_text(market.tick)
    return Refusal(
        f"order {placed.id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}"
    )
