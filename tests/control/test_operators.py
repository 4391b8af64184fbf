"""The audit and the messages set aside as operators call for them, over gRPC on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
import redis.asyncio as redis

from services.control.auth.interceptor import TokenInterceptor
from services.control.auth.rate_limiter import Limiter, Rates
from services.control.auth.tokens import parse_tokens
from services.control.internal_app import OPERATOR_SERVICE
from services.control.operators import corrections
from services.control.operators.approvals import Approvals
from services.control.operators.audit import Audit
from services.control.operators.catalogue import Catalogue
from services.control.operators.corrections import Corrections
from services.control.operators.dead_letters import DeadLetters
from services.control.operators.resolutions import Resolutions
from services.control.operators.service import OperatorServicer
from services.control.operators.store import Operators
from services.control.store import Store
from services.control.users.people import People
from services.control.wallet_owners import Identities
from tests.control.edge import OPERATE, TOKENS
from tests.money_path import upstream
from tests.money_path.upstream import Upstream
from tradingtools.domain.permissions import INSIDE_PORT
from tradingtools.rpc import transport
from tradingtools.rpc.admission import Metadata
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.v1 import bookfeed_service_pb2 as books
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc

BEARER = (("authorization", f"Bearer {OPERATE}"),)


class Withdrawing(TokenInterceptor):
    """A port whose tokens can go between its interceptor and a handler."""

    withdraws = False

    def judge(self, method: str, metadata: Metadata) -> None:
        super().judge(method, metadata)
        if self.withdraws:
            self.use(())


@dataclass(frozen=True)
class Desk:
    """An operator's stub, the port it calls, and the database behind that."""

    stub: Any
    port: Withdrawing
    pool: Pool
    markets: Upstream
    """A bookfeed."""

    async def sql(self, query: str, *values: object) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def quarantine(self, consumer: str) -> int:
        (row,) = await self.sql(
            "insert into dead_letter (stream, consumer, cursor, reason, payload)"
            " values ('fills', %s, '7', 'ValueError: no', 'x') returning id",
            consumer,
        )
        return int(row["id"])


@pytest_asyncio.fixture
async def desk(database_url: str, redis_url: str) -> AsyncIterator[Desk]:
    async with (
        open_pool(database_url, name="test", size=2) as pool,
        redis.Redis.from_url(redis_url) as client,
        upstream.serving() as markets,
        transport.channel(f"127.0.0.1:{markets.port}") as bookfeed,
    ):
        store = Store(pool, client, changes=pool)
        limiter = Limiter(Rates(token=1000, address=1000, refused=1000))
        inside = Withdrawing(parse_tokens(TOKENS), limiter, People(None, None))
        servicer = OperatorServicer(
            Operators(store),
            Resolutions(store),
            Corrections(store, Catalogue(bookfeed)),
            Audit(store),
            DeadLetters(store),
            Identities(store),
            inside,
            Approvals(store, desired=False),
        )
        async with (
            transport.serving(
                "127.0.0.1:0", [OPERATOR_SERVICE],
                lambda s: rpc.add_OperatorServiceServicer_to_server(servicer, s),
                interceptors=[inside], permissions=INSIDE_PORT,
            ) as server,
            transport.channel(f"127.0.0.1:{server.port}") as channel,
        ):  # fmt: skip
            shown = transport.showing(channel, BEARER)
            yield Desk(rpc.OperatorServiceStub(shown), inside, pool, markets)


async def _halt(desk: Desk, reason: str) -> None:
    request = pb.SetHaltRequest(
        scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_REDUCING, reason=reason
    )
    await desk.stub.SetHalt(request, timeout=60)


async def test_changes_are_listed_newest_first_with_what_was_and_is(desk: Desk) -> None:
    await _halt(desk, "a look")
    await _halt(desk, "a longer look")
    first = await desk.stub.ListAudit(pb.ListAuditRequest(page_size=1), timeout=60)
    last = await desk.stub.ListAudit(
        pb.ListAuditRequest(page_token=first.next_page_token), timeout=60
    )
    (later,), (earlier,) = first.entries, last.entries
    assert (later.subject_kind, later.seq > earlier.seq) == ("halt", True)
    assert json.loads(later.before_json) == json.loads(earlier.after_json)
    assert json.loads(later.after_json)["reason"] == "a longer look"
    assert (earlier.before_json, last.next_page_token) == ("", "")
    for other in (
        pb.ListAuditRequest(actor="nobody"), pb.ListAuditRequest(subject_kind="order"),
        pb.ListAuditRequest(subject_id="WALLET:0x"),
    ):  # fmt: skip
        assert list((await desk.stub.ListAudit(other, timeout=60)).entries) == []


