"""Write Grafana's boards, deploy/observability/grafana/*.json, from the tables below.

Before it: the metrics that the processes export. After it: Grafana, which reads the files
(provisioning, or import). ``python -m tools.boards`` writes them, ``--check`` says which are not
what the tables make.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "observability" / "grafana"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: what it shows, its unit, and its lines as (expression, legend)."""

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]
    says: str = ""
    number: bool = False
    """The newest value instead of a line over time."""


def _rate(what: str, by: str = "", *, where: str = "") -> str:
    selected = f"{what}{{{where}}}" if where else what
    return f"sum{f' by ({by})' if by else ''} (rate({selected}[$__rate_interval]))"


def _quantile(share: float, histogram: str, by: str = "", *, where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {_rate(f'{histogram}_bucket', labels, where=where)})"


def _spread(histogram: str, by: str = "", *, where: str = "") -> Sequence[tuple[str, str]]:
    name = f"{{{{{by}}}}} " if by else ""
    return [
        (_quantile(0.5, histogram, by, where=where), f"{name}p50"),
        (_quantile(0.99, histogram, by, where=where), f"{name}p99"),
    ]


BOARDS: Mapping[str, tuple[str, Sequence[Chart]]] = {
    "overview": ("Overview", [
        Chart("Processes up", "none", [("sum(up)", "up")], number=True),
        Chart("Orders that need a person", "none",
              [('sum(orders_unresolved{state=~"DEAD|RESURRECTED"})', "orders")], number=True),
        Chart("Alerts that fire", "none", [("sum(alerts_firing)", "alerts")], number=True),
        Chart("Copies above 50 ms in the last hour", "percentunit",
              [("slo:copies_slow:ratio_1h", "share")], number=True,
              says="The objective is 1 %; the alerts go by how fast that is spent."),
        Chart("Leader trades, decisions, orders", "ops", [
            (_rate("ingest_leader_rows_total"), "leader rows"),
            (_rate("decisions_total", where='copied="true"'), "copied"),
            (_rate("decisions_total", where='copied="false"'), "skipped"),
            (_rate("answers_total"), "sent"),
            (_rate("orders_ended_total"), "ended"),
        ]),
        Chart("Our own time, from the frame to the first byte", "s",
              _spread("order_own_seconds", "purpose")),
        Chart("Orders that are open or watched", "none",
              [("max by (state) (orders_unresolved)", "{{state}}")]),
        Chart("Backlog", "ms", [("max by (service) (backlog_age_milliseconds)", "{{service}}")]),
    ]),
    "money-path": ("Money path", [
        Chart("Hops, median", "s", [(_quantile(0.5, "order_hop_seconds", "hop"), "{{hop}}")]),
        Chart("Hops, p99", "s", [(_quantile(0.99, "order_hop_seconds", "hop"), "{{hop}}")]),
        Chart("Skips by reason", "ops",
              [(_rate("decisions_total", "reason", where='copied="false"'), "{{reason}}")]),
        Chart("Answers of insiders-api", "ops",
              [(_rate("answers_total", "meaning, code"), "{{meaning}} {{code}}")]),
        Chart("Orders ended", "ops",
              [(_rate("orders_ended_total", "state, reason"), "{{state}} {{reason}}")]),
        Chart("Oldest open order", "ms",
              [("max by (state) (orders_unresolved_oldest_milliseconds)", "{{state}}")]),
        Chart("Circuit breaker", "none", [("max by (dependency) (breaker)", "{{dependency}}")],
              says="0 closed, 1 half-open, 2 open"),
        Chart("Last gate and collar", "none", [
            ("sum by (scope) (increase(gate_halts_total[$__rate_interval]))", "halt {{scope}}"),
            ("sum by (what) (increase(collar_total[$__rate_interval]))", "{{what}}"),
        ]),
        Chart("Orders of one booking transaction", "none", _spread("booked_together")),
        Chart("Order events without a seal", "none", [("max(audit_unsealed)", "events")]),
    ]),
    "guard": ("Guard", [
        Chart("From a book to a committed exit", "s", _spread("guard_exit_seconds", "type")),
        Chart("Triggers fired", "ops", [(_rate("triggers_fired_total", "type"), "{{type}}")]),
        Chart("Triggers that cannot be changed", "none", [("max(triggers_stuck)", "triggers")]),
        Chart("Triggers of one transaction", "none", _spread("judged_together")),
        Chart("Exits: our own time from the claim", "s",
              _spread("order_own_seconds", where='purpose="GUARD_EXIT"')),
        Chart("Books", "none", [
            ("max(bookfeed_watched)", "watched"), ("max(bookfeed_doubted)", "in doubt"),
        ]),
        Chart("Books compared with REST", "ops",
              [(_rate("bookfeed_looks_total", "verdict"), "{{verdict}}")]),
        Chart("Exits refused for want of balance", "none",
              [("sum(increase(exits_without_balance_total[$__rate_interval]))", "exits")]),
    ]),
    "edge": ("Edge and control", [
        Chart("Requests", "reqps", [(_rate("control_requests_total", "outcome"), "{{outcome}}")]),
        Chart("Refused callers", "reqps",
              [(_rate("control_refused_total", "port, outcome"), "{{port}} {{outcome}}")]),
        Chart("Files of tokens that were refused", "none",
              [("sum(increase(control_token_file_refused_total[$__rate_interval]))", "files")]),
        Chart("Frames of the feed", "ops", [(_rate("ingest_frames_total", "kind"), "{{kind}}")]),
        Chart("From a leader's trade to its event", "s",
              _spread("ingest_delay_seconds", "source")),
        Chart("Feed", "none", [
            ("max(ingest_polling)", "polling instead"),
            ("sum(increase(ingest_reconnects_total[$__rate_interval]))", "connections"),
            ("max(ingest_unwalked)", "leaders behind"),
        ]),
    ]),
    "events": ("Events, webhooks, alerts", [
        Chart("Events", "ops", [(_rate("events_written_total", "type"), "{{type}}")]),
        Chart("From a row to its event", "s", _spread("events_lag_seconds")),
        Chart("Attempts to deliver webhooks", "ops",
              [(_rate("webhooks_attempts_total", "outcome"), "{{outcome}}")]),
        Chart("Alerts that fire", "none", [("max by (rule) (alerts_firing)", "{{rule}}")]),
        Chart("Messages", "none",
              [("sum by (kind) (increase(alerts_messages_total[$__rate_interval]))", "{{kind}}")]),
        Chart("Deliveries", "none", [(
            "sum by (target, outcome) (increase(alerts_deliveries_total[$__rate_interval]))",
            "{{target}} {{outcome}}",
        )]),
        Chart("Lines that call a person", "none", [(
            "sum by (service, name) (increase(alerts_total[$__rate_interval]))",
            "{{service}} {{name}}",
        )]),
        Chart("Messages set aside", "none", [(
            "sum by (service, stream) (increase(quarantined_total[$__rate_interval]))",
            "{{service}} {{stream}}",
        )]),
    ]),
}  # fmt: skip
"""By file: the title of a board, and its charts from left to right, two a row."""


