"""Webhooks on real processes: what receivers' journals have is what the log has."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks.webhooks import Webhook
from svix.webhooks import Webhook as Svix

from launcher import temporary
from launcher.embedded import role_url
from tests.control.edge import MANAGE, READ
from tests.events.edge import Listening, listening
from tests.money_path.world import eventually
from tests.webhooks.receivers import Receivers, receiving

pytestmark = pytest.mark.asyncio(loop_scope="module")
_RETRY_MS = 100


@pytest.fixture(scope="module")
def world(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Listening]:
    """One edge with webhooks behind it, which may send to this machine."""
    with (
        temporary.temporary_database(postgres_server, template=migrated_template) as url,
        listening(
            tmp_path_factory.mktemp("webhooks"),
            url,
            redis_url,
            also=("webhooks",),
            TT_WEBHOOKS_ALLOWED_NETWORKS="127.0.0.0/8",
            TT_WEBHOOKS_RETRY_MS=str(_RETRY_MS),
            TT_WEBHOOKS_TIMEOUT_MS="2000",
        ) as made,
    ):
        made.wait_until_ready("/webhook-endpoints")
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def receivers() -> AsyncIterator[Receivers]:
    """Receivers of one test."""
    async with receiving() as made:
        yield made


async def call(world: Listening, verb: str, path: str, **more: Any) -> dict[str, Any]:
    """A request that is answered with success."""
    answer = await asyncio.to_thread(world.call, verb, path, **more)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def made(world: Listening, url: str, **more: object) -> dict[str, Any]:
    """A new endpoint."""
    return await call(world, "POST", "/webhook-endpoints", json={"url": url, **more})


async def ended(world: Listening, *endpoints: dict[str, Any]) -> None:
    """Delete endpoints, for other tests' events are nothing to them."""
    for endpoint in endpoints:
        await call(world, "DELETE", f"/webhook-endpoints/{endpoint['id']}")


async def logged(world: Listening, after: int) -> list[str]:
    """The ids of the quarantined messages after a number of the log, in its order."""
    found: list[str] = []
    more: str | None = str(after)
    while more is not None:
        page = await call(world, "GET", f"/events?limit=500&types=message.*&after={more}")
        found += [event["id"] for event in page["events"]]
        more = page.get("nextAfter")
    return found


async def happened(world: Listening, count: int, after: int) -> list[str]:
    """So many events more, once they are all in the log."""
    before = len(await logged(world, after))
    await asyncio.to_thread(world.happen, count)
    found: list[str] = []

    async def there() -> bool:
        found[:] = await logged(world, after)
        return len(found) == before + count

    await eventually(there)
    return found


async def taken(receivers: Receivers, path: str, ids: list[str]) -> None:
    """Wait until a path has been sent these events, in this order."""

    async def all_there() -> bool:
        return set(ids) <= set(receivers.ids(path))

    await eventually(all_there)
    desired = set(ids)
    assert [one for one in receivers.ids(path) if one in desired] == ids


async def test_every_event_is_posted_in_order_and_signed(
    world: Listening, receivers: Receivers
) -> None:
    endpoint = await made(world, receivers.url("/ok"), types=["message.*"])
    ids = await happened(world, 30, int(endpoint["deliveredTo"]))
    await taken(receivers, "/ok", ids)
    events = (await call(world, "GET", f"/events?after={endpoint['deliveredTo']}"))["events"]
    known = {event["id"]: event for event in events}
    for received in receivers.journal["/ok"]:
        reported = Webhook(endpoint["secret"]).verify(received.body, dict(received.headers))
        assert received.headers["Content-Type"] == "application/json"
        assert reported["data"] == known[reported["id"]]["data"]
        assert reported["id"] == received.id
        assert reported["specversion"] == "1.0"
        Svix(endpoint["secret"]).verify(received.body, dict(received.headers))
        event = JSONFormat().read(CloudEvent, received.body)
        assert (event.get_id(), event.get_data()) == (received.id, reported["data"])
    deliveries: list[dict[str, Any]] = []

    async def written() -> bool:
        path = f"/webhook-endpoints/{endpoint['id']}/deliveries"
        deliveries[:] = (await call(world, "GET", path))["deliveries"]
        return len(deliveries) >= len(ids)

    await eventually(written)
    assert {d["outcome"] for d in deliveries} == {"delivered"}
    assert deliveries[0]["answer"].startswith("taken evt_")
    await ended(world, endpoint)


