"""Several engines over the wallets of one paper exchange, judged by its own record and journal.

A place carries an order id of ours and a change a request id of ours, and both name bot and epoch:
so the exchange's journal says of each change under whose lease it was made.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bots.world import Bots

Span = tuple[int, int]
_ID = re.compile(r"(?P<bot>[a-z0-9]{12})e(?P<epoch>[0-9a-f]+)n[0-9a-f]+")
_NAMED = {"POST /api/v5/trade/order": "clOrdId", "POST /api/v5/trade/amend-order": "reqId"}
_SIDES = ("buy", "sell")
TOO_OFTEN = ("50011", "50061")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, order=True)
class Change:
    """An order that was placed, or changed, and accepted."""

    at_ms: int
    account: str
    bot: str
    epoch: int
    order: int
    """Its place in the journal."""


class Journal:
    """What the exchange took and refused, read from its journal's file as that grows."""

    def __init__(self, world: Bots) -> None:
        self._path = world.okx.directory / "journal.jsonl"
        self._file = self._path.open("rb")
        self._rest = b""
        self.changes: list[Change] = []
        self.refused: dict[str, int] = defaultdict(int)
        """How often each path was asked for too often."""

    def close(self) -> None:
        self._file.close()

    def read(self) -> None:
        """Take what is new."""
        while True:
            *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
            for line in lines:
                if b'"kind":"asked"' in line[:60]:
                    self._take(json.loads(line))
            if os.fstat(self._file.fileno()).st_ino == self._path.stat().st_ino:
                return
            # A new file was begun.
            self._file.close()
            self._file = self._path.open("rb")

    def _take(self, entry: Mapping[str, Any]) -> None:
        path, answer = entry["what"].partition("?")[0], entry["answer"]
        if entry["code"] in TOO_OFTEN:
            self.refused[path] += 1
        key = _NAMED.get(path)
        if key is None or not isinstance(answer, dict) or answer.get("code") != "0":
            return
        body = entry["body"]
        one = _ID.fullmatch((body[0] if isinstance(body, list) else body).get(key, ""))
        if one is not None:
            self.changes.append(
                Change(
                    at_ms=entry["at_ns"] // 1_000_000,
                    account=entry["account"],
                    bot=one["bot"],
                    epoch=int(one["epoch"], 16),
                    order=entry["seq"],
                )
            )


def one_writer(found: Iterable[Change]) -> None:
    """Assert that no owner of an account changed anything after the next one had begun to."""
    epochs: dict[str, Change] = {}
    for one in sorted(found, key=lambda one: one.order):
        last = epochs.setdefault(one.account, one)
        assert one.epoch >= last.epoch, f"{one} after {last}"
        epochs[one.account] = one


def late(found: Iterable[Change], epochs_: Mapping[str, int], since_ms: int) -> list[Change]:
    """Return what earlier owners of accounts changed after an instant."""
    return [one for one in found if one.at_ms >= since_ms and one.epoch < epochs_[one.account]]


def spans(world: Bots, accounts: Sequence[str]) -> dict[tuple[str, str], list[Span]]:
    """Return when orders of a bot and side rested, by the exchange's own record."""
    found: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for account in accounts:
        for one in world.history(account):
            found[one["clOrdId"][:12], one["side"]].append((int(one["cTime"]), int(one["uTime"])))
        for one in world.resting(account):
            found[one["clOrdId"][:12], one["side"]].append((int(one["cTime"]), now_ms()))
    return found


def gaps(
    found: Mapping[tuple[str, str], list[Span]], bots: Iterable[str], within: Span
) -> list[int]:
    """Return for each bot the longest time that it had no order on a side, within a time."""
    return sorted(max(_gap(found.get((bot, side), []), within) for side in _SIDES) for bot in bots)


def _gap(rested: Iterable[Span], within: Span) -> int:
    worst, clock = 0, within[0]
    for start, end in sorted(rested):
        if start > within[1]:
            break
        worst = max(worst, start - clock)
        clock = max(clock, end)
    return max(worst, within[1] - clock)


def owners(world: Bots) -> dict[str, str]:
    """Return the engine of each wallet that has one."""
    query = "select wallet_id, engine from trading_wallet_lease where until >= clock_timestamp()"
    return dict(world.rows(query))


def epochs(world: Bots) -> dict[str, tuple[str, int]]:
    """Return the last owner of each wallet, and its epoch."""
    rows = world.rows("select wallet_id, engine, epoch from trading_wallet_lease")
    return {wallet: (engine, epoch) for wallet, engine, epoch in rows}


def quoting(world: Bots) -> int:
    """Return how many bots run under the lease of now and have orders on both sides."""
    ((count,),) = world.rows(
        "select count(*) from bot b join trading_wallet_lease l on l.wallet_id = b.wallet_id"
        " and l.until >= clock_timestamp()"
        " join bot_standing s on s.bot_id = b.id and s.epoch = l.epoch"
        " where b.state = 'RUNNING' and b.epoch = l.epoch and 2 <= (select count(distinct o.side)"
        " from bot_order o where o.bot_id = b.id and o.state in ('OPEN', 'PARTIALLY_FILLED'))"
    )
    return int(count)


def figures(values: Sequence[int]) -> str:
    """Return the middle, the 95th part and the greatest of values that are sorted."""
    if not values:
        return "none"
    middle, most = values[len(values) // 2], values[len(values) * 95 // 100]
    return f"p50 {middle}, p95 {most}, max {values[-1]} ms"
