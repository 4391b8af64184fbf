"""Public data by REST: time, instruments, tiers, prices, books, trades, candles, funding."""

from __future__ import annotations

from paper.okx.call import Call, Route, per_2s
from paper.okx.core.amounts import show
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.instruments import Instrument
from paper.okx.listing import Row
from paper.okx.publisher import Publisher
from paper.okx.stats import BARS
from paper.okx.wire import market
from paper.okx.wire.envelope import Json, done

_DEEPEST = 400


class PublicRest:
    """Handlers of `/api/v5/public` and `/api/v5/market`."""

    def __init__(self, exchange: Exchange, publisher: Publisher, tiers: list[Row]) -> None:
        self._world = exchange.world
        self._risk = exchange.risk
        self._publisher = publisher
        self._tiers = tiers

    def routes(self) -> list[Route]:
        """The routes with their limits."""
        table = (
            ("public/time", self._time, 10),
            ("public/instruments", self.instruments, 20),
            ("public/position-tiers", self._position_tiers, 10),
            ("public/mark-price", self._marks, 10),
            ("public/funding-rate", self._funding, 10),
            ("public/funding-rate-history", self._funding_history, 10),
            ("public/price-limit", self._price_limit, 20),
            ("public/insurance-fund", self._insurance, 10),
            ("public/liquidation-orders", self._liquidations, 40),
            ("market/tickers", self._tickers, 20),
            ("market/ticker", self._ticker, 20),
            ("market/index-tickers", self._indexes, 20),
            ("market/books", self._book, 40),
            ("market/books-full", self._book, 10),
            ("market/trades", self._trades, 100),
            ("market/history-trades", self._trades, 20),
            ("market/candles", self._candles, 40),
            ("market/history-candles", self._candles, 20),
        )
        return [
            Route(
                method="GET",
                path=f"/api/v5/{path}",
                handler=handler,
                private=False,
                limit=per_2s(count),
            )
            for path, handler, count in table
        ]

    def instruments(self, call: Call) -> Json:
        """The instruments of a kind; the account's route shows the same."""
        kind = call.needs("instType")
        return done([of.row for of in self._chosen(call, kind)])

    def _chosen(self, call: Call, kind: str) -> list[Instrument]:
        family = call.query.get("instFamily", "") or call.query.get("uly", "")
        inst_id = call.query.get("instId", "")
        return [
            of
            for of in self._publisher.listed(kind)
            if inst_id in ("", of.inst_id) and family in ("", of.family)
        ]

    def _one(self, call: Call) -> Instrument:
        name = call.needs("instId")
        if not self._publisher.has_instrument(name):
            raise Refusal("51001")
        return self._world.instruments[name]

    def _time(self, call: Call) -> Json:
        return done([{"ts": str(call.now_ms)}])

    def _position_tiers(self, call: Call) -> Json:
        call.needs("instType")
        family = call.query.get("instFamily", "") or call.query.get("uly", "")
        tier = call.query.get("tier", "")
        rows = [row for row in self._tiers if row["instFamily"] == (family or row["instFamily"])]
        return done([row for row in rows if tier in ("", row["tier"])])

    def _marks(self, call: Call) -> Json:
        chosen = self._chosen(call, call.needs("instType"))
        marks = self._world.marks
        return done(
            [
                market.mark_row(of, marks[of.inst_id], call.now_ms)
                for of in chosen
                if of.inst_id in marks
            ]
        )

    def _funding(self, call: Call) -> Json:
        of = self._one(call)
        funding = self._world.funding.get(of.inst_id)
        if funding is None:
            raise Refusal("51000", "instId")
        return done([market.funding_row(of, funding, call.now_ms)])

    def _funding_history(self, call: Call) -> Json:
        of = self._one(call)
        funding = self._world.funding.get(of.inst_id)
        settled = [] if funding is None else list(funding.settled)
        return done([market.settled_row(of, at, rate) for at, rate in reversed(settled)][:100])

    def _price_limit(self, call: Call) -> Json:
        of = self._one(call)
        return done([market.limit_row(of, self._world.marks[of.inst_id], call.now_ms)])

    def _insurance(self, call: Call) -> Json:
        kind = call.needs("instType")
        purse = self._world.ledger.insurance
        details: list[Json] = [
            {
                "adlType": "",
                "amt": show(amount),
                "balance": show(amount),
                "ccy": currency,
                "decRate": "",
                "maxBal": "",
                "maxBalTs": "",
                "ts": str(call.now_ms),
                "type": "regular_update",
            }
            for currency, amount in sorted(purse.items())
        ]
        row: Json = {"details": details, "instFamily": "", "instType": kind, "total": ""}
        return done([row])

    def _liquidations(self, call: Call) -> Json:
        kind = call.needs("instType")
        known = self._world.instruments
        return done(
            [
                market.liquidation_row(known[one.inst_id], one)
                for one in reversed(self._risk.liquidations)
                if known[one.inst_id].kind == kind
            ]
        )

    def _tickers(self, call: Call) -> Json:
        chosen = self._chosen(call, call.needs("instType"))
        return done([self._ticker_row(of, call.now_ms) for of in chosen])

    def _ticker(self, call: Call) -> Json:
        return done([self._ticker_row(self._one(call), call.now_ms)])

    def _ticker_row(self, of: Instrument, now_ms: int) -> Json:
        day = self._publisher.stats[of.inst_id].day(now_ms)
        return market.ticker_row(self._world, of, day, now_ms)

    def _indexes(self, call: Call) -> Json:
        name = call.query.get("instId", "")
        found = [one for one in self._world.indexes if name in ("", one)]
        return done([market.index_row(self._world, one, call.now_ms) for one in found])

    def _book(self, call: Call) -> Json:
        of = self._one(call)
        count = _count(call, "sz", 1, _DEEPEST)
        seq = self._publisher.seq[of.inst_id]
        return done([market.book_row(self._world, of.inst_id, count, seq, call.now_ms)])

    def _trades(self, call: Call) -> Json:
        of = self._one(call)
        count = _count(call, "limit", 100, 500)
        kept = list(self._world.prints[of.inst_id])[::-1]
        return done([market.trade_row(of, one) for one in kept[:count]])

    def _candles(self, call: Call) -> Json:
        of = self._one(call)
        bar = call.query.get("bar", "1m")
        if bar not in BARS:
            raise Refusal("51000", "bar")
        count = _count(call, "limit", 100, 300)
        found = self._publisher.stats[of.inst_id].candles(bar, call.now_ms)
        after, before = _instant(call, "after"), _instant(call, "before")
        chosen = [
            one
            for one in found
            if (after is None or one.start_ms < after) and (before is None or one.start_ms > before)
        ]
        return done([market.candle_row(of, one) for one in chosen[:count]])


def _count(call: Call, name: str, default: int, most: int) -> int:
    text = call.query.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise Refusal("51000", name)
    return int(text)


def _instant(call: Call, name: str) -> int | None:
    text = call.query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise Refusal("51000", name)
    return int(text)