def expressions() -> Iterator[str]:
    """Return every expression of every board, with a plain window where Grafana puts its own."""
    for _, charts in BOARDS.values():
        for chart in charts:
            for expression, _ in chart.lines:
                yield expression.replace("$__rate_interval", "5m")


def board(name: str) -> str:
    """Return a board as Grafana reads it."""
    title, charts = BOARDS[name]
    made = (
        dashboard.Dashboard(f"Trading Tools: {title}")
        .uid(f"tradingtools-{name}")
        .tags(["tradingtools"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("source").type("prometheus"))
    )
    for chart in charts:
        made = made.with_panel(_panel(chart))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _panel(chart: Chart) -> stat.Panel | timeseries.Panel:
    panel: stat.Panel | timeseries.Panel
    if chart.number:
        newest = common.ReduceDataOptions().calcs(["lastNotNull"])
        panel = stat.Panel().height(4).span(6).reduce_options(newest)
    else:
        shown = common.VizLegendOptions().show_legend(True)
        panel = timeseries.Panel().height(8).span(12).legend(shown)
    panel = panel.title(chart.title).description(chart.says).unit(chart.unit).datasource(_SOURCE)
    for place, (expression, legend) in enumerate(chart.lines):
        query = prometheus.Dataquery().expr(expression).legend_format(legend)
        panel = panel.with_target(query.ref_id(chr(ord("A") + place)))
    return panel


def main() -> None:
    """Write the boards, or say which are not current."""
    parser = argparse.ArgumentParser(prog="python -m tools.boards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    files = {f"{name}.json": board(name) for name in BOARDS}
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    stale = sorted(name for name in files | there if files.get(name) != there.get(name))
    if stale:
        sys.exit(f"{', '.join(stale)}: not what tools/boards.py makes; run python -m tools.boards")


if __name__ == "__main__":
    main()
