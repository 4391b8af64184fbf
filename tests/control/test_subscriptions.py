"""Subscriptions over REST, through the real edge: every route, as a client sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import (
    Database,
    count,
    create_subscription,
    error_of,
    put_decision,
    put_fill,
    put_lot,
    put_order,
    subscription_body,
)

Wallet = Callable[[], str]


def test_a_created_subscription_is_answered_whole(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    body = subscription_body(proxy.upper().replace("0X", "0x"), leader="0x" + "BE" * 20)

    response = edge.call("POST", "/subscriptions", json=body)

    assert response.status_code == 201
    made = response.json()
    assert made.pop("id").startswith("sub_")
    assert made.pop("createdAt") == made.pop("updatedAt")
    assert made == {
        "follower": {
            "followerUserId": "user-1",
            "followerWalletId": "wallet-1",
            "followerProxy": proxy,
        },
        "leader": "0x" + "be" * 20,
        "state": "SUBSCRIPTION_STATE_ACTIVE",
        "sizing": {"fixed": {"amount": "25"}},
        "limits": {"maxPerTrade": "50", "maxSlippage": "0.02"},
        "version": "1",
    }
    assert response.headers["content-type"] == "application/json"
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-envoy-"))]


def test_statistics_are_live(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    nothing = edge.call("GET", f"/subscriptions/{identifier}", READ).json()["statistics"]
    assert nothing["leaderTrades"] == "0"
    assert nothing["realised"] == "0"

    put_lot(database, proxy, identifier)
    put_decision(database, proxy, identifier)
    put_decision(database, proxy, identifier, copied=True, reason="")
    for state in ("CONFIRMED", "FAILED", "LOST", "UNKNOWN", "DEAD", "CLAIMED"):
        put_order(database, proxy, identifier, state)

    one = edge.call("GET", f"/subscriptions/{identifier}", READ).json()
    assert one["statistics"] == {
        "leaderTrades": "2",
        "copied": "1",
        "skipped": "1",
        "ordersConfirmed": "1",
        "ordersFailed": "2",
        "ordersUnresolved": "2",
        "bought": "20",
        "sold": "5.5",
        "fees": "0.12",
        "realised": "-0.38",
        "openCost": "20",
        "openPositions": "1",
        "unmarkedPositions": "1",
        "slippage": "0",
        "payouts": "0",
    }
    listed = edge.call("GET", "/subscriptions", READ, params={"followerProxy": proxy}).json()
    assert listed == {"subscriptions": [one], "nextPageToken": ""}


def test_a_list_is_paged_oldest_first(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    made = [create_subscription(edge, proxy)["id"] for _ in range(5)]

    seen, token, pages = [], "", 0
    while pages == 0 or token:
        page = edge.call(
            "GET",
            "/subscriptions",
            params={"followerProxy": proxy, "pageSize": 2, "pageToken": token},
        ).json()
        seen += [item["id"] for item in page["subscriptions"]]
        token, pages = page["nextPageToken"], pages + 1

    assert (seen, pages) == (made, 3)


def test_a_page_token_of_another_list_is_refused(edge: RunningEdge, wallet: Wallet) -> None:
    mine, other = wallet(), wallet()
    for _ in range(2):
        create_subscription(edge, mine)
    query: dict[str, Any] = {"followerProxy": mine, "pageSize": 1}
    token = edge.call("GET", "/subscriptions", params=query).json()["nextPageToken"]
    assert token

    for wrong in (
        {"followerProxy": other, "pageToken": token},
        {"followerProxy": mine, "pageToken": token[:-2] + "AA"},
        {"followerProxy": mine, "pageToken": "!"},
    ):
        status, reason, metadata = error_of(edge.call("GET", "/subscriptions", params=wrong))
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "pageToken")


def test_a_patch_tells_zero_from_absent(edge: RunningEdge, wallet: Wallet) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    path = f"/subscriptions/{identifier}"

    zero = edge.call("PATCH", path, json={"limits": {"maxPerTrade": "0", "maxAgeMs": 5000}})
    assert zero.json()["limits"] == {"maxPerTrade": "0", "maxAgeMs": 5000}
    assert zero.json()["sizing"] == {"fixed": {"amount": "25"}}
    assert zero.json()["version"] == "2"

    gone = edge.call("PATCH", path, json={"limits": {}, "sizing": {"ratio": {"ratio": "0.1"}}})
    assert gone.json()["limits"] == {}
    assert gone.json()["sizing"] == {"ratio": {"ratio": "0.1"}}
    assert edge.call("GET", path).json()["limits"] == {}


def test_a_patch_that_changes_nothing_leaves_the_version(edge: RunningEdge, wallet: Wallet) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    same = edge.call(
        "PATCH",
        f"/subscriptions/{identifier}",
        json={"limits": {"maxPerTrade": "50.00", "maxSlippage": "0.02"}},
    )
    assert (same.status_code, same.json()["version"]) == (200, "1")


@pytest.mark.parametrize("version", [7, "7"])
def test_a_patch_of_another_version_is_a_conflict(
    edge: RunningEdge, wallet: Wallet, version: object
) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    path = f"/subscriptions/{identifier}"
    refused = edge.call("PATCH", path, json={"limits": {}, "version": version})
    assert error_of(refused) == (409, "CONFLICT", {"kind": "subscription", "id": identifier})
    allowed = edge.call("PATCH", path, json={"limits": {}, "version": "1"})
    assert (allowed.status_code, allowed.json()["version"]) == (200, "2")


def test_pause_resume_and_delete_may_be_repeated(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    path = f"/subscriptions/{identifier}"
    steps = [
        ("POST", f"{path}/pause", "SUBSCRIPTION_STATE_PAUSED"),
        ("POST", f"{path}/resume", "SUBSCRIPTION_STATE_ACTIVE"),
        ("DELETE", path, "SUBSCRIPTION_STATE_DELETED"),
    ]
    for number, (verb, where, state) in enumerate(steps, start=2):
        first, again = edge.call(verb, where), edge.call(verb, where)
        assert (first.status_code, first.json()["state"]) == (200, state)
        assert again.json() == first.json()
        assert first.json()["version"] == str(number)
    actions = database.execute(
        "select action, actor, source, seq from control_change where subject_id = %s order by seq",
        [identifier],
    ).fetchall()
    assert [row["action"] for row in actions] == ["create", "pause", "resume", "delete"]
    assert {(row["actor"], row["source"]) for row in actions} == {("backend", "rest")}
    row = database.execute(
        "select changed_seq from subscription where id = %s", [identifier]
    ).fetchone()
    assert row is not None
    assert row["changed_seq"] == actions[-1]["seq"]


def test_a_deleted_subscription_is_not_changed_any_more(edge: RunningEdge, wallet: Wallet) -> None:
    identifier = create_subscription(edge, wallet())["id"]
    path = f"/subscriptions/{identifier}"
    edge.call("DELETE", path)
    for response in (
        edge.call("PATCH", path, json={"limits": {}}),
        edge.call("POST", f"{path}/pause"),
        edge.call("POST", f"{path}/resume"),
    ):
        expected = {"kind": "subscription", "id": identifier, "state": "DELETED"}
        assert error_of(response) == (400, "WRONG_STATE", expected)


def test_the_same_create_twice_makes_one_row(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    body = subscription_body(wallet())
    headers = {"Idempotency-Key": f"key-{body['follower']['followerProxy']}"}
    before = count(database, "subscription")

    first = edge.call("POST", "/subscriptions", json=body, headers=headers)
    again = edge.call("POST", "/subscriptions", json=body, headers=headers)
    other = edge.call("POST", "/subscriptions", json=body | {"limits": {}}, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert error_of(other) == (409, "REQUEST_ID_REUSED", {"field": "Idempotency-Key"})
    assert count(database, "subscription") == before + 1


def test_a_malformed_idempotency_key_is_refused(edge: RunningEdge, wallet: Wallet) -> None:
    for key in ("two words", "x" * 129):
        response = edge.call(
            "POST",
            "/subscriptions",
            json=subscription_body(wallet()),
            headers={"Idempotency-Key": key},
        )
        status, reason, metadata = error_of(response)
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "Idempotency-Key")


def test_fills_are_paged_newest_first(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    order = put_order(database, proxy, identifier, "SUBMITTED")
    exit_order = put_order(
        database, proxy, identifier, "CONFIRMED", purpose="GUARD_EXIT", side="SELL", leader_tx="",
        trigger_id="trg_" + "0" * 32,
    )  # fmt: skip
    put_fill(database, order, "t1", matched_at="2026-01-01T00:00:01Z")
    put_fill(database, order, "t2", matched_at="2026-01-01T00:00:02Z", final_at="2026-01-02")
    put_fill(database, order, "undone", status="FAILED", matched_at="2026-01-01T00:00:03Z")
    put_fill(database, exit_order, "t3", matched_at="2026-01-01T00:00:02Z")

    seen: list[dict[str, Any]] = []
    token = ""
    while not seen or token:
        page = edge.call(
            "GET", f"/subscriptions/{identifier}/fills", READ,
            params={"pageSize": 1, "pageToken": token},
        ).json()  # fmt: skip
        seen += page["fills"]
        token = page["nextPageToken"]

    assert {fill["tradeId"] for fill in seen[:2]} == {"t2", "t3"}
    assert [fill["tradeId"] for fill in seen[2:]] == ["t1"]
    oldest = seen[2]
    assert oldest.pop("leaderTx").startswith("0x")
    assert oldest.pop("conditionId").startswith("0x")
    assert oldest.pop("assetId")
    assert oldest == {
        "orderId": order,
        "tradeId": "t1",
        "side": "SIDE_BUY",
        "size": "3",
        "price": "0.333333",
        "notional": "1",
        "fee": "0.02",
        "final": False,
        "filledAt": "2026-01-01T00:00:01Z",
        "triggerId": "",
    }
    by_trade = {fill["tradeId"]: fill for fill in seen}
    assert by_trade["t2"]["final"] is True
    assert by_trade["t3"]["triggerId"] == "trg_" + "0" * 32


def test_decisions_tell_what_became_of_each_leader_trade(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    path = f"/subscriptions/{identifier}/decisions"
    copied = put_decision(
        database, proxy, identifier, copied=True, reason="", detail="", order_keys=["a" * 64],
        decided_at="2026-01-01T00:00:02Z",
    )  # fmt: skip
    skipped = put_decision(database, proxy, identifier, decided_at="2026-01-01T00:00:01Z")

    first = edge.call("GET", path, READ, params={"pageSize": 1}).json()
    query = {"pageSize": 1, "pageToken": first["nextPageToken"]}
    second = edge.call("GET", path, READ, params=query).json()
    assert first["decisions"][0]["leaderTx"] == copied
    assert first["decisions"][0]["orderIds"] == ["a" * 64]
    assert (second["decisions"][0]["leaderTx"], second["nextPageToken"]) == (skipped, "")
    assert second["decisions"][0]["reason"] == "TOO_OLD"
    assert second["decisions"][0]["copied"] is False
    assert second["decisions"][0]["leaderNotional"] == "0.75"

    only = edge.call("GET", path, READ, params={"reason": "TOO_OLD"}).json()["decisions"]
    assert [decision["leaderTx"] for decision in only] == [skipped]


def test_a_decision_tells_what_became_of_its_orders(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """A copy that a halt holds back was decided all the same."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    halted = put_order(
        database,
        proxy,
        identifier,
        "FAILED",
        failed_kind="UNSENT",
        reason="HALTED",
        order_key="f" * 64,
    )
    filled = put_order(
        database, proxy, identifier, "CONFIRMED", filled_size_micros=2_500_000,
        filled_notional_micros=1_000_000, order_key="e" * 64,
    )  # fmt: skip
    put_order(database, proxy, identifier, "CLAIMED")
    put_decision(
        database, proxy, identifier, copied=True, reason="", detail="",
        # In the order of their parts, not of their keys.
        order_keys=[halted, filled],
    )  # fmt: skip
    skipped = put_decision(database, proxy, identifier, decided_at="2026-01-01T00:00:01Z")
    for query in ("", "?copied=true"):
        answer = edge.call("GET", f"/subscriptions/{identifier}/decisions{query}", READ)
        found = answer.json()["decisions"]
        assert found[0]["orders"] == [
            {"id": halted, "state": "ORDER_STATE_FAILED", "reason": "HALTED", "filledSize": "0"},
            {"id": filled, "state": "ORDER_STATE_CONFIRMED", "reason": "", "filledSize": "2.5"},
        ]
    about = {"leaderTx": skipped.upper().replace("X", "x", 1)}
    answer = edge.call("GET", f"/subscriptions/{identifier}/decisions", READ, params=about)
    assert [(one["leaderTx"], one["orders"]) for one in answer.json()["decisions"]] == [
        (skipped, [])
    ]