async def test_the_audit_names_whose_token_it_was(desk: Desk) -> None:
    halt = pb.SetHaltRequest(scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="x")
    await desk.stub.SetHalt(halt, timeout=60)
    lift = pb.ClearHaltRequest(scope=pb.HALT_SCOPE_GLOBAL)
    named = grpc.aio.Metadata(*BEARER, ("client-name", "a tool"))
    await desk.stub.ClearHalt(lift, timeout=60, metadata=named)
    await desk.sql("insert into breaker (dependency, state) values ('insiders-api', 'OPEN')")
    reset = pb.ResetBreakerRequest(dependency="insiders-api")
    await desk.stub.ResetBreaker(reset, timeout=60)
    replay = pb.ReplayDeadLetterRequest(id=await desk.quarantine("guard-0"), operator="x")
    await desk.stub.ReplayDeadLetter(replay, timeout=60)
    entries = (await desk.stub.ListAudit(pb.ListAuditRequest(), timeout=60)).entries
    assert [entry.action for entry in entries] == ["replay", "reset", "unhalt", "halt"]
    assert {entry.actor for entry in entries} == {"operator"}
    assert [entry.source for entry in entries] == [
        "grpc: token", "grpc: token", "grpc: token: a tool", "grpc: token",
    ]  # fmt: skip


async def test_token_withdrawn_before_the_handler_is_refused(desk: Desk) -> None:
    """Its call went on as that of a nameless operator: a second person for two."""
    desk.port.withdraws = True
    calls = (
        (desk.stub.SetHalt, pb.SetHaltRequest(
            scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="x")),
        (desk.stub.ResolveOrder, pb.ResolveOrderRequest(
            order_key="a" * 64, to_state=common.ORDER_STATE_FAILED,
            evidence="seen at the venue, nothing was filled", operator="eve")),
        (desk.stub.CorrectLot, pb.CorrectLotRequest(
            follower_proxy="0x" + "a" * 40, asset_id="7", shares_micros=4_000_000,
            evidence="the chain says 4", operator="eve", request_id="ticket")),
    )  # fmt: skip
    for call, request in calls:
        desk.port.use(parse_tokens(TOKENS))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await desk.sql("select 1 from control_change union all select 1 from halt") == []


MIXED = "0xAbCdEf" + "0aF" * 11 + "9"


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (pb.HALT_SCOPE_WALLET, MIXED),
        (pb.HALT_SCOPE_LEADER, MIXED),
        (pb.HALT_SCOPE_MARKET, MIXED + "C0fFeE" * 4),
    ],
)
async def test_a_halt_takes_an_address_in_any_case(
    desk: Desk, scope: pb.HaltScope.ValueType, subject: str
) -> None:
    """Test that what it is compared with is lower case; wallets are copied with their checksum."""
    requested = pb.SetHaltRequest(
        scope=scope, subject=subject, mode=pb.HALT_MODE_HALTED, reason="now"
    )
    assert (await desk.stub.SetHalt(requested, timeout=60)).halt.subject == subject.lower()
    assert [row["subject"] for row in await desk.sql("select subject from halt")] == [
        subject.lower()
    ]
    name = pb.HaltScope.Name(scope).removeprefix("HALT_SCOPE_")
    about = pb.ListAuditRequest(subject_kind="halt", subject_id=f"{name}:{subject}")
    assert len((await desk.stub.ListAudit(about, timeout=60)).entries) == 1
    await desk.stub.ClearHalt(pb.ClearHaltRequest(scope=scope, subject=subject), timeout=60)
    assert not (await desk.stub.ListHalts(pb.ListHaltsRequest(), timeout=60)).halts


