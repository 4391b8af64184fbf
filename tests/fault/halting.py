"""Command line: ``python -m tests.fault.halting TARGET OUT [COUNT]``: an operator who halts.

Halts a wallet of nobody's again and again, so many times or until it is ended, and writes how many
microseconds each took, one a line. A process of its own: what it measures is not what the tests'
own process is busy with.
"""

from __future__ import annotations

import itertools
import secrets
import sys
import time
from pathlib import Path

import grpc

from tests.control.edge import as_operator
from tradingtools.v1 import operator_service_pb2 as operator
from tradingtools.v1.operator_service_pb2_grpc import OperatorServiceStub

_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 30.0


def main(target: str, out: Path, count: int) -> None:
    """Halt and let go on; 0 times is without end."""
    wallet = "0x" + secrets.token_hex(20)
    requested = operator.SetHaltRequest(
        scope=operator.HALT_SCOPE_WALLET, subject=wallet, mode=operator.HALT_MODE_HALTED,
        reason="drill",
    )  # fmt: skip
    cleared = operator.ClearHaltRequest(scope=operator.HALT_SCOPE_WALLET, subject=wallet)
    with grpc.insecure_channel(target) as channel, out.open("a") as lines:
        grpc.channel_ready_future(channel).result(_ANSWER_SECONDS)
        stub = OperatorServiceStub(as_operator(channel))
        for _ in range(count) if count else itertools.repeat(0):
            started = time.perf_counter_ns()
            stub.SetHalt(requested, timeout=_ANSWER_SECONDS)
            lines.write(f"{(time.perf_counter_ns() - started) // 1000}\n")
            lines.flush()
            stub.ClearHalt(cleared, timeout=_ANSWER_SECONDS)
            time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 0)