def test_a_large_page_passes_the_edge(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """200 decisions with long details are more than the edge's buffers for requests."""
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    for _ in range(200):
        put_decision(database, proxy, identifier, detail="x" * 900)
    page = edge.call("GET", f"/subscriptions/{identifier}/decisions", params={"pageSize": 200})
    assert len(page.json()["decisions"]) == 200
    assert len(page.content) > 200_000


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/subscriptions/{id}", None),
        ("PATCH", "/subscriptions/{id}", {"limits": {}}),
        ("DELETE", "/subscriptions/{id}", None),
        ("POST", "/subscriptions/{id}/pause", None),
        ("POST", "/subscriptions/{id}/resume", None),
        ("GET", "/subscriptions/{id}/fills", None),
        ("GET", "/subscriptions/{id}/decisions", None),
        ("GET", "/subscriptions/{id}/positions", None),
    ],
)
def test_an_unknown_subscription_is_404(
    edge: RunningEdge, verb: str, path: str, body: dict[str, Any] | None
) -> None:
    unknown = "sub_" + "0" * 32
    response = edge.call(verb, path.replace("{id}", unknown), MANAGE, json=body)
    assert error_of(response) == (404, "NOT_FOUND", {"kind": "subscription", "id": unknown})


EVERYTHING: dict[str, Any] = {
    "sizing": {
        "tiers": {
            "tiers": [
                {"fromNotional": "0", "fixed": {"amount": "5"}},
                {"fromNotional": "100", "ratio": {"ratio": "0.05"}},
            ]
        },
        "multiplier": "1.5",
        "belowMinimum": "BELOW_MINIMUM_ROUND_UP",
    },
    "limits": {
        "maxPerTrade": "50", "maxPerMarket": "100", "maxSlippage": "0.02", "maxAgeMs": 5000,
        "maxPerLeader": "500", "maxTotal": "0", "maxPerDay": "80", "maxSpread": "0.05",
        "minDepthFraction": "0", "maxOpenPositions": 0, "maxBuysPerOutcome": 3,
        "onDoubtfulBook": "DOUBTFUL_BOOK_WAIT", "doubtfulBookWaitMs": 250,
    },
    "filters": {
        "sides": "COPY_SIDES_BUYS", "minPrice": "0.05", "maxPrice": "0.95",
        "minLeaderNotional": "10", "marketsAllowed": [], "marketsDenied": ["0x" + "ab" * 32],
        "categoriesAllowed": ["sports"], "categoriesDenied": [], "minSecondsToEnd": 60,
        "oppositeSide": "OPPOSITE_SIDE_SKIP",
        "leader": {
            "minTrades30d": 0, "minWinRate": "0.5", "minProfitFactor": "1.25", "maxDrawdown": "0",
            "minCopyability": "0.015", "onMissing": "ON_MISSING_COPY", "maxAgeSeconds": 60,
        },
    },
    "exits": {
        "mode": "EXIT_MODE_ALL", "maxSlippage": "0.25", "belowMinimum": "EXIT_BELOW_MINIMUM_WAIT",
    },
    "shadow": True,
}  # fmt: skip