async def test_dead_letter_is_replayed_once_and_audited(desk: Desk) -> None:
    older, newer = [await desk.quarantine("guard-0") for _ in range(2)]
    await desk.quarantine("router-0")
    page = await desk.stub.ListDeadLetters(
        pb.ListDeadLettersRequest(consumer="guard-0", page_size=1), timeout=60
    )
    rest = await desk.stub.ListDeadLetters(
        pb.ListDeadLettersRequest(consumer="guard-0", page_token=page.next_page_token), timeout=60
    )
    assert [m.id for m in [*page.dead_letters, *rest.dead_letters]] == [newer, older]
    request = pb.ReplayDeadLetterRequest(id=older, operator="ann")
    requested = (await desk.stub.ReplayDeadLetter(request, timeout=60)).dead_letter
    assert requested.HasField("replay_requested_at")
    assert not requested.HasField("replayed_at")
    assert (await desk.stub.ReplayDeadLetter(request, timeout=60)).dead_letter == requested, (
        "it waits already"
    )
    about = pb.ListAuditRequest(subject_kind="message", subject_id=str(older))
    (entry,) = (await desk.stub.ListAudit(about, timeout=60)).entries
    assert (entry.action, json.loads(entry.after_json)["operator"]) == ("replay", "ann")
    await desk.sql("update dead_letter set replayed_at = now() where id = %s", older)
    again = (await desk.stub.ReplayDeadLetter(request, timeout=60)).dead_letter
    assert again.replay_requested_at != requested.replay_requested_at
    assert not again.HasField("replayed_at")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.ReplayDeadLetterRequest(id=2**62, operator="ann"), grpc.StatusCode.NOT_FOUND),
        (pb.ReplayDeadLetterRequest(id=1), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.ReplayDeadLetterRequest(), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_replay_that_cannot_be_is_refused(
    desk: Desk, request_: pb.ReplayDeadLetterRequest, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.stub.ReplayDeadLetter(request_, timeout=60)
    assert caught.value.code() is code


async def test_a_verification_tells_its_parts_and_the_first_break(desk: Desk) -> None:
    await _halt(desk, "a look")
    whole = [
        step async for step in desk.stub.VerifyAudit(pb.VerifyAuditRequest(), timeout=60)
        if step.done
    ]  # fmt: skip
    assert [step.part for step in whole] == [
        pb.AUDIT_PART_CHANGES, pb.AUDIT_PART_ORDERS, pb.AUDIT_PART_SEALS,
    ]  # fmt: skip
    assert [(step.checked, step.broken_at) for step in whole] == [(1, ""), (0, ""), (0, "")]
    for statement in ("disable", "enable"):
        await desk.sql(f"alter table control_change {statement} trigger user")
        if statement == "disable":
            await desk.sql("update control_change set actor = 'nobody'")
    broken = [
        step async for step in desk.stub.VerifyAudit(pb.VerifyAuditRequest(), timeout=60)
        if step.broken_at
    ]  # fmt: skip
    assert [(step.part, step.broken_at, step.problem) for step in broken] == [
        (pb.AUDIT_PART_CHANGES, "change 1", "was changed")
    ]


async def _follow(desk: Desk, number: int, state: str = "ACTIVE") -> tuple[str, str]:
    """A subscription of a follower of its own; returns its id and the follower's wallet."""
    identifier, proxy = f"sub_{number:032x}", f"0x{number:040x}"
    await desk.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
        " values (%s, 'u', 'w', %s, %s, %s, 1, 'FIXED', 1, 0)",
        identifier, proxy, "0x" + "be" * 20, state,
    )  # fmt: skip
    return identifier, proxy


async def test_followers_are_listed_by_wallet_leader_and_state(desk: Desk) -> None:
    made = [await _follow(desk, 1), await _follow(desk, 2, "PAUSED")]
    gone, _ = await _follow(desk, 3, "DELETED")

    async def listed(**desired: Any) -> list[str]:
        answer = await desk.stub.ListFollowers(pb.ListFollowersRequest(**desired), timeout=60)
        return [found.id for found in answer.subscriptions]

    assert await listed() == [identifier for identifier, _ in made]
    assert await listed(follower_proxy=made[1][1].upper().replace("X", "x")) == [made[1][0]]
    assert await listed(leader="0x" + "BE" * 20, states=["SUBSCRIPTION_STATE_DELETED"]) == [gone]
    assert await listed(leader="0x" + "00" * 20) == []
    first = await desk.stub.ListFollowers(pb.ListFollowersRequest(page_size=1), timeout=60)
    assert [s.id for s in first.subscriptions] == [made[0][0]]
    assert await listed(page_token=first.next_page_token) == [made[1][0]]


async def test_decisions_on_a_transaction_cover_every_follower(desk: Desk) -> None:
    tx = "0x" + "ab" * 32
    for number in (1, 2):
        identifier, proxy = await _follow(desk, number)
        await desk.sql(
            "insert into decision (leader_tx, leader, asset_id, side, subscription_id,"
            " condition_id, follower_proxy, copied, reason, detail, leader_size_micros,"
            " leader_notional_micros) values (%s, %s, '7', 'BUY', %s, %s, %s, false, 'TOO_OLD',"
            " '61000 ms > 60000 ms', 1500000, 750000)",
            tx, "0x" + "be" * 20, identifier, "0x" + "c0" * 32, proxy,
        )  # fmt: skip
    first = await desk.stub.ListDecisions(
        pb.ListDecisionsRequest(leader_tx=tx.upper().replace("X", "x"), page_size=1), timeout=60
    )
    rest = await desk.stub.ListDecisions(
        pb.ListDecisionsRequest(leader_tx=tx, page_token=first.next_page_token), timeout=60
    )
    reported = [*first.decisions, *rest.decisions]
    assert [found.follower_proxy for found in reported] == [f"0x{1:040x}", f"0x{2:040x}"]
    assert {(found.decision.reason, found.decision.leader_size) for found in reported} == {
        ("TOO_OLD", "1.5")
    }
    of_one = pb.ListDecisionsRequest(leader_tx=tx, follower_proxy=f"0x{2:040x}")
    assert len((await desk.stub.ListDecisions(of_one, timeout=60)).decisions) == 1


MARKET, WALLET = "0x" + "c" * 64, "0x" + "a" * 40


@pytest_asyncio.fixture
async def adopting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> pb.AdoptLotRequest:
    """A request for an outcome whose market is known; nobody carries it out."""
    monkeypatch.setattr(corrections, "_LOOKS", 1)
    info = books.MarketInfo(asset_id="7", condition_id=MARKET)
    desk.markets.put_mark(books.Mark(asset_id="7", market=info))
    await desk.sql(
        "insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy,"
        " leader, state, version, sizing_mode, sizing_micros, changed_seq)"
        " values (%s, 'u', 'w', %s, %s, 'ACTIVE', 1, 'FIXED', 1, 1)",
        "sub_" + "a" * 32, WALLET, WALLET,
    )  # fmt: skip
    return pb.AdoptLotRequest(
        subscription_id="sub_" + "a" * 32, condition_id=MARKET, asset_id="7", shares_micros=5,
        cost_micros=2, evidence="balance at block 7", operator="ann", request_id="r",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"condition_id": "0x" + "d" * 64}, "conditionId"), ({"asset_id": "8"}, "assetId")],
)
async def test_shares_of_another_market_are_not_adopted(
    desk: Desk, adopting: pb.AdoptLotRequest, changes: dict[str, Any], field: str
) -> None:
    adopting.MergeFrom(pb.AdoptLotRequest(**changes))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.stub.AdoptLot(adopting, timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.value.details() or "").startswith(f"{field}: ")
    assert await desk.sql("select 1 from lot") == []
    assert await desk.sql("select 1 from lot_request") == []


async def test_a_market_that_was_told_by_mistake_does_not_stay(
    desk: Desk, adopting: pb.AdoptLotRequest
) -> None:
    await desk.sql(
        "insert into lot (follower_proxy, asset_id, origin, condition_id)"
        " values (%s, '7', %s, '0xd')", WALLET, adopting.subscription_id,
    )  # fmt: skip
    with pytest.raises(grpc.aio.AioRpcError) as waits:
        await desk.stub.AdoptLot(adopting, timeout=60)
    assert waits.value.code() is grpc.StatusCode.UNAVAILABLE, "nobody carries it out"
    assert await desk.sql("select condition_id from lot") == [{"condition_id": MARKET}]
    await desk.sql("update lot_request set done_at = now(), refused = ''")
    del desk.markets.marks["7"]
    await desk.stub.AdoptLot(adopting, timeout=60)
