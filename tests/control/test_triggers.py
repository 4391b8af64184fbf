"""Triggers over REST, through the real edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.control.edge import READ, RunningEdge
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    count,
    create_subscription,
    create_trigger,
    error_of,
    put_lot,
    trigger_body,
)

Wallet = Callable[[], str]
FIRED = ("TRIGGERED", "CLOSING", "NEEDS_CONFIRM", "DONE", "RESOLVED")


def test_a_trigger_waits_while_its_lot_is_empty(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]

    made = create_trigger(edge, proxy, subscription)

    assert made.pop("id").startswith("trg_")
    assert made.pop("createdAt") == made.pop("updatedAt")
    assert made == {
        "wallet": proxy,
        "conditionId": CONDITION,
        "assetId": ASSET,
        "side": "sell",
        "triggerType": "TRIGGER_TYPE_TAKE_PROFIT",
        "triggerPrice": "0.75",
        "size": "10.5",
        "status": "TRIGGER_STATUS_WAITING",
        "subscriptionId": subscription,
        "version": "1",
        "generation": 0,
        "rungs": [],
        "twoTicks": False,
    }


def test_a_trigger_of_a_held_lot_is_armed(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    put_lot(database, proxy, subscription)
    body = trigger_body(proxy, subscription)
    del body["size"], body["side"]

    made = edge.call("POST", "/triggers", json=body).json()

    assert made["status"] == "TRIGGER_STATUS_ARMED"
    assert "size" not in made
    assert edge.call("GET", f"/triggers/{made['id']}", READ).json() == made
    sold_out = wallet()
    other = create_subscription(edge, sold_out)["id"]
    put_lot(database, sold_out, other, shares_micros=0, cost_micros=0)
    assert create_trigger(edge, sold_out, other)["status"] == "TRIGGER_STATUS_WAITING"


def test_a_trigger_needs_a_subscription_of_its_wallet(edge: RunningEdge, wallet: Wallet) -> None:
    mine, other = wallet(), wallet()
    subscription = create_subscription(edge, mine)["id"]
    for body in (
        trigger_body(other, subscription),
        trigger_body(mine, "sub_" + "0" * 32),
    ):
        status, reason, metadata = error_of(edge.call("POST", "/triggers", json=body))
        assert (status, reason, metadata["kind"]) == (404, "NOT_FOUND", "subscription")


def test_a_trigger_of_another_market_than_the_lot_is_refused(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    put_lot(database, proxy, subscription)
    body = trigger_body(proxy, subscription, conditionId="0x" + "dd" * 32)
    status, reason, metadata = error_of(edge.call("POST", "/triggers", json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "conditionId")


def test_a_trigger_is_changed_and_its_history_told(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    trigger = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"])
    path = f"/triggers/{trigger['id']}"

    changed = edge.call("PATCH", path, json={"triggerPrice": "0.8", "version": "1"}).json()
    assert (changed["triggerPrice"], changed["size"], changed["version"]) == ("0.8", "10.5", "2")
    same = edge.call("PATCH", path, json={"triggerPrice": "0.80"}).json()
    assert same == changed
    stale = edge.call("PATCH", path, json={"size": "1", "version": "1"})
    assert error_of(stale) == (409, "CONFLICT", {"kind": "trigger", "id": trigger["id"]})
    gone, again = edge.call("DELETE", path), edge.call("DELETE", path)
    assert gone.json()["status"] == "TRIGGER_STATUS_CANCELLED"
    assert again.json() == gone.json()

    entries, token, pages = [], "", 0
    while pages == 0 or token:
        query = {"pageSize": 2, "pageToken": token}
        page = edge.call("GET", f"{path}/history", READ, params=query).json()
        entries += page["entries"]
        token, pages = page["nextPageToken"], pages + 1
    reported = [(e["fromStatus"], e["toStatus"], e["detail"]) for e in entries]
    assert pages == 2
    assert reported == [
        ("TRIGGER_STATUS_UNSPECIFIED", "TRIGGER_STATUS_WAITING", "created"),
        ("TRIGGER_STATUS_WAITING", "TRIGGER_STATUS_WAITING", "changed"),
        ("TRIGGER_STATUS_WAITING", "TRIGGER_STATUS_CANCELLED", "deleted"),
    ]
    actions = database.execute(
        "select action from control_change where subject_id = %s order by seq", [trigger["id"]]
    ).fetchall()
    assert [row["action"] for row in actions] == ["create", "update", "delete"]


@pytest.mark.parametrize(
    "query", [pytest.param("", id="plain"), pytest.param("?pageSize=%35", id="transcoded")]
)
def test_the_history_of_what_fired_names_its_order(
    edge: RunningEdge, database: Database, wallet: Wallet, query: str
) -> None:
    proxy = wallet()
    trigger = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"])
    order = "ab" * 32
    for entry in (
        ("WAITING", "ARMED", "the entry was booked", ""),
        ("ARMED", "TRIGGERED", "bid 0.76 of 10.5", ""),
        ("TRIGGERED", "CLOSING", "slice 1 of 10.5 at 0.74", order),
        ("CLOSING", "DONE", "sold 10.5", order),
    ):
        database.execute(
            "insert into trigger_event (trigger_id, from_status, to_status, detail, order_key)"
            " values (%s, %s, %s, %s, %s)", [trigger["id"], *entry],
        )  # fmt: skip
    reported = edge.call("GET", f"/triggers/{trigger['id']}/history{query}", READ).json()["entries"]
    # The first one tells of the create.
    assert [(e["toStatus"], e["detail"], e["orderId"]) for e in reported[1:]] == [
        ("TRIGGER_STATUS_ARMED", "the entry was booked", ""),
        ("TRIGGER_STATUS_TRIGGERED", "bid 0.76 of 10.5", ""),
        ("TRIGGER_STATUS_CLOSING", "slice 1 of 10.5 at 0.74", order),
        ("TRIGGER_STATUS_DONE", "sold 10.5", order),
    ]


@pytest.mark.parametrize("status", FIRED)
def test_a_fired_trigger_is_not_changed_any_more(
    edge: RunningEdge, database: Database, wallet: Wallet, status: str
) -> None:
    proxy = wallet()
    trigger = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"])["id"]
    database.execute("update trigger set status = %s where id = %s", [status, trigger])
    for response in (
        edge.call("PATCH", f"/triggers/{trigger}", json={"triggerPrice": "0.8"}),
        edge.call("DELETE", f"/triggers/{trigger}"),
    ):
        expected = {"kind": "trigger", "id": trigger, "state": status}
        assert error_of(response) == (400, "WRONG_STATE", expected)


@pytest.mark.parametrize("status", ["ARMED", "SUSPENDED"])
def test_an_armed_trigger_may_be_changed_and_deleted(
    edge: RunningEdge, database: Database, wallet: Wallet, status: str
) -> None:
    proxy = wallet()
    trigger = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"])["id"]
    database.execute("update trigger set status = %s where id = %s", [status, trigger])
    changed = edge.call("PATCH", f"/triggers/{trigger}", json={"size": "2"}).json()
    assert (changed["size"], changed["status"]) == ("2", f"TRIGGER_STATUS_{status}")
    assert edge.call("DELETE", f"/triggers/{trigger}").status_code == 200


TRAILING: dict[str, Any] = {
    "triggerType": "TRIGGER_TYPE_TRAILING_STOP",
    "triggerPrice": "0.6",
    "callbackFraction": "0.1",
}
TIMED: dict[str, Any] = {
    "triggerType": "TRIGGER_TYPE_TIME_STOP",
    "triggerPrice": "",
    "fireAtMs": 1_900_000_000_000,
}


def test_a_trailing_stop_is_made_read_and_changed(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    made = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"], **TRAILING)
    path = f"/triggers/{made['id']}"
    assert {name: made[name] for name in TRAILING} == TRAILING
    assert made.keys().isdisjoint({"callbackPrice", "peakPrice", "fireAtMs"})

    database.execute("update trigger set peak_micros = 700000 where id = %s", [made["id"]])
    changed = edge.call("PATCH", path, json={"callbackPrice": "0.05"}).json()
    assert (changed["callbackPrice"], changed["peakPrice"], changed["version"]) == (
        "0.05", "0.7", "2",
    )  # fmt: skip
    assert "callbackFraction" not in changed
    assert edge.call("GET", path, READ).json() == changed
    with pytest.raises(psycopg.errors.RaiseException, match="never loosens"):
        database.execute("update trigger set peak_micros = 699999 where id = %s", [made["id"]])


def test_a_time_stop_is_made_read_and_changed(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    made = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"], **TIMED)
    assert (made["triggerPrice"], made["fireAtMs"]) == ("", "1900000000000")
    later = {"fireAtMs": "1900000000001"}
    changed = edge.call("PATCH", f"/triggers/{made['id']}", json=later).json()
    assert (changed["fireAtMs"], changed["version"]) == ("1900000000001", "2")
    priced = edge.call("PATCH", f"/triggers/{made['id']}", json={"triggerPrice": "0.5"})
    assert error_of(priced)[2]["field"] == "triggerPrice"


def rungs_of(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"triggerPrice": price, "fraction": fraction} for price, fraction in pairs]


RUNGS = rungs_of(("0.6", "0.5"), ("0.7", "0.25"), ("0.8", ""))
LADDER: dict[str, Any] = {
    "triggerType": "TRIGGER_TYPE_LADDER",
    "triggerPrice": "",
    "rungs": RUNGS,
}


def test_a_ladder_is_made_read_and_changed_until_a_rung_has_sold(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    made = create_trigger(edge, proxy, create_subscription(edge, proxy)["id"], **LADDER)
    path = f"/triggers/{made['id']}"
    assert {name: made[name] for name in LADDER} == LADDER
    assert (made["rungsSold"], made["twoTicks"]) == (0, False)

    fewer = rungs_of(("0.6", "0.5"), ("0.9", ""))
    changed = edge.call("PATCH", path, json={"rungs": fewer, "twoTicks": True}).json()
    assert (changed["rungs"], changed["twoTicks"], changed["version"]) == (fewer, True, "2")
    assert edge.call("GET", path, READ).json() == changed

    database.execute(
        "update trigger set rungs_fired = 1, rungs_done = 1, sold_micros = 2000000 where id = %s",
        [made["id"]],
    )
    refused = edge.call("PATCH", path, json={"rungs": RUNGS})
    assert error_of(refused)[:2] == (400, "INVALID_FIELD")
    assert error_of(refused)[2]["field"] == "rungs"
    too_small = edge.call("PATCH", path, json={"size": "2"})
    assert error_of(too_small)[2]["field"] == "size"
    sized = edge.call("PATCH", path, json={"size": "3"}).json()
    assert (sized["size"], sized["rungs"], sized["rungsSold"]) == ("3", fewer, 1)
    with pytest.raises(psycopg.errors.RaiseException, match="does not come back"):
        database.execute("update trigger set rungs_done = 0 where id = %s", [made["id"]])
    database.execute("update trigger set rungs_fired = 2 where id = %s", [made["id"]])
    with pytest.raises(psycopg.errors.RaiseException, match="once in a generation"):
        database.execute("update trigger set rungs_fired = 1 where id = %s", [made["id"]])


def test_a_stop_that_breaks_even_is_made_and_changed(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    stop = {"triggerType": "TRIGGER_TYPE_STOP_LOSS", "triggerPrice": "0.3"}
    made = create_trigger(edge, proxy, subscription, **stop, breakEven=True)
    assert made["breakEven"] is True
    changed = edge.call("PATCH", f"/triggers/{made['id']}", json={"breakEven": False}).json()
    assert (changed["breakEven"], changed["version"]) == (False, "2")


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (LADDER | {"rungs": []}, "rungs"),
        (LADDER | {"triggerPrice": "0.5"}, "triggerPrice"),
        (LADDER | {"rungs": rungs_of(("0.6", "0.5"), ("0.6", ""))}, "rungs[1].triggerPrice"),
        (LADDER | {"rungs": rungs_of(("0.6", ""), ("0.7", ""))}, "rungs[0].fraction"),
        (LADDER | {"rungs": rungs_of(("0.6", "0.7"), ("0.7", "0.4"))}, "rungs"),
        (LADDER | {"rungs": rungs_of(("0.0", ""))}, "rungs[0].triggerPrice"),
        (LADDER | {"breakEven": True}, "breakEven"),
        ({"rungs": RUNGS}, "rungs"),
        ({"breakEven": True}, "breakEven"),
        (TIMED | {"twoTicks": True}, "twoTicks"),
        ({"triggerPrice": ""}, "triggerPrice"),
        ({"callbackFraction": "0.1"}, "callback"),
        ({"fireAtMs": 1}, "fireAtMs"),
        (TRAILING | {"triggerPrice": ""}, "triggerPrice"),
        (TRAILING | {"callbackFraction": "0.0"}, "callbackFraction"),
        (TRAILING | {"callbackFraction": "1"}, "callbackFraction"),
        (TRAILING | {"callbackPrice": "0.1"}, "callbackPrice"),
        ({"triggerType": "TRIGGER_TYPE_TRAILING_STOP"}, "callback"),
        ({"triggerType": "TRIGGER_TYPE_TRAILING_STOP", "callbackPrice": "0.75"}, "callbackPrice"),
        (TIMED | {"triggerPrice": "0.5"}, "triggerPrice"),
        (TIMED | {"fireAtMs": 0}, "fireAtMs"),
        (TIMED | {"callbackPrice": "0.1"}, "callback"),
        ({"triggerType": "TRIGGER_TYPE_TIME_STOP", "triggerPrice": ""}, "fireAtMs"),
    ],
)
def test_terms_that_do_not_fit_the_type_are_named(
    edge: RunningEdge, wallet: Wallet, terms: dict[str, Any], field: str
) -> None:
    body = trigger_body(wallet(), "sub_" + "0" * 32) | terms
    status, reason, metadata = error_of(edge.call("POST", "/triggers", json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_a_wallets_triggers_are_paged_oldest_first(edge: RunningEdge, wallet: Wallet) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    made = [create_trigger(edge, proxy, subscription)["id"] for _ in range(3)]
    query: dict[str, Any] = {"wallet": proxy, "pageSize": 2}
    first = edge.call("GET", "/triggers", READ, params=query).json()
    query["pageToken"] = first["nextPageToken"]
    second = edge.call("GET", "/triggers", READ, params=query).json()
    assert [t["id"] for t in first["triggers"] + second["triggers"]] == made
    assert second["nextPageToken"] == ""


def test_a_wallets_triggers_are_asked_for_by_status(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    subscription = create_subscription(edge, proxy)["id"]
    made = [create_trigger(edge, proxy, subscription)["id"] for _ in range(5)]
    for identifier, status in zip(
        made, ["DONE", "ARMED", "DONE", "SUSPENDED", "ARMED"], strict=True
    ):
        database.execute("update trigger set status = %s where id = %s", [status, identifier])

    def pages(size: int, *statuses: str) -> list[list[str]]:
        query: dict[str, Any] = {
            "wallet": proxy, "pageSize": size,
            "status": [f"TRIGGER_STATUS_{status}" for status in statuses],
        }  # fmt: skip
        found = []
        while True:
            page = edge.call("GET", "/triggers", READ, params=query).json()
            found.append([trigger["id"] for trigger in page["triggers"]])
            query["pageToken"] = page["nextPageToken"]
            if not query["pageToken"]:
                return found

    assert pages(50, "ARMED") == [[made[1], made[4]]]
    assert pages(2, "SUSPENDED", "ARMED", "ARMED") == [[made[1], made[3]], [made[4]]]
    assert pages(50, "CLOSING") == [[]]
    assert pages(50) == [made]
    token = edge.call("GET", f"/triggers?wallet={proxy}&pageSize=1", READ).json()["nextPageToken"]
    query = {"wallet": proxy, "status": "TRIGGER_STATUS_ARMED", "pageToken": token}
    assert error_of(edge.call("GET", "/triggers", READ, params=query))[:2] == (400, "INVALID_FIELD")


@pytest.mark.parametrize("status", ["ARMED", "TRIGGER_STATUS_UNSPECIFIED", "", "2"])
def test_a_status_that_is_none_is_refused_with_those_that_are(
    edge: RunningEdge, wallet: Wallet, status: str
) -> None:
    query = {"wallet": wallet(), "status": status}
    code, reason, metadata = error_of(edge.call("GET", "/triggers", READ, params=query))
    assert (code, reason) == (400, "INVALID_FIELD")
    assert metadata["field"].startswith("status")
    assert metadata["expected"].startswith("one of TRIGGER_STATUS_WAITING, TRIGGER_STATUS_ARMED,")


def test_the_same_create_twice_makes_one_trigger(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    proxy = wallet()
    body = trigger_body(proxy, create_subscription(edge, proxy)["id"])
    headers = {"Idempotency-Key": f"key-{proxy}"}
    before = count(database, "trigger")
    first = edge.call("POST", "/triggers", json=body, headers=headers)
    again = edge.call("POST", "/triggers", json=body, headers=headers)
    other = edge.call("POST", "/triggers", json=body | {"size": "1"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert error_of(other)[:2] == (409, "REQUEST_ID_REUSED")
    assert count(database, "trigger") == before + 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("triggerPrice", "0.0"),
        ("triggerPrice", "1"),
        ("triggerPrice", "0.1234567"),
        ("triggerPrice", 0.5),
        ("size", "0"),
        ("size", "-1"),
        ("side", "buy"),
        ("assetId", "0123"),
        ("assetId", "9" * 78),
        ("conditionId", "0x12"),
        ("triggerType", "TRIGGER_TYPE_UNSPECIFIED"),
        ("triggerType", "TAKE_PROFIT"),
        ("triggerType", 1),
        ("subscriptionId", "sub_1"),
        ("wallet", "0xzz"),
    ],
)
def test_a_wrong_field_is_named(
    edge: RunningEdge, wallet: Wallet, field: str, value: object
) -> None:
    body = trigger_body(wallet(), "sub_" + "0" * 32) | {field: value}
    status, reason, metadata = error_of(edge.call("POST", "/triggers", json=body))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)
    assert metadata["expected"]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/triggers/{id}", None),
        ("PATCH", "/triggers/{id}", {"size": "1"}),
        ("DELETE", "/triggers/{id}", None),
        ("GET", "/triggers/{id}/history", None),
    ],
)
def test_an_unknown_trigger_is_404(
    edge: RunningEdge, verb: str, path: str, body: dict[str, Any] | None
) -> None:
    unknown = "trg_" + "0" * 32
    response = edge.call(verb, path.replace("{id}", unknown), json=body)
    assert error_of(response) == (404, "NOT_FOUND", {"kind": "trigger", "id": unknown})