def test_every_setting_comes_back_as_it_was_given(edge: RunningEdge, wallet: Wallet) -> None:
    made = create_subscription(edge, wallet(), **EVERYTHING)
    assert {name: made[name] for name in EVERYTHING} == EVERYTHING
    again = edge.call("GET", f"/subscriptions/{made['id']}", READ).json()
    assert {name: again[name] for name in EVERYTHING} == EVERYTHING
    assert again["statistics"]["paperBought"] == "0"


def test_a_group_is_replaced_whole_and_the_others_stay(edge: RunningEdge, wallet: Wallet) -> None:
    made = create_subscription(edge, wallet(), **EVERYTHING)
    path = f"/subscriptions/{made['id']}"
    changed = edge.call("PATCH", path, json={"filters": {"minPrice": "0"}}).json()
    assert changed["filters"]["minPrice"] == "0"
    assert "maxPrice" not in changed["filters"]
    assert changed["limits"] == EVERYTHING["limits"]
    assert changed["sizing"] == EVERYTHING["sizing"]
    cleared = edge.call("PATCH", path, json={"limits": {}, "filters": {}, "exits": {}}).json()
    assert cleared["limits"] == {}
    assert "filters" not in cleared
    assert "exits" not in cleared
    assert cleared["shadow"] is True
    assert cleared["version"] == "3"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sizing": {"tiers": {"tiers": []}}}, "sizing.tiers.tiers"),
        ({"sizing": {"fixed": {"amount": "1"}, "multiplier": "0"}}, "sizing.multiplier"),
        ({"limits": {"maxSpread": "1.5"}}, "limits.maxSpread"),
        ({"limits": {"maxOpenPositions": -1}}, "limits.maxOpenPositions"),
        ({"limits": {"onDoubtfulBook": "DOUBTFUL_BOOK_UNSPECIFIED"}}, "limits.onDoubtfulBook"),
        ({"limits": {"doubtfulBookWaitMs": 5}}, "limits.doubtfulBookWaitMs"),
        (
            {
                "limits": {
                    "onDoubtfulBook": "DOUBTFUL_BOOK_WAIT",
                    "doubtfulBookWaitMs": 10_001,
                }
            },
            "limits.doubtfulBookWaitMs",
        ),
        ({"filters": {"minPrice": "0.6", "maxPrice": "0.5"}}, "filters.minPrice"),
        ({"filters": {"marketsDenied": "0x" + "ab" * 32}}, "filters.marketsDenied"),
        ({"filters": {"marketsDenied": [7]}}, "filters.marketsDenied[0]"),
        ({"exits": {"mode": "EXIT_MODE_UNSPECIFIED"}}, "exits.mode"),
        ({"exits": {"maxSlippage": "1.01"}}, "exits.maxSlippage"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(
    edge: RunningEdge, wallet: Wallet, body: dict[str, Any], field: str
) -> None:
    made = create_subscription(edge, wallet())
    response = edge.call("PATCH", f"/subscriptions/{made['id']}", json=body)
    status, reason, metadata = error_of(response)
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_decisions_are_asked_for_by_time_and_outcome(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    identifier = create_subscription(edge, proxy)["id"]
    old = put_decision(database, proxy, identifier, decided_at="2026-01-01T00:00:00Z")
    new = put_decision(
        database, proxy, identifier, decided_at="2026-01-02T00:00:00Z", copied=True, reason=""
    )

    def found(query: str) -> list[str]:
        answer = edge.call("GET", f"/subscriptions/{identifier}/decisions?{query}", READ)
        assert answer.status_code == 200, answer.text
        return [one["leaderTx"] for one in answer.json()["decisions"]]

    edge_ms = 1767312000000
    assert found(f"fromMs={edge_ms}") == [new]
    assert found(f"toMs={edge_ms}") == [old]
    assert found("copied=true") == [new]
    assert found("copied=false&reason=TOO_OLD") == [old]
    assert found(f"fromMs=0&toMs={edge_ms}&copied=true") == []
    assert found("toMs=253402300799999") == [new, old]
    beyond = edge.call("GET", f"/subscriptions/{identifier}/decisions?toMs=253402300800000", READ)
    assert error_of(beyond)[:2] == (400, "INVALID_FIELD")


TRIGGERS: dict[str, Any] = {
    "takeProfit": "0.2",
    "stopLoss": "0.1",
    "breakEven": True,
    "trailing": {"gain": "0.05", "callbackFraction": "0.1"},
    "ladder": [{"gain": "0.1", "fraction": "0.5"}, {"gain": "0.3", "fraction": ""}],
    "timeStopSeconds": "3600",
}


def test_default_triggers_are_made_read_replaced_and_removed(
    edge: RunningEdge, wallet: Wallet
) -> None:
    made = create_subscription(edge, wallet(), triggers=TRIGGERS)
    path = f"/subscriptions/{made['id']}"
    assert made["triggers"] == TRIGGERS
    other = edge.call("PATCH", path, json={"limits": {}}).json()
    assert other["triggers"] == TRIGGERS, "a group that is left out stays"
    fewer = edge.call("PATCH", path, json={"triggers": {"stopLoss": "0.25"}}).json()
    assert fewer["triggers"] == {"stopLoss": "0.25", "ladder": []}
    assert edge.call("PATCH", path, json={"triggers": {}}).json().keys().isdisjoint({"triggers"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"takeProfit": "0"}, "triggers.takeProfit"),
        ({"stopLoss": "1"}, "triggers.stopLoss"),
        ({"stopLoss": "0.0"}, "triggers.stopLoss"),
        ({"trailing": {"gain": "0.1"}}, "triggers.trailing.callbackFraction"),
        ({"ladder": [{"gain": "0.1"}, {"gain": "0.2"}]}, "triggers.ladder[0].fraction"),
        (
            {"ladder": [{"gain": "0.2", "fraction": "0.5"}, {"gain": "0.2"}]},
            "triggers.ladder[1].gain",
        ),
        ({"breakEven": True}, "triggers.breakEven"),
        ({"timeStopSeconds": 0}, "triggers.timeStopSeconds"),
    ],
)
def test_a_default_trigger_that_cannot_be_is_named(
    edge: RunningEdge, wallet: Wallet, changes: dict[str, Any], field: str
) -> None:
    body = subscription_body(wallet(), triggers=changes)
    status, reason, metadata = error_of(edge.call("POST", "/subscriptions", json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_paused_create_copies_nothing_until_resumed(
    edge: RunningEdge, wallet: Callable[[], str]
) -> None:
    made = create_subscription(edge, wallet(), paused=True)
    assert (made["state"], made["version"]) == ("SUBSCRIPTION_STATE_PAUSED", "1")
    resumed = edge.call("POST", f"/subscriptions/{made['id']}/resume").json()
    assert resumed["state"] == "SUBSCRIPTION_STATE_ACTIVE"
    both = subscription_body(wallet(), paused=True, start="START_MODE_MIRROR")
    refused = edge.call("POST", "/subscriptions", json=both)
    assert error_of(refused)[::2] == (400, error_of(refused)[2] | {"field": "paused"})
