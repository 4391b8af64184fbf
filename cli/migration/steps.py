"""Each step of a migration on the engine; every one of them may be repeated.

A create has its key, an adoption its request id, both made of batch and old id: whoever is killed
and begins again makes nothing twice.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from cli import engine
from cli.core.migration import Line, Plan, Position
from cli.errors import Failure, Status
from cli.migration.journal import Journal
from tradingtools.domain.money import parse_exact

Json = dict[str, Any]
_GROUPS = ("sizing", "limits", "filters", "exits", "triggers")


class Difference(msgspec.Struct, rename="camel", kw_only=True):
    """Where the engine has something else than the plan."""

    old_id: str
    subscription_id: str
    what: str
    wanted: str
    found: str


def apply(plan: Plan, journal: Journal) -> Iterator[str]:
    """Create what the plan says and make positions lots of it; tells each step."""
    if not journal.exists:
        journal.add(step="plan", old="", plan=msgspec.to_builtins(plan))
    created = journal.last("created")
    for line in plan.lines:
        if line.verdict != "CREATED":
            continue
        done = created.get(line.old_id)
        identifier = done["subscription"] if done else _create(line, journal)
        yield f"{line.old_id} is {identifier}"
        for position in line.positions:
            _adopt(line, identifier, position, journal)
    journal.add(step="applied", old="")


def _create(line: Line, journal: Journal) -> str:
    key = _key(journal.batch, line.old_id)
    body: Any = line.body
    made = engine.rest().create_subscription(body, idempotency_key=key)
    if made["state"] == "SUBSCRIPTION_STATE_DELETED":
        raise Failure(
            f"{line.old_id} was migrated as {made['id']} and deleted since", Status.CONFLICT,
            "the journal of its batch is elsewhere (--journal), or somebody has deleted it",
        )  # fmt: skip
    journal.add(step="created", old=line.old_id, subscription=made["id"], active=line.active)
    return made["id"]


def _adopt(line: Line, subscription: str, position: Position, journal: Journal) -> None:
    engine.operate(
        "AdoptLot",
        subscription_id=subscription,
        condition_id=position.condition_id,
        asset_id=position.asset_id,
        shares_micros=parse_exact(position.size),
        cost_micros=parse_exact(position.cost),
        evidence=position.evidence,
        operator=getpass.getuser(),
        request_id=_key(journal.batch, line.old_id, position.asset_id),
    )


def resume(journal: Journal) -> Iterator[str]:
    """Resume those that were active."""
    for old, step in journal.last("created").items():
        if step["active"]:
            engine.rest().resume_subscription(step["subscription"])
            yield f"{old}: {step['subscription']} is active"
    journal.add(step="resumed", old="")


def roll_back(journal: Journal) -> Iterator[str]:
    """Let positions leave their lots, and delete what was created; shares stay in the wallets."""
    plan = planned(journal)
    created = journal.last("created")
    for line in plan.lines:
        step = created.get(line.old_id)
        if step is None:
            # It may have been created, and killed before that was written down: then this finds it.
            if line.verdict != "CREATED":
                continue
            step = {"subscription": _found_again(line, journal)}
        for position in line.positions:
            engine.operate(
                "AdoptLot", subscription_id=step["subscription"],
                condition_id=position.condition_id, asset_id=position.asset_id, shares_micros=0,
                cost_micros=0, evidence=f"batch {journal.batch} is taken back",
                operator=getpass.getuser(),
                request_id=_key(journal.batch, line.old_id, position.asset_id, "back"),
            )  # fmt: skip
        engine.rest().delete_subscription(step["subscription"])
        yield f"{line.old_id}: {step['subscription']} is deleted"
    journal.add(step="rolled back", old="")


def _found_again(line: Line, journal: Journal) -> str:
    body: Any = line.body
    key = _key(journal.batch, line.old_id)
    return engine.rest().create_subscription(body, idempotency_key=key)["id"]


def verify(journal: Journal) -> Iterator[Difference]:
    """Compare all of a batch with the engine, to the micro."""
    plan = planned(journal)
    created = journal.last("created")
    resumed = any(step["step"] == "resumed" for step in journal.steps())
    for line in plan.lines:
        if line.verdict != "CREATED":
            continue
        step = created.get(line.old_id)
        if step is None:
            yield Difference(old_id=line.old_id, subscription_id="", what="subscription",
                             wanted="there is one", found="none")  # fmt: skip
            continue
        yield from _verified(line, step["subscription"], resumed=resumed)


def _verified(line: Line, identifier: str, *, resumed: bool) -> Iterator[Difference]:
    found: Json = dict(engine.rest().get_subscription(identifier))

    def differs(what: str, wanted: object, there: object) -> Iterator[Difference]:
        if wanted != there:
            yield Difference(old_id=line.old_id, subscription_id=identifier, what=what,
                             wanted=str(wanted), found=str(there))  # fmt: skip

    state = "ACTIVE" if resumed and line.active else "PAUSED"
    yield from differs("state", f"SUBSCRIPTION_STATE_{state}", found["state"])
    yield from differs("follower", line.body["follower"], found["follower"])
    yield from differs("leader", line.body["leader"], found["leader"])
    for group in _GROUPS:
        there = found.get(group, {})
        for name, wanted in line.body.get(group, {}).items():
            yield from differs(f"{group}.{name}", wanted, there.get(name))
    lots = {lot["assetId"]: lot for lot in engine.rest().all_subscription_positions(identifier)}
    for position in line.positions:
        lot = lots.get(position.asset_id)
        held = (lot["size"], lot["cost"]) if lot is not None else ("0", "0")
        yield from differs(f"position {position.asset_id}", (position.size, position.cost), held)


def planned(journal: Journal) -> Plan:
    """Return the plan that a batch carries out. Raises Failure: there is no such batch."""
    journal.open()
    for step in journal.steps():
        if step["step"] == "plan":
            return msgspec.convert(step["plan"], Plan)
    raise Failure(f"the journal of {journal.batch} has no plan: apply it again", Status.NOT_FOUND)


def _key(*parts: str) -> str:
    return "mig-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
