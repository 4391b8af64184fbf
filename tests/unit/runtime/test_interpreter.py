"""No process loads the interpreter of contracts, whether requests are right or wrong."""

from __future__ import annotations

import subprocess
import sys

from launcher.state import ROOT

_CODE = """
import sys
import services.confirm.app, services.executor.app, services.guard.app
import services.bookfeed.app, services.control.app, services.ingest.app, services.router.app
from tradingtools.domain.errors import InvalidField
from tradingtools.rpc.requests import check
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import confirm_service_pb2 as confirm
from tradingtools.v1 import executor_service_pb2 as executor
from tradingtools.v1 import guard_service_pb2 as guard
from tradingtools.v1 import ingest_service_pb2 as ingest
from tradingtools.v1 import router_service_pb2 as router

for kind in (
    confirm.StreamFillsRequest, executor.StreamOrderEventsRequest, guard.StreamExitsRequest,
    ingest.StreamLeaderTradesRequest, router.StreamOrdersRequest, common.AcknowledgeRequest,
):
    check(kind(cursor="17", consumer="router-0"), strict=False)
try:
    check(router.StreamOrdersRequest(cursor="x"), strict=False)
except InvalidField as refused:
    assert refused.metadata["field"] == "cursor", refused
    assert "celpy" not in sys.modules and "protovalidate" not in sys.modules
    print("refused")
"""


def test_requests_are_judged_without_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
