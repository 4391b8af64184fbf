"""Performance rules over REST, and performance actions over gRPC: done once, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest

from tests.control.edge import INTERNAL, MANAGE, RunningEdge
from tests.control.requests import ASSET, CONDITION, Database, subscription_body
from tradingtools.domain.performance import action_id
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as pb_grpc
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1.error_reason_pb2 import ErrorReason

STOP = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_PAUSE"}}
SCALE = {
    "profitScale": {
        "step": "10", "factor": "2", "min": "0.5", "max": "4", "cooldownSeconds": 60,
        "onLoss": "ON_LOSS_RESET",
    }
}  # fmt: skip
Act = Callable[..., pb.PerfActionResponse]


@pytest.fixture
def act(edge: RunningEdge) -> Iterator[Act]:
    """Asks for an action of a subscription as it is."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.internal_port}") as channel:
        stub = pb_grpc.ControlInternalServiceStub(channel)

        def call(made: dict[str, Any], *, ordinal: int = 0, token: str = INTERNAL,
                 **fields: Any) -> pb.PerfActionResponse:  # fmt: skip
            headers = (("authorization", f"Bearer {token}"),)
            answer: pb.PerfActionResponse = stub.PerfAction(
                _requested(made, ordinal, **fields), metadata=headers, timeout=60
            )
            return answer

        yield call


def _requested(made: dict[str, Any], ordinal: int = 0, **fields: Any) -> pb.PerfActionRequest:
    requested = {
        "id": made["id"], "action_id": action_id(made["id"], ordinal),
        "version": int(made["version"]), "ordinal": ordinal,
        "evidence": pb.PerformanceEvidence(
            rule="DAY", from_micros=0, limit_micros=50_000_000,
            points=[pb.ResultPoint(at_ms=n, high_micros=-51_000_000) for n in (1, 2)],
        ),
    } | fields  # fmt: skip
    return pb.PerfActionRequest(**requested)


@pytest.fixture
def make(edge: RunningEdge, wallet: Callable[[], str]) -> Callable[..., dict[str, Any]]:
    """Makes a subscription with performance rules."""

    def made(performance: dict[str, Any], proxy: str = "") -> dict[str, Any]:
        body = subscription_body(proxy or wallet(), performance=performance)
        return _call(edge, "POST", "/subscriptions", json=body, expect=201)

    return made


def _call(
    edge: RunningEdge, verb: str, path: str, *, json: Any = None, expect: int
) -> dict[str, Any]:
    answer = edge.call(verb, path, json=json)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _get(edge: RunningEdge, made: dict[str, Any]) -> dict[str, Any]:
    return _call(edge, "GET", f"/subscriptions/{made['id']}", expect=200)


def _stop(action: str = "PAUSE") -> Any:
    return control.LossAction.Value(f"LOSS_ACTION_{action}")


def _hold(database: Database, made: dict[str, Any], asset: str = ASSET) -> None:
    database.execute(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " cost_micros) values (%s, %s, %s, %s, 10000000, 5000000)",
        (made["follower"]["followerProxy"], asset, made["id"], CONDITION),
    )


@pytest.mark.parametrize("rules", [STOP, SCALE, STOP | SCALE])
def test_rules_are_shown_as_they_were_given(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], rules: dict[str, Any]
) -> None:
    assert make(rules)["performance"] == rules


