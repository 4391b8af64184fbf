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
    "bots": ("Bots", [
        Chart("Bots running", "none", [('max(fleet_bots{state="RUNNING"})', "bots")], number=True),
        Chart("Bots that need a person", "none",
              [("sum(max by (state) (fleet_bots_unattended))", "bots")], number=True),
        Chart("Orders that need a person", "none",
              [('sum(max by (state) (fleet_orders{state=~"DEAD|RESURRECTED"}))', "orders")],
              number=True),
        Chart("Wallets without an engine", "none",
              [('max(fleet_wallets{owned="false"})', "wallets")], number=True),
        Chart("Bots by state", "none", [("max by (state) (fleet_bots)", "{{state}}")]),
        Chart("Orders by state", "none", [("max by (state) (fleet_orders)", "{{state}}")]),
        Chart("Age of the oldest order of a state", "s",
              [("max by (state) (fleet_orders_oldest_seconds)", "{{state}}")],
              says="OPEN: the oldest quote, since it was placed or amended last."),
        Chart("Orders wanted, and none stands", "s",
              [("max by (exchange) (bots_unquoted_seconds)", "{{exchange}}")],
              says="The running bot that has waited for longest."),
        Chart("Result by strategy", "currencyUSD", [
            ("max by (exchange, strategy) (fleet_result_usdc) != 0", "{{exchange}} {{strategy}}"),
        ], says="USDC, open gains included. One bot's: tt bots pnl, or the console."),
        Chart("Result of the bot that has made least", "currencyUSD", [(
            "max by (exchange, strategy) (fleet_result_lowest_usdc) != 0",
            "{{exchange}} {{strategy}}",
        )]),
        Chart("Worth of what is held", "currencyUSD",
              [("max by (exchange, side) (fleet_held_usdc)", "{{exchange}} {{side}}")]),
        Chart("Age of marks, and of what was written", "s", [
            ("max(fleet_marks_oldest_seconds)", "oldest mark of what is held"),
            ("max(fleet_bots_unwritten_seconds)", "oldest standing of a running bot"),
        ]),
        Chart("Requests by answer", "reqps",
              [(_rate("bots_requests_total", "exchange, meaning"), "{{exchange}} {{meaning}}")]),
        Chart("From a request to its answer", "s", _spread("bots_request_seconds", "exchange")),
        Chart("Order requests that are left", "percentunit",
              [("min by (exchange) (bots_requests_free_ratio)", "{{exchange}}")],
              says="Of the wallet and the limit of its exchange that are nearest to their end."),
        Chart("Books that may not be trusted", "none", [
            ("sum by (exchange) (bots_books_doubted)", "{{exchange}} now"),
            ("sum by (exchange) (increase(bots_books_doubts_total[$__rate_interval]))",
             "{{exchange}} newly"),
        ]),
    ]),
    "risk": ("Risk of bots", [
        Chart("Kill switches that are not done", "none",
              [('max(fleet_kill_switches{done="false"})', "kill switches")], number=True),
        Chart("Kill switches that stand", "none",
              [("sum(max by (done) (fleet_kill_switches))", "kill switches")], number=True),
        Chart("Limits that are reached", "none",
              [("sum(max by (scope) (fleet_limits_reached))", "limits")], number=True),
        Chart("Positions that are missing", "none",
              [("max(fleet_positions_missing)", "positions")], number=True),
        Chart("Use of limits of many bots", "percentunit",
              [("max by (scope, limit) (fleet_limits_used_ratio) > 0", "{{scope}} {{limit}}")],
              says="The fullest of each scope."),
        Chart("Limits newly reached", "none", [(
            "sum by (scope) (increase(bots_limits_reached_total[$__rate_interval]))", "{{scope}}",
        )]),
        Chart("Kill switch: since it was set, until it is done", "s",
              [("max(fleet_kill_switch_seconds)", "oldest")]),
        Chart("Bots that risk has stopped, or that flatten", "none", [
            ('max(fleet_bots{state="RISK_STOPPED"})', "stopped"),
            ("max(fleet_bots_flattening)", "flatten"),
        ]),
        Chart("Shares of limits", "ops",
              [(_rate("bots_shares_asked_total", "given"), "given: {{given}}")]),
        Chart("Accounts that are not known", "none",
              [("sum by (exchange) (bots_accounts_unknown)", "{{exchange}}")]),
    ]),
    "engines": ("Engines of bots, signer", [
        Chart("Engines", "none", [("max by (state) (fleet_engines)", "{{state}}")]),
        Chart("Wallets that need an engine", "none",
              [("max by (owned) (fleet_wallets)", "have one: {{owned}}")]),
        Chart("Since an engine's lease was renewed", "s",
              [("max(fleet_engines_unseen_seconds)", "longest")]),
        Chart("From a dead engine's lease to the next one that knows the account", "s",
              _spread("bots_take_over_seconds")),
        Chart("Handing a wallet over", "s", _spread("bots_hand_over_seconds")),
        Chart("Wallets that came and went", "none", [
            ("sum by (clean) (increase(bots_wallets_taken_total[$__rate_interval]))",
             "taken, clean: {{clean}}"),
            ("sum by (found) (increase(bots_wallets_handed_over_total[$__rate_interval]))",
             "handed over, found: {{found}}"),
            ("sum by (why) (increase(bots_wallets_ended_total[$__rate_interval]))", "{{why}}"),
        ]),
        Chart("Renewal of permits", "s", _spread("bots_permit_seconds", "written")),
        Chart("Permits that were not written", "none", [(
            'sum(increase(bots_permit_seconds_count{written="false"}[$__rate_interval]))',
            "permits",
        )]),
        Chart("How late the loop wakes", "s", _spread("bots_loop_lag_seconds", "service")),
        Chart("Bots of an engine", "none", [("sum by (service) (bots_running)", "{{service}}")]),
        Chart("Signatures", "ops", [(_rate("signer_signatures_total", "kind"), "{{kind}}")]),
        Chart("What the signer refuses", "none", [
            ("sum by (reason) (increase(signer_refusals_total[$__rate_interval])) > 0",
             "{{reason}}"),
            ("sum(increase(signer_strangers_total[$__rate_interval]))", "strangers"),
        ]),
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
