"""The venue's facts about a market, derived from the tape's titles and a seed.

The tape names one asset a condition; the other outcome's asset is derived from it. Category and
fee rate follow the venue's fee table of 2026 (fee = shares x rate x p x (1 - p), takers only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from paper.venue.core import amounts, rng
from paper.venue.core.trade import Trade
from paper.venue.tape import TapeRow

COARSE, FINE = 10_000, 1_000  # ticks of 0.01 and 0.001, in micros of price
MIN_ORDER_SIZE = 5  # shares
_EXTREME = 40_000  # below 0.04 and above 0.96 the venue quotes in FINE ticks

# Category, fee rate in hundredths of a percent, words of the title that give it away. First wins.
_CATEGORIES: tuple[tuple[str, int, str], ...] = (
    ("crypto", 700, r"bitcoin|ethereum|\bxrp\b|solana|dogecoin|\bbnb\b|hyperliquid|crypto"),
    ("geopolitics", 0, r"houthi|iran|israel|ukrain|russia|ceasefire|strike|military|gaza|taiwan"),
    ("weather", 500, r"temperature|hurricane|rainfall|earthquake"),
    (
        "sports",
        500,
        r"\bvs\b|\blol:|dota|counter-strike|handicap|game \d|o/u|match|league|\bwin on",
    ),
    ("economics", 500, r"\bfed\b|inflation|\bcpi\b|unemployment|recession|interest rate"),
    ("finance", 400, r"wti|s&p|nasdaq|\([A-Z]{2,5}\)|crude|gold|close above|hit \((high|low)\)"),
    ("politics", 400, r"trump|netanyahu|election|president|senate|congress|minister|nominee"),
    ("tech", 400, r"\bai\b|chatbot|openai|google|apple|spacex|model"),
    ("mentions", 400, r"\bsay\b|mention"),
    ("culture", 500, r"tweets|\bpost\b|movie|album|oscar|box office|spotify"),
)
_OTHER = ("other", 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One condition with its two assets (index 0 and 1). `fee_bps` are 1e-4 of a share's p(1-p).

    `fine_from` is the first tape row that needs ticks of 0.001 (0: always, None: never).
    `opening` is the price of asset 0 before anything was traded, in micros.
    """

    condition: str
    assets: tuple[str, str]
    outcomes: tuple[str, str]
    question: str
    slug: str
    event_slug: str
    category: str
    fee_bps: int
    neg_risk: bool
    end_date: str
    seconds_delay: int
    fine_from: int | None
    opening: int

    def index(self, asset: str) -> int:
        """0 or 1: which outcome `asset` is."""
        return self.assets.index(asset)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every market, by condition and by asset."""

    by_condition: Mapping[str, Market]
    by_asset: Mapping[str, Market]

    @staticmethod
    def of(markets: Iterable[Market]) -> Catalogue:
        """The catalogue of these markets."""
        by_condition = {market.condition: market for market in markets}
        by_asset = {asset: m for m in by_condition.values() for asset in m.assets}
        return Catalogue(by_condition, by_asset)

    def plus(self, market: Market) -> Catalogue:
        """This catalogue and one market more."""
        return Catalogue.of([*self.by_condition.values(), market])


def from_tape(tape: Sequence[TapeRow], seed: int) -> list[Market]:
    """The markets of a tape, in the order of their first rows."""
    rows: dict[str, list[tuple[int, Trade]]] = {}
    for index, row in enumerate(tape):
        rows.setdefault(row.trade.condition, []).append((index, row.trade))
    return [of_trade(trades[0][1], seed, fine_from=_fine_from(trades)) for trades in rows.values()]


def of_trade(trade: Trade, seed: int, *, fine_from: int | None = None) -> Market:
    """The market that a trade implies."""
    base = rng.key(seed, "market", trade.condition)
    question = trade.title.strip() or f"Unnamed market {trade.condition[2:10]}"
    category, fee_bps = _category(question)
    other = str(int.from_bytes(sha256(f"complement {trade.asset}".encode()).digest(), "big"))
    outcome = trade.outcome or "Yes"
    pair = (outcome, _other_outcome(outcome, question))
    first = trade.outcome_index == 0
    month, day = rng.between(rng.mix(base, 0), 1, 12), rng.between(rng.mix(base, 1), 1, 28)
    slug = re.sub(r"[^a-z0-9]+", "-", question.lower()).strip("-")
    neg_risk = category in ("politics", "weather", "culture") and rng.hits(rng.mix(base, 2), 500)
    return Market(
        condition=trade.condition,
        assets=(trade.asset, other) if first else (other, trade.asset),
        outcomes=pair if first else (pair[1], pair[0]),
        question=question,
        slug=f"{slug}-{trade.condition[2:8]}",
        event_slug=slug,
        category=category,
        fee_bps=fee_bps,
        neg_risk=neg_risk,
        end_date=f"2027-{month:02d}-{day:02d}T12:00:00Z",
        seconds_delay=3 if category == "sports" and rng.hits(rng.mix(base, 3), 300) else 0,
        fine_from=fine_from,
        opening=trade.price if first else amounts.ONE - trade.price,
    )


def fee_micros(market: Market, price: int, size: int) -> int:
    """The taker's fee in micros of USDC for `size` micros of shares, cut to five decimals."""
    exact = size * market.fee_bps * price * (amounts.ONE - price)
    return exact // (10_000 * amounts.ONE * amounts.ONE) // 10 * 10


def _fine_from(rows: Sequence[tuple[int, Trade]]) -> int | None:
    for _, trade in rows:
        if len(trade.price_text.partition(".")[2].rstrip("0")) in (3, 4):
            return 0
    for index, trade in rows:
        if not _EXTREME <= trade.price <= amounts.ONE - _EXTREME:
            return 0 if index == rows[0][0] else index
    return None


def _category(question: str) -> tuple[str, int]:
    for name, fee_bps, words in _CATEGORIES:
        if re.search(words, question, re.IGNORECASE):
            return name, fee_bps
    return _OTHER


def _other_outcome(outcome: str, question: str) -> str:
    pairs = {"Yes": "No", "No": "Yes", "Up": "Down", "Down": "Up", "Over": "Under"}
    if outcome in pairs:
        return pairs[outcome]
    teams = re.search(r"(?:.*: )?(.+?) vs\.? (.+?)(?: \(| - |:|$)", question)
    if not teams:
        return f"Not {outcome}"
    left, right = teams.group(1).strip(), teams.group(2).strip()
    return left if outcome.lower() in right.lower() else right