def test_rules_are_replaced_and_taken_away(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act
) -> None:
    made = make(SCALE)
    act(made, scale_micros=2_000_000)
    assert _get(edge, made)["scale"] == "2"
    path = f"/subscriptions/{made['id']}"
    tight = {"profitScale": {**SCALE["profitScale"], "max": "1.5"}}
    changed = _call(edge, "PATCH", path, json={"performance": tight}, expect=200)
    assert changed["scale"] == "1.5", "a scale beyond its new bounds"
    changed = _call(edge, "PATCH", path, json={"performance": {}}, expect=200)
    assert "performance" not in changed
    assert "scale" not in changed


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"lossStop": {"action": "LOSS_ACTION_PAUSE"}}, "performance.lossStop"),
        ({"lossStop": {"day": {"amount": "0"}, "action": "LOSS_ACTION_PAUSE"}},
         "performance.lossStop.day.amount"),
        ({"lossStop": {"fromPeak": {"fraction": "0.2"}, "action": "LOSS_ACTION_PAUSE"}},
         "performance.lossStop"),
        ({"lossStop": {"day": {"amount": "1"}}}, "performance.lossStop.action"),
        ({"profitScale": {"step": "10", "factor": "1", "min": "1", "max": "2"}},
         "performance.profitScale.factor"),
        ({"profitScale": {"step": "0", "factor": "2", "min": "1", "max": "2"}},
         "performance.profitScale.step"),
        ({"profitScale": {"step": "1", "factor": "2", "min": "0", "max": "2"}},
         "performance.profitScale.min"),
    ],
)  # fmt: skip
def test_bad_rules_are_refused_by_name(
    edge: RunningEdge, wallet: Callable[[], str], rules: dict[str, Any], field: str
) -> None:
    body = subscription_body(wallet(), performance=rules)
    answer = _call(edge, "POST", "/subscriptions", json=body, expect=400)
    assert answer["details"][0]["metadata"]["field"] == field


def test_a_shadow_has_no_rules(edge: RunningEdge, wallet: Callable[[], str]) -> None:
    body = subscription_body(wallet(), performance=STOP, shadow=True)
    answer = _call(edge, "POST", "/subscriptions", json=body, expect=400)
    assert answer["details"][0]["metadata"]["field"] == "performance"


def test_a_fraction_needs_a_funded_wallet(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], wallet: Callable[[], str],
    database: Database,
) -> None:  # fmt: skip
    proxy = wallet()
    database.execute("insert into funding values (%s, 1000000, 0, 0)", (proxy,))
    rules = {"lossStop": {"total": {"fraction": "0.2"}, "action": "LOSS_ACTION_PAUSE"}}
    assert make(rules, proxy)["performance"] == rules


