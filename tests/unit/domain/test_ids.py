"""Ids have one spelling, and keys are the same on every machine for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain import ids
from tradingtools.domain.ids import IdError

TX = "0x" + "ab" * 32
LEADER = "0x" + "1" * 40
WALLET = "0x" + "2" * 40

GOLDEN = {
    "entry": "9551427c77bdf57cc5a01e8824ff54a699b8bcb73dce139154adf0d80532db11",
    "exit": "7779437efd50c11b17a7353c055e23edff0b8afef5f52c1551bfdb15ece50867",
    "lot": "5695af14b8f9907e0b026c38e0f653e4b8970504aabce1feffa2f03acb73199c",
    "guard": "fc560bc589b9dc271ea471486e5ce0f760eab7bf0bf8a16ba6b819df5383523a",
    "order": "cf6580dd97454b2e2dc322f49052326eca435af786257593e5c5b9cc627c3893",
}
PARTITIONS = [0, 0, 0, 10, 602]

hex_text = st.text("0123456789abcdefABCDEF", min_size=40, max_size=40)


@given(hex_text, st.sampled_from(["0x", "0X"]))
def test_spellings_of_a_wallet_are_one_wallet(digits: str, prefix: str) -> None:
    canonical = ids.wallet(prefix + digits)
    assert canonical == "0x" + digits.lower()
    assert ids.wallet(canonical) == canonical


@pytest.mark.parametrize("end", ["\n", " ", "\x00", "0", "\r\n"])
def test_nothing_may_follow_an_id(end: str) -> None:
    for parse, text in ((ids.wallet, WALLET), (ids.hash32, TX)):
        assert parse(text) == text
        with pytest.raises(IdError):
            parse(text + end)
    if end != "0":
        with pytest.raises(IdError):
            ids.asset("12" + end)


@pytest.mark.parametrize(
    "text",
    ["", "0", "01", "-1", "+1", "1.0", "1e3", "0x10", " 1", "1_0", "\u0661", str(2**256), "9" * 79],
)
def test_what_is_not_a_token_id_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        ids.asset(text)


def test_the_largest_token_id_is_accepted() -> None:
    assert ids.asset(str(2**256 - 1)) == str(2**256 - 1)


@given(st.text(max_size=70))
def test_what_is_accepted_is_canonical(text: str) -> None:
    for parse in (ids.wallet, ids.hash32, ids.asset):
        try:
            canonical = parse(text)
        except IdError:
            continue
        assert parse(canonical) == canonical
        assert canonical.isascii()
        assert canonical == canonical.strip().lower()


texts = st.text("0123456789abcdefx:|", max_size=6)


@given(st.lists(st.tuples(texts, texts, texts, texts), min_size=2, max_size=6, unique=True))
def test_no_two_inputs_share_a_key(inputs: list[tuple[str, str, str, str]]) -> None:
    # Not only well-formed ids: the boundary between two of them must not matter either.
    keys: list[str] = []
    entries = {(a, b, c) for a, b, c, _ in inputs}
    keys += [ids.entry_copy_key(*entry) for entry in entries]
    keys += [ids.exit_copy_key(*given_) for given_ in inputs]
    lots = {(a, b) for a, b, _, _ in inputs}
    keys += [ids.lot_exit_key(*lot) for lot in lots]
    keys += [ids.order_key(copy, n) for copy in {a for a, _ in lots} for n in range(11)]
    keys += [
        ids.guard_exit_key(trigger, generation, rung)
        for trigger in {a for a, _ in lots}
        for generation in (1, 11)
        for rung in (0, 1, 11)
    ]
    assert len(set(keys)) == len(keys)


def test_keys_never_change() -> None:
    # A key that changed would make a second order of an old copy.
    entry = ids.entry_copy_key(TX, WALLET, "7")
    leaving = ids.exit_copy_key(TX, WALLET, "7", LEADER)
    assert {
        "entry": entry,
        "exit": leaving,
        "lot": ids.lot_exit_key(leaving, "sub-1"),
        "guard": ids.guard_exit_key("trigger-1", 2, 3),
        "order": ids.order_key(entry, 0),
    } == GOLDEN
    assert [ids.partition_of(WALLET, n) for n in (1, 2, 3, 16, 1_000)] == PARTITIONS


@given(st.text(max_size=50), st.integers(1, 10_000))
def test_a_partition_is_one_of_them(wallet: str, partitions: int) -> None:
    assert 0 <= ids.partition_of(wallet, partitions) < partitions


def test_partitions_are_used_evenly() -> None:
    counts = [0] * 8
    for n in range(4_000):
        counts[ids.partition_of(f"0x{n:040x}", 8)] += 1
    assert min(counts) > 400