async def test_bad_receivers_hold_up_nobody_and_each_is_tried_again(
    world: Listening, receivers: Receivers
) -> None:
    bad = {
        path: await made(world, receivers.url(path), types=["message.*"])
        for path in (
            "/dead", "/slow", "/redirect", "/gone", "/busy", "/busy/date", "/garbage", "/broken",
            "/endless",
        )
    }  # fmt: skip
    good = await made(world, receivers.url("/good"), types=["message.*"])
    ids = await happened(world, 20, int(good["deliveredTo"]))
    await taken(receivers, "/good", ids)
    assert receivers.journal["/redirected"] == []

    async def settled() -> bool:
        return (await state("/gone"))["enabled"] is False and len(receivers.journal["/busy"]) > 1

    async def state(path: str) -> dict[str, Any]:
        return await call(world, "GET", f"/webhook-endpoints/{bad[path]['id']}")

    async def attempts(path: str) -> list[dict[str, Any]]:
        found = await call(world, "GET", f"/webhook-endpoints/{bad[path]['id']}/deliveries")
        deliveries: list[dict[str, Any]] = found["deliveries"]
        return deliveries

    await eventually(settled)
    assert "410" in (await state("/gone"))["disabledReason"]
    assert len(receivers.journal["/gone"]) == 1
    for path, expected in (
        ("/dead", (0, "no answer")),
        ("/slow", (0, "in time")),
        ("/redirect", (307, "")),
        ("/garbage", (0, "no answer")),
        ("/broken", (500, "taken")),
    ):

        async def tried(path: str = path) -> bool:
            return bool(await attempts(path))

        await eventually(tried)
        first = (await attempts(path))[-1]
        assert (first["status"], first["outcome"]) == (expected[0], "failed"), path
        assert expected[1] in first["answer"], path
        # In the log's order: nothing overtakes the first event.
        assert {d["eventId"] for d in await attempts(path)} == {ids[0]}, path
        assert (await state(path))["retrying"] == 1, path
    # An answer without an end is an answer; of it the beginning is kept.
    endless = (await attempts("/endless"))[-1]
    assert (endless["status"], endless["outcome"]) == (200, "delivered")
    assert len(endless["answer"]) <= 1024
    # The first pause would have been a tenth of a second.
    requested, again = receivers.journal["/busy"][:2]
    assert requested.id == again.id
    assert again.at - requested.at >= 1.0
    reported = await logged_types(world, "webhook.disabled")
    assert [e["data"]["endpointId"] for e in reported][-1] == bad["/gone"]["id"]
    await ended(world, good, *bad.values())


