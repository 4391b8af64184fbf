"""The rate at which OKX' books are kept, beside the bare decoding of the same frames.

`python -m bench.okx_books`: one instrument with 400 levels a side and updates of six; each makes a
whole book that a strategy could read. The ratio is what the machine's noise leaves alone.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator

import msgspec

from tradingtools.venues.okx.instruments import Directory, InstrumentRow, listing
from tradingtools.venues.okx.market_session import EmitMarketEvent, MarketSession

LEVELS = 400
UPDATES = 20_000
ROUNDS = 5
NEEDED = 5_000
"""Updates a second that one core has to keep up with."""
_SWAP = {
    "instId": "BTC-USDT-SWAP", "instType": "SWAP", "state": "live", "tickSz": "0.1",
    "lotSz": "0.01", "minSz": "0.01", "settleCcy": "USDT", "uly": "BTC-USDT", "ctType": "linear",
    "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "lever": "100",
}  # fmt: skip


def frames() -> Iterator[bytes]:
    """Yield a snapshot and its updates, the same ones each time."""
    chance = random.Random(1)  # noqa: S311
    seq_id = 10
    whole = {side: [_level(side, at, "5") for at in range(LEVELS)] for side in ("bids", "asks")}
    yield _frame("snapshot", whole, seq_id, -1)
    for _ in range(UPDATES):
        changed = {
            side: [_level(side, chance.randrange(LEVELS), chance.choice("0157")) for _ in range(3)]
            for side in whole
        }
        yield _frame("update", changed, seq_id + 1, seq_id)
        seq_id += 1


def _level(side: str, at: int, size: str) -> list[str]:
    return [f"{(640_000 - at if side == 'bids' else 640_001 + at) / 10:.1f}", size, "0", "1"]


def _frame(action: str, sides: dict[str, list[list[str]]], seq_id: int, before: int) -> bytes:
    row = {**sides, "ts": "1796000000000", "checksum": 0, "seqId": seq_id, "prevSeqId": before}
    arg = {"channel": "books", "instId": _SWAP["instId"]}
    return json.dumps({"arg": arg, "action": action, "data": [row]}).encode()


def keep(received: list[bytes]) -> int:
    """Keep a book by the frames. Return how many whole books were told."""
    directory = Directory()
    swap = listing(msgspec.convert(_SWAP, InstrumentRow))
    directory.put([swap])
    session = MarketSession(directory, [swap.instrument])
    session.begin(0)
    return sum(
        isinstance(effect, EmitMarketEvent)
        for frame in received
        for effect in session.receive(frame, 1)
    )


def decode(received: list[bytes]) -> int:
    """Decode the frames, and nothing else."""
    return sum(bool(msgspec.json.decode(frame)) for frame in received)


def seconds(work: Callable[[list[bytes]], int], received: list[bytes]) -> float:
    """Return the least processor time of some rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work(received)
        least = min(least, time.process_time() - started)
    return least


def main() -> None:
    """Print both, and their ratio."""
    received = list(frames())
    bare, kept = seconds(decode, received), seconds(keep, received)
    rate, floor = len(received) / kept, len(received) / bare
    reported = (
        f"books kept     {rate:>10,.0f} updates/s, {rate / NEEDED:.1f} times what is needed\n"
        f"bare decoding  {floor:>10,.0f} frames/s, {kept / bare:.1f} times as fast"
    )
    print(reported)  # noqa: T201


if __name__ == "__main__":
    main()