def test_a_loss_stop_pauses_once_and_says_why(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    made = make(STOP)
    first = act(made, stop=_stop())
    assert act(made, stop=_stop()) == first, "asked again"
    found = _get(edge, made)
    assert (found["state"], found["pausedBy"]) == (
        "SUBSCRIPTION_STATE_PAUSED", "PAUSED_BY_PERFORMANCE",
    )  # fmt: skip
    assert found["pauseReason"] == "DAY: lost 51 USDC of 50"
    assert found["pausedSince"]
    rows = database.execute(
        "select * from performance_action where subscription_id = %s", (made["id"],)
    ).fetchall()
    assert [(row["kind"], row["loss_action"], row["baseline"]) for row in rows] == [
        ("STOP", "PAUSE", 1)
    ]
    assert len(rows[0]["evidence"]["points"]) == 2
    audit = database.execute(
        "select action, after from control_change where subject_id = %s order by seq", (made["id"],)
    ).fetchall()
    assert [row["action"] for row in audit] == ["create", "performance action"]
    assert audit[1]["after"]["performance_action"]["action_id"] == action_id(made["id"], 0)


def test_the_evidence_is_never_changed(
    make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    act(make(STOP), stop=_stop())
    with pytest.raises(psycopg.Error, match="append-only"):
        database.execute("update performance_action set anchor_micros = 1")


def test_only_a_person_resumes_with_a_new_baseline(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    made = make(STOP | SCALE)
    act(made, scale_micros=2_000_000)
    act(_get(edge, made), ordinal=1, stop=_stop())
    stopped = _get(edge, made)
    with pytest.raises(grpc.RpcError) as refused:
        act(stopped, ordinal=2, scale_micros=1_000_000)
    assert "a person resumes it" in str(refused.value)
    path = f"/subscriptions/{made['id']}"
    assert _call(edge, "POST", f"{path}/pause", expect=200)["pausedBy"] == (
        "PAUSED_BY_PERFORMANCE"
    ), "a person's pause does not hide the stop"
    resumed = _call(edge, "POST", f"{path}/resume", expect=200)
    assert "pausedBy" not in resumed
    assert "scale" not in resumed
    row = database.execute("select * from subscription where id = %s", (made["id"],)).fetchone()
    assert row is not None
    assert (row["baseline"], row["session"]) == (2, 2)
    with pytest.raises(grpc.RpcError):
        act(stopped, ordinal=1, stop=_stop(), action_id="prf_" + "0" * 32)
    assert _get(edge, made)["state"] == "SUBSCRIPTION_STATE_ACTIVE", "what was judged before"


def test_a_persons_pause_is_his_and_begins_a_session(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], database: Database
) -> None:
    made = make(STOP)
    path = f"/subscriptions/{made['id']}"
    paused = _call(edge, "POST", f"{path}/pause", expect=200)
    assert paused["pausedBy"] == "PAUSED_BY_PERSON"
    assert _call(edge, "POST", f"{path}/pause", expect=200) == paused
    _call(edge, "POST", f"{path}/resume", expect=200)
    row = database.execute("select * from subscription where id = %s", (made["id"],)).fetchone()
    assert row is not None
    assert (row["baseline"], row["session"]) == (1, 2)


def test_an_exit_sells_each_lot_by_one_trigger(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    rules = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_PAUSE_AND_EXIT"}}
    made = make(rules)
    _hold(database, made)
    _hold(database, made, "77")
    done = act(made, stop=_stop("PAUSE_AND_EXIT"))
    assert act(made, stop=_stop("PAUSE_AND_EXIT")) == done
    rows = database.execute(
        "select id, asset_id, trigger_type, status from trigger where origin = %s order by id",
        (made["id"],),
    ).fetchall()
    assert sorted(done.exits) == [row["id"] for row in rows]
    assert {row["asset_id"] for row in rows} == {ASSET, "77"}
    assert {(row["trigger_type"], row["status"]) for row in rows} == {("TIME_STOP", "ARMED")}
    _call(edge, "POST", f"/subscriptions/{made['id']}/resume", expect=200)
    rows = database.execute(
        "select status from trigger where origin = %s", (made["id"],)
    ).fetchall()
    assert [row["status"] for row in rows] == ["CANCELLED"] * 2, "exits that have not fired"


def test_resume_cancels_exits_of_late_fills_and_no_other(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    rules = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_PAUSE_AND_EXIT"}}
    made = make(rules)
    act(made, stop=_stop("PAUSE_AND_EXIT"))
    _hold(database, made)
    # As confirm makes them with a fill that comes after the stop.
    action, proxy = action_id(made["id"], 0), made["follower"]["followerProxy"]
    for number, exit_of in enumerate((action, "")):
        database.execute(
            "insert into trigger (id, follower_proxy, condition_id, asset_id, origin, trigger_type,"
            " fire_at_ms, made_for, exit_of, status)"
            " values (%s, %s, %s, %s, %s, 'TIME_STOP', 1, '1', %s, 'ARMED')",
            (f"trg_{number:x}{proxy[-31:]}", proxy, CONDITION, ASSET, made["id"], exit_of),
        )
    _call(edge, "POST", f"/subscriptions/{made['id']}/resume", expect=200)
    rows = database.execute(
        "select exit_of, status from trigger where origin = %s order by id", (made["id"],)
    ).fetchall()
    assert [(row["exit_of"], row["status"]) for row in rows] == [
        (action, "CANCELLED"), ("", "ARMED"),
    ]  # fmt: skip


def test_reduce_only_holds_back_the_whole_wallet(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, database: Database
) -> None:
    rules = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_REDUCE_ONLY"}}
    made = make(rules)
    act(made, stop=_stop("REDUCE_ONLY"))
    proxy = made["follower"]["followerProxy"]
    try:
        halt = database.execute("select * from halt where subject = %s", (proxy,)).fetchone()
        assert halt is not None
        assert (halt["scope"], halt["mode"]) == ("WALLET", "REDUCING")
    finally:
        database.execute("delete from halt where subject = %s", (proxy,))


def test_a_step_leaves_the_version_that_orders_were_sized_under(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act
) -> None:
    made = make(SCALE)
    act(made, scale_micros=2_000_000)
    found = _get(edge, made)
    assert (found["version"], found["scale"]) == (made["version"], "2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"version": 2}, grpc.StatusCode.ABORTED),
        ({"ordinal": 1}, grpc.StatusCode.ABORTED),
        ({"epoch": 7}, grpc.StatusCode.ABORTED),
        ({"stop": control.LOSS_ACTION_PAUSE_AND_EXIT}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"stop": None, "scale_micros": 5_000_000}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"stop": None, "scale_micros": 1_000_000}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"evidence": None}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"token": MANAGE}, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_what_was_judged_of_something_else_changes_nothing(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], act: Act, fields: dict[str, Any],
    code: grpc.StatusCode,
) -> None:  # fmt: skip
    made = make(STOP | SCALE)
    with pytest.raises(grpc.RpcError) as refused:
        act(made, **{"stop": _stop()} | fields)
    assert refused.value.code() is code
    assert _get(edge, made) == {**made, "statistics": _get(edge, made)["statistics"]}


def test_several_actions_run_together_each_once(
    edge: RunningEdge, make: Callable[..., dict[str, Any]], database: Database
) -> None:
    exits = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_PAUSE_AND_EXIT"}}
    plain, scaled, other, exiting = make(STOP), make(SCALE), make(STOP), make(exits)
    for asset in (ASSET, "77"):
        _hold(database, exiting, asset)
    batch = pb.PerfActionsRequest(
        actions=[
            _requested(plain, stop=_stop()),
            _requested(other, stop=_stop(), version=2),
            _requested(scaled, scale_micros=2_000_000),
            _requested(exiting, stop=_stop("PAUSE_AND_EXIT")),
            # The same subscription once more, and one that is not there.
            _requested(plain, 1, stop=_stop()),
            _requested({"id": "sub_" + "0" * 32, "version": 1}, stop=_stop()),
        ]
    )
    with edge.inside() as channel:
        stub = pb_grpc.ControlInternalServiceStub(channel)
        headers = (("authorization", f"Bearer {INTERNAL}"),)
        first = stub.PerfActions(batch, metadata=headers, timeout=60)
        again = stub.PerfActions(batch, metadata=headers, timeout=60)
    assert [
        "done" if one.WhichOneof("result") == "done" else ErrorReason.Name(one.refused.reason)
        for one in first.results
    ] == [
        "done", "ERROR_REASON_CONFLICT", "done", "done", "ERROR_REASON_CONFLICT",
        "ERROR_REASON_NOT_FOUND",
    ]  # fmt: skip
    assert [again.results[n] for n in (0, 2, 3)] == [first.results[n] for n in (0, 2, 3)]
    assert len(first.results[3].done.exits) == 2
    assert _get(edge, plain)["pausedBy"] == "PAUSED_BY_PERFORMANCE"
    assert _get(edge, other)["state"] == "SUBSCRIPTION_STATE_ACTIVE"
    assert _get(edge, scaled)["scale"] == "2"
    made = [one["id"] for one in (plain, scaled, exiting)]
    rows = database.execute(
        "select a.subscription_id, a.control_seq, s.changed_seq, c.subject_id,"
        " c.after->'performance_action'->>'action_id' = a.action_id as told"
        " from performance_action a join subscription s on s.id = a.subscription_id"
        " join control_change c on c.seq = a.control_seq where a.subscription_id = any(%s)",
        (made,),
    ).fetchall()  # fmt: skip
    assert sorted(row["subscription_id"] for row in rows) == sorted(made)
    assert all(row["control_seq"] == row["changed_seq"] for row in rows)
    assert all(row["subject_id"] == row["subscription_id"] and row["told"] for row in rows)
    triggers = database.execute(
        "select e.detail from trigger t join trigger_event e on e.trigger_id = t.id"
        " where t.origin = %s", (exiting["id"],),
    ).fetchall()  # fmt: skip
    reported = f"by performance action {action_id(exiting['id'], 0)}"
    assert [row["detail"] for row in triggers] == [reported] * 2
    chain = database.execute(
        "select c.hash = sha256(c.previous_hash || convert_to(control_change_text(c), 'UTF8'))"
        " and c.previous_hash = coalesce(lag(c.hash) over (order by c.seq), c.previous_hash) as ok"
        " from control_change c"
    ).fetchall()
    assert all(row["ok"] for row in chain)
