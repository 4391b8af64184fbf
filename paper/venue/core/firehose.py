"""Everybody else: the trades of other wallets that fill the feed.

A pure function of seed and second, so that a restart goes on with the same crowd. Each match is
reported from both sides: the taker's row and the makers' rows share a transaction, on the same
asset with opposite sides or as two buys of complementary outcomes that sum to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from paper.venue.core import amounts, rng
from paper.venue.core.markets import Market, of_trade
from paper.venue.core.trade import Side, Trade

_WALLETS = 600
_BURST_PERMILLE = 20  # of the seconds


@dataclass(frozen=True, slots=True)
class Match:
    """One match: `rows[0]` is the taker's, the others the makers'. `at_ms` within its second."""

    at_ms: int
    rows: tuple[Trade, ...]


def crowd_markets(seed: int, count: int) -> list[Market]:
    """Markets in which no leader trades."""
    topics = ("Bitcoin Up or Down - hour {}", "Team {} vs Team Blue", "Will it rain on day {}?")
    return [
        of_trade(
            Trade(
                wallet=_wallet(seed, 0),
                asset=str(int(_hex(seed, "crowd asset", n), 16)),
                condition="0x" + _hex(seed, "crowd condition", n),
                side="BUY",
                price_text="0.5",
                size_text="1",
                price=rng.between(rng.key(seed, "crowd price", n), 6, 94) * 10_000,
                size=amounts.ONE,
                outcome=("Up", f"Team {n}", "Yes")[n % 3],
                outcome_index=0,
                title=topics[n % 3].format(n),
                tx="0x" + _hex(seed, "crowd tx", n),
            ),
            seed,
        )
        for n in range(count)
    ]


def matches(
    markets: Sequence[Market], *, seed: int, salt: str, second: int, per_second: int, burst: int
) -> tuple[Match, ...]:
    """The crowd's matches of one second; on average `per_second` rows, in bursts `burst` fold."""
    if not per_second or not markets:
        return ()
    base = rng.key(seed, "crowd", second)
    # Scaled so that the mean over calm and bursting seconds is what was asked for.
    calm = per_second * 1000 * 1000 // (1000 + _BURST_PERMILLE * (burst - 1))
    desired = calm * (burst if rng.hits(rng.mix(base, 0), _BURST_PERMILLE) else 1)
    rows_left = desired // 1000 + (rng.mix(base, 1) % 1000 < desired % 1000)
    result: list[Match] = []
    while rows_left > 0:
        own = rng.mix(base, 2 + len(result))
        makers = min(1 + (own % 4 == 0) + (own % 16 == 0), max(rows_left - 1, 1))
        market = rng.pick(rng.mix(own, 1), markets)
        tx = "0x" + _hex(seed, f"{salt} crowd {second}", len(result))
        rows = match_rows(market, own, tx, makers, seed)[: rows_left if rows_left > 1 else 2]
        result.append(Match(rng.mix(own, 2) % 1000, rows))
        rows_left -= len(rows)
    return tuple(sorted(result, key=lambda match: match.at_ms))


def match_rows(market: Market, own: int, tx: str, makers: int, seed: int) -> tuple[Trade, ...]:
    """A taker's row near the market's opening price and `makers` rows that fill it."""
    price = market.opening // 10_000 * 10_000 + rng.between(rng.mix(own, 3), -3, 3) * 10_000
    price = min(max(price, 10_000), amounts.ONE - 10_000)
    side: Side = "BUY" if own & 256 else "SELL"
    sizes = [rng.between(rng.mix(own, 5 + i), 100, 40_000) * 10_000 for i in range(makers)]
    taker = crowd_trade(market, 0, side, price, sum(sizes), tx, rng.mix(own, 4), seed)
    return (
        taker,
        *(
            counterpart(market, taker, size, rng.mix(own, 20 + i), seed)
            for i, size in enumerate(sizes)
        ),
    )


def counterpart(market: Market, of: Trade, size: int, draw: int, seed: int) -> Trade:
    """The other side of a row for `size` micros of shares: opposite side or complement."""
    index = market.index(of.asset)
    if draw & 3:
        side: Side = "SELL" if of.side == "BUY" else "BUY"
        return crowd_trade(market, index, side, of.price, size, of.tx, draw, seed)
    return crowd_trade(market, 1 - index, of.side, amounts.ONE - of.price, size, of.tx, draw, seed)


def crowd_trade(
    market: Market, index: int, side: Side, price: int, size: int, tx: str, draw: int, seed: int
) -> Trade:
    """A row of one of the crowd's wallets."""
    return Trade(
        wallet=_wallet(seed, draw % _WALLETS),
        asset=market.assets[index],
        condition=market.condition,
        side=side,
        price_text=amounts.text(price),
        size_text=amounts.text(size),
        price=price,
        size=size,
        outcome=market.outcomes[index],
        outcome_index=index,
        title=market.question,
        tx=tx,
    )


def _wallet(seed: int, n: int) -> str:
    return "0x" + _hex(seed, "wallet", n)[:40]


def _hex(seed: int, name: str, n: int) -> str:
    return sha256(f"{seed} {name} {n}".encode()).hexdigest()
