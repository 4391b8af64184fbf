"""Run `python -m replay` in a process of its own, one at a time.

No other call waits for it: it has its own memory, stands back for the others on the processor, and
is killed when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from tradingtools.domain.errors import LimitReached, Unavailable
from tradingtools.settings import SharedSettings

_log = structlog.get_logger("control.simulations")
NAME = "replay"
_RETRY_MS = "2000"
_MAX_BYTES = 4_000_000


class _Line(msgspec.Struct, frozen=True):
    answer: dict[str, Any] | None = None
    error: str | None = None


class Runner:
    """Answers one question after the other.

    Args:
        shared: say where the stores are.
        seconds: that an answer may take.
    """

    def __init__(self, shared: SharedSettings, seconds: float) -> None:
        self._seconds = seconds
        self._busy = False
        self.recording = shared.recording_dir
        self._environ = {
            "TT_CLICKHOUSE_URL": shared.clickhouse_url,
            "TT_CLICKHOUSE_OWN_URL": shared.clickhouse_own_url,
            "TT_ANALYTICS_DIR": shared.analytics_dir,
        }

    async def run(self, arguments: Sequence[str], request: msgspec.Struct) -> dict[str, Any]:
        """Return the answer.

        Args:
            arguments: of the tool's command line.
            request: what it is asked.

        Raises:
            LimitReached: another question is being answered.
            Unavailable: there is no answer, or not in time.
        """
        if self._busy:
            raise LimitReached("another simulation is being computed", retry_after_ms=_RETRY_MS)
        self._busy = True
        try:
            async with asyncio.timeout(self._seconds):
                found = await _answered(arguments, request, self._environ)
        except TimeoutError:
            raise _unavailable(
                f"no answer within {self._seconds:g} s; ask for a shorter time"
            ) from None
        finally:
            self._busy = False
        if found.error is not None or found.answer is None:
            raise _unavailable(found.error or "no answer")
        return found.answer


async def _answered(
    arguments: Sequence[str], request: msgspec.Struct, environ: Mapping[str, str]
) -> _Line:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "replay",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), **environ},
        limit=_MAX_BYTES,
    )
    try:
        message, complained = await child.communicate(msgspec.json.encode(request))
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        return msgspec.json.decode(message.splitlines()[-1], type=_Line)
    except (IndexError, msgspec.MsgspecError):
        _log.error("a simulation ended without an answer", status=child.returncode,
                   message=complained.decode(errors="replace")[-2000:])  # fmt: skip
        raise _unavailable("no answer") from None


def _unavailable(detail: str) -> Unavailable:
    return Unavailable(f"{NAME}: {detail}", dependency=NAME, retry_after_ms=_RETRY_MS)
