"""The state that survives a kill -9: the run's salt and beginning, and a line for each step played.

A line is written and handed to the operating system before its step reaches anyone; what a kill
cuts short is the last line only, and it is dropped at the next start. The log is the whole state:
the world after a restart is the fold of its lines.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

import msgspec

from paper.venue.core.moves import MoveBody
from paper.venue.core.trade import TradeBody

_RUN, _LOG = "venue.run.json", "venue.played.jsonl"


class StoreError(ValueError):
    """A state directory that cannot be used with these settings; the message says why."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The values that all of a run shares. `salt` is empty when the tape's own hashes are
    repeated."""

    seed: int
    tape: str
    salt: str
    epoch_ms: int


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The replay was told to start, or its delay was over."""

    wall_ms: int


class RowPlayed(msgspec.Struct, frozen=True, tag="row"):
    """Row `row` of the tape was played in lap `lap`."""

    lap: int
    row: int
    wall_ms: int


class Injected(msgspec.Struct, frozen=True, tag="injected"):
    """A row given over the control port was played."""

    body: TradeBody
    wall_ms: int


class MovementRow(msgspec.Struct, frozen=True, tag="moved"):
    """Shares moved without a trade, as told over the control port."""

    body: MoveBody
    wall_ms: int


class Resolved(msgspec.Struct, frozen=True, tag="resolved"):
    """A market was resolved; payouts in micros a share."""

    condition: str
    payouts: tuple[int, int]
    wall_ms: int


Record = Started | RowPlayed | Injected | MovementRow | Resolved
_RECORD = msgspec.json.Decoder(Record)


class Store:
    """The files of one run in a directory that this process owns."""

    def __init__(self, run: Run, records: list[Record], log: int) -> None:
        self.run = run
        self.records = records
        self._log = log

    @staticmethod
    def open(directory: Path, *, seed: int, tape: str, repeat: bool, now_ms: int) -> Store:
        """The run found in `directory`, or a new one.

        Raises StoreError when the run there was made with another seed, tape or repeat
        mode, or another process uses the directory.
        """
        directory.mkdir(parents=True, exist_ok=True)
        log = os.open(directory / _LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Store(
                _run(directory / _RUN, seed, tape, repeat, now_ms), _recover(directory / _LOG), log
            )
        except BlockingIOError:
            os.close(log)
            raise StoreError(f"{directory}: in use by another process") from None
        except (StoreError, OSError):
            os.close(log)
            raise

    def append(self, record: Record) -> None:
        """Keep a step, before anyone hears of it."""
        os.write(self._log, msgspec.json.encode(record) + b"\n")

    def close(self) -> None:
        """Let go of the log."""
        os.close(self._log)


def _run(path: Path, seed: int, tape: str, repeat: bool, now_ms: int) -> Run:
    if not path.exists():
        salt = "" if repeat else secrets.token_hex(16)
        run = Run(seed=seed, tape=tape, salt=salt, epoch_ms=now_ms)
        write_atomically(path, msgspec.json.encode(run))
        return run
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except msgspec.DecodeError as error:
        raise StoreError(f"{path}: {error}") from None
    if (run.seed, run.tape, not run.salt) != (seed, tape, repeat):
        raise StoreError(
            f"{path}: a run with another seed, tape or repeat mode; remove the state directory "
            "to begin anew or set them back"
        )
    return run


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _recover(path: Path) -> list[Record]:
    """The whole lines of the log; a cut last line is removed from the file."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        os.truncate(path, len(whole))
    try:
        return [_RECORD.decode(line) for line in whole.splitlines()]
    except msgspec.DecodeError as error:
        raise StoreError(f"{path}: {error}") from None
