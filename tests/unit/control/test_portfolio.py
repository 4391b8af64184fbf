"""One portfolio of many bots: paper and live apart, currencies apart, marks with their age."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.control.bot_reports.rules import BotBook, portfolio


def held(size: str, notional: str | None, **more: Any) -> dict[str, Any]:
    return {
        "size": size, "notional": notional, "unrealised": None if notional is None else "2",
        "realised": "5", "fees": "1", "funding": "-0.5", "currency": "USDT", "mark_ms": 1_000,
        **more,
    }  # fmt: skip


def book(bot: str, *, live: bool = False, today: str | None = "3", **positions: Any) -> BotBook:
    return BotBook(
        bot_id=bot,
        exchange="okx",
        live=live,
        positions={f"okx:{name}": one for name, one in positions.items()},
        today=None if today is None else Decimal(today),
        today_currency="USDT",
    )


def test_longs_and_shorts_add_up_in_gross_and_cancel_in_net() -> None:
    (part,) = portfolio(
        [book("a", BTC=held("1", "100")), book("b", BTC=held("-1", "-40", mark_ms=400))]
    )
    assert (part.whole.gross, part.whole.net) == (Decimal(140), Decimal(60))
    # Each has made 5 - 1 - 0.5 + 2.
    assert part.whole.result == Decimal("11.0")
    assert (part.today, len(part.bots), part.oldest_mark_ms) == (Decimal(6), 2, 400)
    assert part.by_instrument["okx:BTC"].net == Decimal(60)
    assert part.by_exchange["okx"].gross == Decimal(140)


def test_paper_and_live_are_never_summed_nor_are_currencies() -> None:
    parts = portfolio(
        [
            book("a", BTC=held("1", "100")),
            book("b", live=True, BTC=held("1", "7")),
            book("c", live=True, today=None, ETH=held("1", "2", currency="ETH")),
        ]
    )
    assert [(one.live, one.currency, one.whole.gross) for one in parts] == [
        (True, "ETH", Decimal(2)), (True, "USDT", Decimal(7)), (False, "USDT", Decimal(100)),
    ]  # fmt: skip
    assert parts[0].today == 0


def test_a_position_without_a_mark_is_counted_as_such() -> None:
    (part,) = portfolio([book("a", BTC=held("1", None, mark_ms=None), ETH=held("0", "0"))])
    assert (part.unmarked, part.whole.gross, part.oldest_mark_ms) == (1, Decimal(0), None)
