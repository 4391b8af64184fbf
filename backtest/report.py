"""The report of a backtest or a sweep: one page of HTML that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from backtest.charts import Line, Mark, bars, chart
from backtest.plan import Trial
from backtest.result import SOURCES, by_source, drawdowns, money_digits
from backtest.run import Outcome
from tradingtools.domain.backtests import Result
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.trading import Fill

_MAX_MARKS = 400
_MAX_REASONS = 12
_FILLING = (
    "A resting order stands behind what rested at its price before it; prints and books that cross"
    " it fill it. What the bot trades does not move the market."
)
_CARE = (
    "The best of many runs is best by luck, too: try its settings on another seed or another day"
    " before you believe it."
)
_NAMES = {
    "spread": "spread",
    "markout": "adverse selection",
    "inventory": "inventory",
    "trading": "trading",
    "funding": "funding",
    "fees": "fees",
}
_STYLE = """
:root { color-scheme: light dark; --ground: #f5f6f8; --panel: #fff; --line: #dfe3ea;
  --text: #161b26;
  --quiet: #5a6474; --accent: #174fd6; --ok: #0b7a3e; --bad: #b3211f; }
@media (prefers-color-scheme: dark) {
:root { --ground: #0e1218; --panel: #161c26; --line: #29313f;
  --text: #e6eaf2; --quiet: #9aa5b8; --accent: #7aa2ff; --ok: #5fd08f; --bad: #ff8a86; }
}
* { box-sizing: border-box; }
html { font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif;
  background: var(--ground); color: var(--text); }
body { margin: 0 auto; padding: 1.5rem; max-width: 86rem; }
h1 { font-size: 1.35rem; margin: 0; }
h2 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .25rem 0; }
.quiet { color: var(--quiet); }
.up { color: var(--ok); }
.down { color: var(--bad); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
  gap: 1rem; margin-top: 1rem; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 12px;
  padding: 1rem; min-width: 0; overflow-x: auto; }
.wide { grid-column: 1 / -1; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; }
.value { font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--text); }
svg .tick { fill: var(--quiet); font-variant-numeric: tabular-nums; }
.grid line.grid, svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--quiet); }
.line { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round; }
.line.bad { stroke: var(--bad); }
.line.quiet { stroke: var(--quiet); stroke-width: 1.2; }
.area { fill: var(--accent); opacity: .12; }
.area.bad { fill: var(--bad); }
.mark.ok, rect.ok { fill: var(--ok); }
.mark.bad, rect.bad { fill: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 550; color: var(--quiet); font-size: .85rem; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
.right { text-align: right; }
.heat td { text-align: right; padding: .4rem .6rem; }
.heat th.right { padding: .4rem .6rem; }
@media (max-width: 40rem) {
body { padding: .75rem; }
svg text { font-size: 18px; }
svg .between { display: none; }
}
"""


def page(one: Trial, outcome: Outcome, reported: Result) -> str:
    """Return the report of one run."""
    first, digits = one.instruments[0], money_digits(one)
    points, unit = outcome.points, 10.0**digits
    times = [it.at_ms for it in points]
    equity = [it.result / unit for it in points]
    priced = [it for it in points if it.price is not None]
    price = Line(
        times=[it.at_ms for it in priced],
        values=[(it.price or 0) / 10**first.price_digits for it in priced],
        tone="quiet",
    )
    fills = [it for it in outcome.fills if it.instrument_id == first.id]
    shown = fills[:: max(-(-len(fills) // _MAX_MARKS), 1)]
    some = "" if len(shown) == len(fills) else f", {len(shown)} of {len(fills)}"
    gains = by_source(outcome)
    rows = [
        (_NAMES[name], gains[name] / unit, _short(reported.sources[name]))
        for name in SOURCES if name in gains
    ]  # fmt: skip
    panels = [
        _panel("", _figures(reported), wide=True),
        _panel(f"Equity, {reported.currency}", chart(
            [Line(times=times, values=equity, area=True)], label="Equity")),
        _panel(f"Drawdown, {reported.currency}", chart(
            [Line(times=times, values=[-it / unit for it in drawdowns(points)], tone="bad",
                  area=True)], label="Drawdown")),
        _panel(f"Fills on the price of {first.symbol}{some}: ▲ bought, ▼ sold", chart(
            [price], [_mark(first, it) for it in shown], label="Fills", zero=False)),
        _panel(f"Inventory of {first.symbol}", chart(
            [Line(times=times, values=[it.position / 10**first.size_digits for it in points],
                  step=True, area=True)], label="Inventory")),
        _panel(f"Result by source, {reported.currency}", bars(rows, label="Result by source")),
        _panel("Assumed", _assumed(one, reported)),
        _panel("Why it quoted so at the end", _explained(reported), wide=True),
    ]  # fmt: skip
    title = f"Backtest of {reported.strategy} on {', '.join(it.id for it in one.instruments)}"
    return _document(
        title, f"{_instant(reported.from_ms)} to {_instant(reported.to_ms)} UTC", panels
    )


def sweep_page(results: Sequence[Result]) -> str:
    """Return the report of a sweep: heat over the first two settings, and the best runs."""
    names = list(results[0].changes)
    ranked = sorted(results, key=lambda it: -float(it.result))
    panels = []
    if len(names) >= 2:
        title = f"Mean result by {names[0]} (rows) and {names[1]} (columns)"
        panels.append(_panel(title, heat(results, names[0], names[1]), wide=True))
    head = [*names, "result", "drawdown", "fills", "volume", "fees", "Sharpe"]
    panels.append(_panel(f"The best {min(len(ranked), 20)} of {len(ranked)} runs", _table(head, [
        [*(it.changes[name] for name in names), _short(it.result), _short(it.max_drawdown),
         str(it.fills), _short(it.volume), _short(it.sources["fees"]), _sharpe(it)]
        for it in ranked[:20]
    ]), wide=True))  # fmt: skip
    panels.append(_panel("Read with care", f"<p>{_CARE}</p>", wide=True))
    title = f"Sweep of {results[0].strategy}: {len(results)} runs"
    return _document(title, f"Results in {results[0].currency}", panels)


def heat(results: Sequence[Result], row: str, column: str) -> str:
    """Return a table of mean results over two settings; others are averaged."""
    rows = list(dict.fromkeys(it.changes[row] for it in results))
    columns = list(dict.fromkeys(it.changes[column] for it in results))
    cells: dict[tuple[str, str], list[float]] = {}
    for it in results:
        cells.setdefault((it.changes[row], it.changes[column]), []).append(float(it.result))
    means = {key: sum(found) / len(found) for key, found in cells.items()}
    most = max(abs(one) for one in means.values())
    digits = 2 if most < 1000 else 0
    lines = []
    for one in rows:
        line = [f"<th>{escape(one)}</th>"]
        for other in columns:
            mean = means.get((one, other))
            shade = "" if mean is None else f' style="{_shade(mean, most)}"'
            line.append(f"<td{shade}>{'' if mean is None else f'{mean:,.{digits}f}'}</td>")
        lines.append(f"<tr>{''.join(line)}</tr>")
    head = "".join(f'<th class="right">{escape(it)}</th>' for it in columns)
    return f'<table class="heat"><tr><th></th>{head}</tr>{"".join(lines)}</table>'


def _shade(value: float, most: float) -> str:
    """Return a background: gains are green, losses red, the largest amount strongest."""
    tone = "ok" if value > 0 else "bad"
    part = round(abs(value) / most * 45) if most else 0
    return f"background: color-mix(in srgb, var(--{tone}) {part}%, transparent)"


def _figures(reported: Result) -> str:
    tone = "down" if reported.result.startswith("-") else "up"
    sharpe = _sharpe(reported)
    figures = [
        (f"result, {reported.currency}", _short(reported.result), tone),
        ("largest drawdown", _short(reported.max_drawdown), ""),
        ("volume", _short(reported.volume), ""),
        ("fills, as maker", f"{reported.fills:,}, {reported.maker_fills:,}", ""),
        ("orders", f"{reported.orders:,}", ""),
        ("Sharpe, a year", sharpe, ""),
    ]
    cells = "".join(
        f'<div><div class="quiet">{name}</div><div class="value {kind}">{escape(text)}</div></div>'
        for name, text, kind in figures
    )
    breaches = "".join(
        f'<p class="down">Stopped by {escape(it)}</p>' for it in reported.breaches[:3]
    )
    return f'<div class="figures">{cells}</div>{breaches}'


def _assumed(one: Trial, reported: Result) -> str:
    assumed = one.assumptions
    market = (
        f"recording {one.recording}" if one.recording else f"a market made by seed {reported.seed}"
    )
    fees = "; ".join(
        f"fees at {venue}: {it.maker / 10_000:g} % as maker, {it.taker / 10_000:g} % as taker"
        for venue, it in assumed.venue_fees.items()
    )
    texts = [
        f"{reported.events:,} events of {market}.",
        f"{assumed.latency_ms} ms there and as many back, up to {assumed.jitter_ms} ms more each.",
        f"{fees.capitalize()}.",
        _FILLING,
    ]
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def _explained(reported: Result) -> str:
    groups: dict[str, list[str]] = {}
    for slot, text in reported.explained.items():
        groups.setdefault(text, []).append(slot)
    rows = [[", ".join(slots), text] for text, slots in groups.items()]
    more = f'<p class="quiet">and {len(rows) - _MAX_REASONS} more</p>'
    shown = _table(["slot", "why"], rows[:_MAX_REASONS], numbers=False)
    return shown + (more if len(rows) > _MAX_REASONS else "")


def _mark(one: Instrument, fill: Fill) -> Mark:
    return Mark(
        at_ms=fill.venue_ms,
        value=fill.price / 10**one.price_digits,
        up=fill.side == "BUY",
        text=f"{fill.side} {one.size_text(fill.size)} at {one.price_text(fill.price)}",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    kind = ' class="right"' if numbers else ""
    titles = "".join(f"<th{kind}>{escape(it)}</th>" for it in head)
    lines = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(it)}</td>' for it in row)}</tr>" for row in rows
    )
    return f"<table><tr>{titles}</tr>{lines}</table>"


def _panel(title: str, inside: str, *, wide: bool = False) -> str:
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f'<section class="panel{" wide" if wide else ""}">{head}{inside}</section>'


def _document(title: str, below: str, panels: Sequence[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="quiet">{escape(below)}</p>'
        f'<div class="grid">{"".join(panels)}</div></body></html>\n'
    )


def _sharpe(reported: Result) -> str:
    return (
        "too short"
        if reported.sharpe is None
        else f"{reported.sharpe:,.1f} ± {reported.sharpe_error or 0:,.1f}"
    )


def _short(text: str) -> str:
    value = float(text)
    return f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.4f}"


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
