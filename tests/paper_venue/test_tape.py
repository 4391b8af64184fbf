from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper.venue import tape
from paper.venue.core import amounts
from paper.venue.core.checksum import checksummed, keccak256


def line(**changes: object) -> bytes:
    payload = {
        "asset": "123",
        "conditionId": "0x" + "a" * 64,
        "outcome": "Yes",
        "outcomeIndex": 0,
        "price": 0.5,
        "proxyWallet": "0x" + "b" * 40,
        "side": "BUY",
        "size": 10.25,
        "timestamp": 1000,
        "title": "t",
        "transactionHash": "0x" + "c" * 64,
    }
    frame = {"topic": "activity", "type": "trades", "timestamp": 1, "payload": payload | changes}
    return msgspec.json.encode({"recv_ms": 1_000_500, "frame": frame})


def test_the_sample_is_whole_and_keeps_the_digits() -> None:
    rows, _ = tape.load(None)
    source = Path(tape.__file__).parent / "sample" / tape.SAMPLE
    lines = source.read_text().splitlines()
    assert len(rows) == len(lines) == 2158
    for row, text in zip(rows, lines, strict=True):
        assert f'"price":{row.trade.price_text},' in text
        assert f'"size":{row.trade.size_text},' in text


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(price=1.5), "price"),
        (line(price=0), "price"),
        (line(price=-0.5), "price"),
        (line(size=0.0000001), "size"),
        (line(size=True), "size"),
        (line(side="HOLD"), "side"),
        (line(asset="0123"), "asset"),
        (line(asset=str(1 << 256)), "asset"),
        (line(proxyWallet="0x12"), "proxyWallet"),
        (line(transactionHash="c" * 66), "transactionHash"),
        (line(timestamp=2000), "timestamp"),
        (line(asset="124"), f"asset: 124 is a second id for market 0x{'a' * 64}, which has 123"),
        (line(asset="124", outcomeIndex=1), "asset: 124 is a second id for market"),
        (line(conditionId="0x" + "d" * 64), f"conditionId: 0x{'d' * 64} is a second market of"),
        (b"{", "truncated"),
        (line().replace(b"1000500", b"1000100"), "recv_ms"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(bad: bytes, reason: str) -> None:
    with pytest.raises(tape.TapeError, match=rf"tape line 2: .*{reason}"):
        tape.parse([line(), bad])


def test_an_empty_or_missing_tape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tape.TapeError, match="no rows"):
        tape.parse([])
    with pytest.raises(tape.TapeError, match=r"missing\.jsonl"):
        tape.load(tmp_path / "missing.jsonl")


@given(st.integers(0, 10**15))
def test_amounts_survive_their_text(micros: int) -> None:
    assert amounts.exact(amounts.text(micros)) == micros
    assert amounts.rounded(amounts.text(micros)) == micros


@pytest.mark.parametrize("text", ["", ".", "NaN", "1e", "-1", "+1", "Infinity", "1_0", "0x1", "e5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        amounts.exact(text)


def test_averages_round_half_even_and_leading_points_are_read() -> None:
    assert amounts.rounded("0.5113394431511363") == 511339
    assert amounts.rounded("0.0000025") == 2
    assert amounts.rounded(".48") == 480_000


def test_checksums_are_those_of_the_standards_examples() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"").hex() == empty
    for address in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    ):
        assert checksummed(address.lower()) == address


@given(st.binary(max_size=400))
def test_the_permutation_is_that_of_sha3(data: bytes) -> None:
    assert keccak256(data, suffix=0x06) == hashlib.sha3_256(data).digest()