async def logged_types(world: Listening, kind: str) -> list[dict[str, Any]]:
    """Events of a type, once there is one."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        page = await call(world, "GET", f"/events?limit=500&types={kind}")
        found[:] = page["events"]
        return bool(found)

    await eventually(there)
    return found


async def test_after_a_failure_the_order_goes_on_where_it_was(
    world: Listening, receivers: Receivers
) -> None:
    receivers.answers["/late"] = 500
    endpoint = await made(world, receivers.url("/late"), types=["message.*"])
    ids = await happened(world, 10, int(endpoint["deliveredTo"]))

    async def twice() -> bool:
        return len(receivers.journal["/late"]) >= 2

    await eventually(twice)
    del receivers.answers["/late"]
    await taken(receivers, "/late", ids)
    await ended(world, endpoint)


async def test_unordered_failure_blocks_no_other(world: Listening, receivers: Receivers) -> None:
    endpoint = await made(
        world, receivers.url("/any"), types=["message.*"], ordering="WEBHOOK_ORDERING_NONE"
    )
    receivers.answers["/any"] = 503
    first = await happened(world, 1, int(endpoint["deliveredTo"]))

    async def refused() -> bool:
        return bool(receivers.journal["/any"])

    await eventually(refused)
    del receivers.answers["/any"]
    ids = await happened(world, 40, int(endpoint["deliveredTo"]))

    async def all_there() -> bool:
        return set(receivers.ids("/any")) == set(ids)

    await eventually(all_there)
    assert first[0] in ids
    await ended(world, endpoint)


async def test_after_a_rotation_both_secrets_verify(world: Listening, receivers: Receivers) -> None:
    endpoint = await made(world, receivers.url("/rotated"), types=["message.*"])
    rotated = await call(world, "POST", f"/webhook-endpoints/{endpoint['id']}/rotate")
    assert rotated["secret"] not in ("", endpoint["secret"])
    ids = await happened(world, 1, int(endpoint["deliveredTo"]))
    await taken(receivers, "/rotated", ids)
    (received,) = receivers.journal["/rotated"]
    for secret in (endpoint["secret"], rotated["secret"]):
        assert Webhook(secret).verify(received.body, dict(received.headers))["id"] == ids[0]
    # After a restart, too.
    world.kill("webhooks")
    world.start("webhooks")
    await asyncio.to_thread(world.wait_until_ready, "/webhook-endpoints")
    ids = await happened(world, 1, int(endpoint["deliveredTo"]))
    await taken(receivers, "/rotated", ids)
    for secret in (endpoint["secret"], rotated["secret"]):
        received = receivers.journal["/rotated"][-1]
        Webhook(secret).verify(received.body, dict(received.headers))
    await ended(world, endpoint)


async def test_a_secret_is_shown_once_and_read_by_nobody_else(
    world: Listening, receivers: Receivers
) -> None:
    body = {"url": receivers.url("/secret"), "types": ["order.*"]}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    endpoint = await call(world, "POST", "/webhook-endpoints", json=body, headers=key)
    again = await call(world, "POST", "/webhook-endpoints", json=body, headers=key)
    assert again == {**endpoint, "secret": ""}
    other = {**body, "description": "another one"}
    refused = await asyncio.to_thread(
        world.call, "POST", "/webhook-endpoints", json=other, headers=key
    )
    assert refused.status_code == 409
    got = await call(world, "GET", f"/webhook-endpoints/{endpoint['id']}")
    listed = await call(world, "GET", "/webhook-endpoints")
    assert got["secret"] == ""
    assert endpoint["secret"] not in json.dumps(listed)
    bare = endpoint["secret"].removeprefix("whsec_")
    assert len(base64.b64decode(bare)) == 32
    assert bare not in world.log
    for role in ("control", "events", "reader", "router"):
        with (
            psycopg.connect(role_url(world.database_url, role)) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("select secret from webhook_secret")
    await ended(world, endpoint)


async def test_a_test_message_is_answered_at_once(world: Listening, receivers: Receivers) -> None:
    endpoint = await made(world, receivers.url("/tested"))
    reported = await call(world, "POST", f"/webhook-endpoints/{endpoint['id']}/test")
    assert (reported["status"], reported["outcome"]) == (200, "delivered")
    received = next(r for r in receivers.journal["/tested"] if r.id == reported["eventId"])
    event = Webhook(endpoint["secret"]).verify(received.body, dict(received.headers))
    assert (event["type"], event["id"]) == ("webhook.test", received.id)
    await ended(world, endpoint)


async def test_a_replay_sends_a_range_again_under_the_same_ids(
    world: Listening, receivers: Receivers
) -> None:
    endpoint = await made(world, receivers.url("/again"), types=["message.*"])
    path = f"/webhook-endpoints/{endpoint['id']}/replay"
    after = int(endpoint["deliveredTo"])
    ids = await happened(world, 15, after)
    await taken(receivers, "/again", ids)
    events = (await call(world, "GET", f"/events?types=message.*&after={after}"))["events"]

    async def replayed(body: dict[str, object], expected: list[str]) -> None:
        receivers.journal["/again"].clear()
        await call(world, "POST", path, json=body)

        async def all_there() -> bool:
            return len(receivers.journal["/again"]) >= len(expected)

        await eventually(all_there)
        assert [received.id for received in receivers.journal["/again"]] == expected

    await replayed({"after": events[4]["sequence"]}, ids[5:])
    await replayed({"since": events[3]["time"]}, ids[3:])
    await replayed({"since": events[3]["time"], "until": events[9]["time"]}, ids[3:9])
    ids += (await happened(world, 3, after))[15:]
    await taken(receivers, "/again", ids[15:])
    for body in ({}, {"after": 1, "until": events[3]["time"]}, {"after": 1, "since": "x"}):
        refused = await asyncio.to_thread(world.call, "POST", path, json=body)
        assert refused.status_code == 400, refused.text
    await ended(world, endpoint)


async def test_an_endpoint_that_is_enabled_again_goes_on_where_it_was(
    world: Listening, receivers: Receivers
) -> None:
    endpoint = await made(world, receivers.url("/back"), types=["message.*"])
    path = f"/webhook-endpoints/{endpoint['id']}"
    await call(world, "PATCH", path, json={"enabled": False})
    ids = await happened(world, 5, int(endpoint["deliveredTo"]))
    assert receivers.journal["/back"] == []
    changed = await call(world, "PATCH", path, json={"enabled": True, "description": "back"})
    assert (changed["enabled"], changed["description"]) == (True, "back")
    await taken(receivers, "/back", ids)
    await ended(world, endpoint)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://10.0.0.1/x", "public"),
        ("https://169.254.169.254/latest", "public"),
        ("https://[::1]/x", "public"),
        ("https://[::ffff:10.0.0.1]/x", "public"),
        ("https://100.64.1.1/x", "public"),
        ("https://[fd00::1]/x", "public"),
        ("http://8.8.8.8/x", "public"),
        ("https://2130706433/x", "usual form"),
        ("https://0x7f000001/x", "usual form"),
        ("https://user:pw@example.org/", "without user"),
        ("https://example.org/#x", "fragment"),
        ("ftp://example.org/", "URL"),
        ("https://", "URL"),
    ],
)
async def test_a_url_that_leads_inside_is_refused(world: Listening, url: str, words: str) -> None:
    refused = await asyncio.to_thread(world.call, "POST", "/webhook-endpoints", json={"url": url})
    assert refused.status_code == 400, refused.text
    assert words in refused.text
    assert '"url"' in refused.text


async def test_only_who_manages_changes_endpoints(world: Listening, receivers: Receivers) -> None:
    endpoint = await made(world, receivers.url("/mine"))
    one = f"/webhook-endpoints/{endpoint['id']}"
    for verb, path, body in (
        ("POST", "/webhook-endpoints", {"url": "https://example.org/"}),
        ("PATCH", one, {"enabled": False}),
        ("DELETE", one, None),
        ("POST", f"{one}/rotate", None),
        ("POST", f"{one}/test", None),
        ("POST", f"{one}/replay", {"after": 0}),
    ):
        for token, status in ((READ, 403), (None, 401)):
            refused = await asyncio.to_thread(world.call, verb, path, token, json=body)
            assert refused.status_code == status, (verb, path)
    assert world.call("GET", one, READ).status_code == 200
    missing = f"/webhook-endpoints/whk_{'0' * 32}"
    assert world.call("GET", missing, MANAGE).status_code == 404
    await ended(world, endpoint)
