"""A process shows every series as soon as it serves metrics, before anything has happened."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from launcher.ports import free_port
from services.perfmon.core.judge import Step
from tradingtools.domain.event_types import EventType
from tradingtools.domain.performance import Window
from tradingtools.domain.trigger_types import TriggerType

_PROCESS = """
import sys, urllib.request
from importlib import import_module
import_module(f"services.{sys.argv[1]}.app")
from tradingtools.runtime import telemetry
from tradingtools.settings import SharedSettings
port = int(sys.argv[2])
telemetry.configure(sys.argv[1], SharedSettings(metrics_port=port))
print(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
"""

SERIES = {
    "ingest": [
        "ingest_delay_seconds_count{source=FEED}",
        "ingest_delay_seconds_count{source=CATCH_UP}",
        "ingest_lag_seconds_count{}",
        "ingest_rejects_total{reason=malformed}",
        "ingest_log_lost_total{}",
        "ingest_unwalked{}",
        "ingest_polling{}",
    ],
    "bookfeed": ["bookfeed_doubted{}", "bookfeed_listed{}", "bookfeed_looks_total{verdict=missed}"],
    "router": [
        "order_hop_seconds_count{hop=decide}",
        "order_hop_seconds_count{hop=claim}",
        "decisions_total{copied=false,reason=TOO_OLD}",
        "doubtful_books_total{book=STALE,copied=true}",
        "judgements_recorded_total{written=false}",
    ],
    "executor": [
        "order_hop_seconds_count{hop=held}",
        "order_hop_seconds_count{hop=submit}",
        "order_hop_seconds_count{hop=send}",
        "order_hop_seconds_count{hop=answer}",
        "order_own_seconds_count{purpose=ENTRY}",
        "order_own_seconds_count{purpose=GUARD_EXIT}",
        "gate_halts_total{scope=GLOBAL}",
        "collar_total{what=exit left}",
        "late_acceptances_total{state=LOST}",
        "breaker_moves_total{dependency=insiders-api,state=OPEN}",
    ],
    "confirm": [
        "order_hop_seconds_count{hop=confirm}",
        "orders_called_total{state=DEAD}",
        "orders_unresolved{state=DEAD}",
        "redemptions_differ_total{}",
        "orders_stuck_total{}",
    ],
    "guard": [
        "triggers_stuck{}",
        *(f"guard_exit_seconds_count{{type={kind}}}" for kind in TriggerType),
        *(f"triggers_fired_total{{type={kind}}}" for kind in TriggerType),
    ],
    "perfmon": [
        *(f"performance_actions_total{{rule={rule}}}" for rule in (*Window, *Step)),
        "performance_followed{}",
        "performance_in_doubt{}",
    ],
    "events": [
        "events_lag_seconds_count{}",
        *(f"events_written_total{{type={kind}}}" for kind in EventType),
    ],
    "enrichment": [
        "enrichment_age_seconds{}",
        "enrichment_documents_total{outcome=source away}",
        "analytics_events_behind{}",
        "analytics_lost_total{what=marks}",
        "analytics_unreadable_total{}",
    ],
    "signer": [
        "signer_signatures_total{kind=clob.order}",
        "signer_refusals_total{reason=NOT_ALLOWED}",
        "signer_strangers_total{}",
    ],
    "control": [
        "control_refused_total{outcome=429,port=internal}",
        "control_token_file_refused_total{}",
    ],
}
"""Of each process: its histograms, and what an alert is to be set on."""


def _shown(process: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, process, str(free_port())],
        env={name: value for name, value in os.environ.items() if not name.startswith("TT_")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[_plain(series)] = float(value)
    return found


def _plain(series: str) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    kept = sorted(
        label.replace('"', "") for label in labels.split(",") if label and "otel_scope" not in label
    )
    return f"{name}{{{','.join(kept)}}}"


@pytest.mark.parametrize("process", SERIES)
def test_every_series_of_a_process_is_there_from_the_start(process: str) -> None:
    shown = _shown(process)
    assert [series for series in SERIES[process] if shown.get(series) != 0] == []
