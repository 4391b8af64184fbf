"""Instruments and frames of OKX for tests, in the shapes of its documentation; values are ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx.book_frames import BookChange, read_changes
from tradingtools.venues.okx.instruments import Directory, InstrumentRow, Listing, listing
from tradingtools.venues.okx.wire import Push, decode_frame

SPOT: dict[str, object] = {
    "instType": "SPOT", "instId": "BTC-USDT", "uly": "", "instFamily": "", "category": "1",
    "baseCcy": "BTC", "quoteCcy": "USDT", "settleCcy": "", "ctVal": "", "ctMult": "",
    "ctValCcy": "", "ctType": "", "expTime": "", "lever": "10", "tickSz": "0.1",
    "lotSz": "0.00000001", "minSz": "0.00001", "maxLmtSz": "9999999999", "state": "live",
    "instIdCode": 10001,
}  # fmt: skip
SWAP: dict[str, object] = {
    **SPOT, "instType": "SWAP", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT",
    "instFamily": "BTC-USDT", "baseCcy": "", "quoteCcy": "", "settleCcy": "USDT", "ctVal": "0.01",
    "ctMult": "1", "ctValCcy": "BTC", "ctType": "linear", "lever": "100", "lotSz": "0.01",
    "minSz": "0.01", "maxLmtSz": "100000000.0000000000000000", "instIdCode": 10002,
}  # fmt: skip
INVERSE: dict[str, object] = {
    **SWAP, "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "instFamily": "BTC-USD",
    "settleCcy": "BTC", "ctVal": "100", "ctValCcy": "USD", "ctType": "inverse", "lotSz": "1",
    "minSz": "1", "instIdCode": "10003",
}  # fmt: skip
FUTURE: dict[str, object] = {
    **INVERSE, "instType": "FUTURES", "instId": "BTC-USD-270326", "expTime": "1806048000000",
    "lever": "20", "instIdCode": None,
}  # fmt: skip
TAG = "tt1"


def row(fields: Mapping[str, object]) -> InstrumentRow:
    return msgspec.convert(dict(fields), InstrumentRow)


def listed(fields: Mapping[str, object]) -> Listing:
    return listing(row(fields))


def instrument(fields: Mapping[str, object]) -> Instrument:
    return listed(fields).instrument


def directory() -> Directory:
    known = Directory()
    known.put([listed(fields) for fields in (SPOT, SWAP, INVERSE, FUTURE)])
    return known


def push(channel: str, data: Sequence[object], *, action: str = "", **more: str) -> Push:
    """A frame of a channel, read from its bytes."""
    frame: dict[str, object] = {"arg": {"channel": channel, **more}, "data": list(data)}
    if action:
        frame["action"] = action
    read = decode_frame(json.dumps(frame).encode())
    assert isinstance(read, Push)
    return read


def change(
    seq: int | None,
    prev: int | None,
    *,
    bids: Sequence[tuple[str, str]] = (),
    asks: Sequence[tuple[str, str]] = (),
    snapshot: bool = False,
    checksum: int = 0,
) -> BookChange:
    """One change of a book of the swap, read from its bytes."""
    numbers: dict[str, object] = {} if seq is None else {"seqId": seq, "prevSeqId": prev}
    row = {
        "asks": [[price, size, "0", "1"] for price, size in asks],
        "bids": [[price, size, "0", "1"] for price, size in bids],
        "ts": "1796000000000", "checksum": checksum, **numbers,
    }  # fmt: skip
    read = push("books", [row], instId="BTC-USDT-SWAP", action="snapshot" if snapshot else "update")
    (one,) = read_changes(read, instrument(SWAP))
    return one
