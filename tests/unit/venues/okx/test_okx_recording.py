"""The comparison of recordings notices what the adapter reads otherwise."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from tests.unit.venues.okx.samples import FUTURE, INVERSE, SPOT, SWAP
from tools.okx_recording import Differs, compare
from tradingtools.venues.trading import Print


def _crc(text: str) -> int:
    found = zlib.crc32(text.encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def _book(action: str, bids: list[list[str]], checksum: int) -> dict[str, object]:
    arg = {"channel": "books", "instId": "BTC-USDT-SWAP"}
    row = {"bids": bids, "asks": [], "ts": "1", "checksum": checksum}
    return {"arg": arg, "action": action, "data": [row]}


def _recording(folder: Path, *, checksum: int | None = None) -> tuple[Path, Path]:
    options = {**SPOT, "instType": "OPTION", "instId": "BTC-USD-270326-90000-C"}
    answer = {"code": "0", "msg": "", "data": [SPOT, SWAP, INVERSE, FUTURE, options]}
    trade = {"tradeId": "1", "px": "64250.5", "sz": "0.12", "side": "sell", "ts": "5"}
    last = _crc("64250.5:3") if checksum is None else checksum
    frames = [
        {"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"}},
        _book("snapshot", [["64250.5", "1"], ["64250", "2"]], _crc("64250.5:1:64250:2")),
        _book("update", [["64250.5", "3"], ["64250", "0"]], last),
        {"arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}, "data": [trade]},
    ]
    (folder / "instruments").write_text(f"GET /x -> 1.5: {json.dumps(answer)}\n")
    lines = [f"1652459225.{at}: {json.dumps(one)}\n" for at, one in enumerate(frames)]
    (folder / "frames").write_text("wss://x <-> 1\n" + "".join(lines))
    return folder / "instruments", folder / "frames"


def test_a_recording_is_compared_to_the_last_digit(tmp_path: Path) -> None:
    assert compare(*_recording(tmp_path)) == {
        "instruments SPOT": 1,
        "instruments SWAP": 2,
        "instruments FUTURES": 1,
        "refused OPTION": 1,
        "other frames": 1,
        "changes of books": 2,
        "prints": 1,
    }


def test_a_book_that_does_not_fit_its_checksum_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Differs, match="lost the book"):
        compare(*_recording(tmp_path, checksum=7))


def test_a_print_that_is_read_otherwise_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> list[Print]:
        return [Print(instrument_id="x", trade_id="1", side="BUY", price=1, size=1, venue_ms=5)]

    monkeypatch.setattr("tools.okx_recording.read_prints", wrong)
    with pytest.raises(Differs, match="print 1"):
        compare(*_recording(tmp_path))
