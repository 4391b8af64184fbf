"""`tt webhooks`: endpoints of the product's own, to which events are posted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.command import Limit, Yes, ask, command, noun
from cli.core.words import clock
from cli.errors import Status
from cli.output import Column, Json, Shown

app = noun("List, create, test, replay and delete webhook endpoints.")
_Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, whk_...")]


def _stands(endpoint: Json) -> str:
    if not endpoint["enabled"]:
        return f"disabled {endpoint['disabledReason']}".rstrip()
    if "failingSince" in endpoint:
        return f"failing since {clock(endpoint['failingSince'])}"
    return "well"


_COLUMNS = (
    Column("ENDPOINT", lambda one: one["id"]),
    Column("STANDS", _stands),
    Column("DELIVERED TO", lambda one: one["deliveredTo"], right=True),
    Column("RETRYING", lambda one: one["retrying"], right=True),
    Column("TYPES", lambda one: ",".join(one["types"]) or "all"),
    Column("URL", lambda one: one["url"]),
)
_DELIVERIES = (
    Column("AT", lambda one: clock(one["at"])),
    Column("EVENT", lambda one: one["sequence"], right=True),
    Column("TYPE", lambda one: one["eventType"]),
    Column("TRY", lambda one: one["attempt"], right=True),
    Column("OUTCOME", lambda one: one["outcome"]),
    Column("HTTP", lambda one: one["status"] or "", right=True),
    Column("MS", lambda one: one["durationMs"], right=True),
    Column("ANSWER", lambda one: one["answer"][:60]),
)


@command(app, "list", schemas.rest("WebhookEndpoint", many=True))
def list_() -> Shown:
    """List endpoints and where each stands in the log."""
    found = [dict(one) for one in engine.rest().list_webhook_endpoints()["endpoints"]]
    return Shown(data=found, columns=_COLUMNS, empty="no endpoint")


@command(app, "create", schemas.rest("WebhookEndpoint"))
def create(
    url: Annotated[str, typer.Argument(help="https://...")],
    types: Annotated[
        list[str] | None, typer.Option("--type", "-t", help="order.filled, order.*; repeatable.")
    ] = None,
    description: Annotated[str, typer.Option("--description", "-d")] = "",
) -> Shown:
    """Create an endpoint. Its secret is shown this once."""
    engine.acting()
    body: Any = {"url": url, "types": types or [], "description": description}
    made = dict(engine.rest().create_webhook_endpoint(body))
    return Shown(
        data=made, lines=[f"created {made['id']}", f"secret, shown this once: {made['secret']}"]
    )


@command(app, "test", schemas.rest("WebhookDelivery"))
def test(endpoint: _Endpoint) -> Shown:
    """Post a webhook.test at once. Exits with 1 when it is not taken."""
    reported = dict(engine.rest().test_webhook_endpoint(endpoint))
    taken, took = reported["outcome"] == "delivered", f"{reported['durationMs']} ms"
    return Shown(
        data=reported,
        lines=[
            f"{reported['outcome']}: HTTP {reported['status']} after {took} {reported['answer']}"
        ],
        status=Status.OK if taken else Status.NOT_WELL,
    )  # fmt: skip


@command(app, "deliveries", schemas.rest("WebhookDelivery", many=True))
def deliveries(endpoint: _Endpoint, limit: Limit = 50) -> Shown:
    """List the last attempts, the newest first."""
    rows = engine.rest().all_webhook_deliveries(endpoint)
    return Shown(data=engine.first(rows, limit), columns=_DELIVERIES, empty="no attempt yet")


@command(app, "replay", schemas.rest("WebhookEndpoint"))
def replay(
    endpoint: _Endpoint,
    after: Annotated[int, typer.Option("--after", min=0, help="From the event after this number.")],
    yes: Yes = False,
) -> Shown:
    """Deliver events of the past again, under the ids that they have."""
    engine.acting()
    ask(f"Deliver everything after event {after} to {endpoint} again?", yes=yes)
    body: Any = {"after": str(after)}
    found = dict(engine.rest().replay_webhook_events(endpoint, body))
    return Shown(data=found, lines=[f"{endpoint} gets what came after {after} again"])


@command(app, "enable", schemas.rest("WebhookEndpoint"))
def enable(endpoint: _Endpoint) -> Shown:
    """Have an endpoint get events again, from where it was."""
    return _switch(endpoint, on=True)


@command(app, "disable", schemas.rest("WebhookEndpoint"))
def disable(endpoint: _Endpoint, yes: Yes = False) -> Shown:
    """Have an endpoint get nothing until it is enabled."""
    ask(f"Send nothing to {endpoint} any more?", yes=yes)
    return _switch(endpoint, on=False)


@command(app, "rotate", schemas.rest("WebhookEndpoint"))
def rotate(endpoint: _Endpoint, yes: Yes = False) -> Shown:
    """Make a new secret; for a day messages are signed with both."""
    engine.acting()
    ask(f"Make a new secret for {endpoint}?", yes=yes)
    made = dict(engine.rest().rotate_webhook_secret(endpoint))
    return Shown(data=made, lines=[f"secret, shown this once: {made['secret']}"])


@command(app, "delete", schemas.rest("WebhookEndpoint"))
def delete(endpoint: _Endpoint, yes: Yes = False) -> Shown:
    """Delete an endpoint with its secrets and deliveries."""
    engine.acting()
    ask(f"Delete {endpoint}?", yes=yes)
    return Shown(
        data=dict(engine.rest().delete_webhook_endpoint(endpoint)), lines=[f"{endpoint} is deleted"]
    )


def _switch(endpoint: str, *, on: bool) -> Shown:
    engine.acting()
    found = dict(engine.rest().update_webhook_endpoint(endpoint, {"enabled": on}))
    return Shown(data=found, lines=[f"{endpoint}: {_stands(found)}"])
