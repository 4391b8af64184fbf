"""An order is the same order in the journal, on the wire and in memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.samples import order
from tradingtools.codec import claims
from tradingtools.domain.leader_trade import LeaderRow, Side, Source, TradeKey
from tradingtools.domain.money import parse_exact
from tradingtools.domain.order import Follower, Order, Purpose, TimeInForce
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.insiders.order_body import order_body

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
amounts = st.integers(0, 2**63 - 1)
orders = st.builds(
    Order,
    order_key=texts,
    copy_key=texts,
    ordinal=st.integers(0, 2**31 - 1),
    purpose=st.sampled_from(Purpose),
    subscription_id=texts,
    subscription_version=amounts,
    trigger_id=texts,
    follower=st.builds(Follower, user_id=texts, wallet_id=texts, proxy=texts),
    leader=texts,
    leader_tx=texts,
    condition_id=texts,
    asset_id=texts,
    side=st.sampled_from(Side),
    size_micros=amounts,
    limit_micros=amounts,
    time_in_force=st.sampled_from(TimeInForce),
    not_after_ms=amounts,
    body=texts,
    reserved_money_micros=amounts,
    reserved_shares_micros=amounts,
)


def payload(*found: Order) -> dict[str, list[dict[str, object]]]:
    raw = claims.claim_payload(found, control_seq=7, traceparent="tp", received_ns=1, routed_ns=2)
    read: dict[str, list[dict[str, object]]] = json.loads(raw)
    return read


@given(orders)
def test_through_the_journal_and_back(made: Order) -> None:
    fields = payload(made)["orders"][0]
    assert claims.order_from_fields(fields) == made
    assert fields["body_hash"] == made.body_hash


@given(orders)
def test_from_a_row_whose_body_is_bytes(made: Order) -> None:
    fields = payload(made)["orders"][0]
    row = {**fields, "body": memoryview(made.body.encode())}
    assert claims.order_from_fields(row) == made
    assert claims.order_from_fields(row).body_hash == made.body_hash


@given(orders)
def test_over_the_wire_and_back(made: Order) -> None:
    wire = claims.order_to_pb(made).SerializeToString()
    assert claims.order_from_pb(pb.Order.FromString(wire)) == made


def test_ids_that_a_row_leaves_out_are_empty() -> None:
    fields = payload(structs.replace(order(), subscription_id="", trigger_id=""))["orders"][0]
    row = {**fields, "subscription_id": None, "trigger_id": None}
    read = claims.order_from_fields(row)
    assert (read.subscription_id, read.trigger_id) == ("", "")


@pytest.mark.parametrize("field", ["side", "purpose", "time_in_force"])
def test_an_unspecified_enum_is_refused(field: str) -> None:
    message = claims.order_to_pb(order())
    message.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        claims.order_from_pb(message)


@given(st.lists(orders, max_size=3))
def test_record_reads_back_as_the_streamed_batch(found: list[Order]) -> None:
    batch = claims.batch_from_payload(5, 9, payload(*found))
    assert [claims.order_from_pb(message) for message in batch.orders] == found
    assert (batch.journal_seq, batch.claimed_ns) == (5, 9)
    if found:
        assert (batch.traceparent, batch.received_ns, batch.control_seq) == ("tp", 1, 7)


def test_the_rows_of_a_record_keep_price_text_and_count() -> None:
    row = LeaderRow(
        key=TradeKey(leader_tx="0xt", leader="0xl", asset_id="7", side=Side.SELL),
        condition_id="0xc",
        price_text="0.3333333333",
        price_micros=333_333,
        size_micros=1,
        count=3,
        source=Source.CATCH_UP,
        traded_ms=5,
        received_ns=6,
        held_before_micros=0,
    )
    raw = claims.claim_payload(
        [], rows=[row], control_seq=0, traceparent="", received_ns=0, routed_ns=0
    )
    (stored,) = json.loads(raw)["rows"]
    assert (stored["price_text"], stored["count"]) == ("0.3333333333", 3)
    assert (stored["source"], stored["side"]) == ("CATCH_UP", "SELL")


@given(amounts, st.integers(1, 999_999), st.integers(0, 4_102_444_800_000), texts, texts)
def test_a_body_says_exactly_what_was_decided(
    size: int, limit: int, not_after_ms: int, asset: str, user: str
) -> None:
    def body() -> str:
        return order_body(
            follower=Follower(user_id=user, wallet_id=f"w-{user}", proxy=f"0x{user}"),
            condition_id="0xc",
            asset_id=asset,
            size_micros=size,
            limit_micros=limit,
            time_in_force=TimeInForce.FAK,
            not_after_ms=not_after_ms,
        )

    assert body() == body()
    read = json.loads(body())
    assert parse_exact(read["size"]) == size
    assert parse_exact(read["limitPrice"]) == limit
    assert read["assetId"] == asset
    assert read["followerUserId"] == user
    # What an earlier version made durable is sent again byte for byte.
    assert body() == json.dumps(read, separators=(",", ":"))
    instant = datetime.fromisoformat(read["notAfter"])
    assert instant == datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=not_after_ms)
