"""Claims in messages: together as far as they fit, and none reached before all of it was there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradingtools.runtime.claim_tail import ORDERS_PER_MESSAGE, messages
from tradingtools.v1 import common_pb2 as pb

sizes = st.lists(
    st.sampled_from([0, 1, 2, ORDERS_PER_MESSAGE - 1, ORDERS_PER_MESSAGE, ORDERS_PER_MESSAGE + 1])
    | st.integers(0, 3 * ORDERS_PER_MESSAGE),
    max_size=8,
)


def _claims(of: list[int]) -> list[pb.OrderBatch]:
    return [
        pb.OrderBatch(
            journal_seq=10 * number,
            orders=[pb.Order(order_key=f"{number}/{n}") for n in range(size)],
            control_seq=number,
        )
        for number, size in enumerate(of, start=1)
    ]


@given(sizes)
def test_every_order_comes_once_and_cursors_with_whole_claims(of: list[int]) -> None:
    claims = _claims(of)
    come: dict[int, list[str]] = {}
    for cursor, together in messages(5, claims):
        assert sum(len(piece.orders) for piece in together) <= ORDERS_PER_MESSAGE
        for piece in together:
            assert piece.control_seq == piece.journal_seq // 10
            keys = come.setdefault(piece.journal_seq, [])
            keys += [order.order_key for order in piece.orders]
        whole = [c.journal_seq for c in claims if len(come.get(c.journal_seq, ())) == len(c.orders)]
        started = [seq for seq in come if seq not in whole]
        assert cursor == max((seq for seq in come if seq in whole), default=5)
        assert all(cursor < seq for seq in started), "resumed after it, its start would be missing"
    assert come == {c.journal_seq: [o.order_key for o in c.orders] for c in claims}


def test_what_fits_is_one_message() -> None:
    together = messages(0, _claims([1] * 20))
    assert [(cursor, len(batches)) for cursor, batches in together] == [(200, 20)]
    full = messages(0, _claims([ORDERS_PER_MESSAGE, 1, ORDERS_PER_MESSAGE]))
    assert [(cursor, len(batches)) for cursor, batches in full] == [(10, 1), (20, 1), (30, 1)]
