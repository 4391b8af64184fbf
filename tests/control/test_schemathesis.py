"""Schemathesis reads the OpenAPI document and asks the real edge: right, wrong, and in chains.

Examples, the edges of every schema, random requests of both kinds, and chains of calls along the
links (create, get, patch, pause, delete). `schemathesis.toml` configures it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.edge import MANAGE, ROOT, RunningEdge, StartEdge
from tools.openapi.__main__ import DOCUMENT

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def patient(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge that nobody can ask too often."""
    with start_edge("patient", token_rate="100000", address_rate="100000") as running:
        yield running


@pytest.mark.parametrize(
    ("examples", "chains", "seed", "must_work"),
    [
        # So few chains need not reach everything; the long form has to. Forty seconds where nothing
        # else runs.
        pytest.param(3, 25, 1, "core", id="short", marks=pytest.mark.timeout(600)),
        *(
            pytest.param(100, 400, seed, "all", id=f"long-{seed}", marks=[
                pytest.mark.long, pytest.mark.timeout(1800),
            ])
            for seed in (2, 3)
        ),
    ],
)  # fmt: skip
def test_the_document_holds(
    patient: RunningEdge, tmp_path: Path, examples: int, chains: int, seed: int, must_work: str
) -> None:
    config = tmp_path / "schemathesis.toml"
    stateful = f"[phases.stateful]\ngeneration = {{ max-examples = {chains} }}\n"
    config.write_text(f"{CONFIG.read_text()}\n{stateful}")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
            str(DOCUMENT), "--url", patient.url, "--max-examples", str(examples),
            "--seed", str(seed), "--generation-database", "none", "--no-color",
        ],
        cwd=ROOT,
        env={**os.environ, "EDGE_TOKEN": MANAGE, "EDGE_MUST_WORK": must_work},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
