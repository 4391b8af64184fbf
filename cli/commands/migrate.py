"""`tt migrate`: bring subscriptions of an earlier engine over."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import yaml

from cli import engine, schemas
from cli.command import Yes, ask, command, noun
from cli.core.mapping import MappingError
from cli.core.migration import Plan, followed, plan
from cli.core.migration_report import Cost, cost, markdown
from cli.core.words import moment
from cli.errors import Failure, Status
from cli.migration import steps
from cli.migration.journal import Journal, batch_of, folder
from cli.migration.source import read
from cli.output import Json, Shown
from tradingtools.domain.money import MICROS, parse_exact

app = noun("Bring subscriptions of an earlier engine over (docs/migration.md).")
_Journal = Annotated[
    str, typer.Option("--journal", help="Where batches are written down.", show_default=False)
]
_Batch = Annotated[str, typer.Argument(metavar="BATCH", help="As `tt migrate v1 --apply` told it.")]


class Migration(msgspec.Struct, rename="camel", kw_only=True):
    """A plan, and what was done of it."""

    plan: Plan
    cost: Cost | None
    batch: str
    applied: bool


class Batch(msgspec.Struct, rename="camel", kw_only=True):
    """A batch and the steps that were done."""

    batch: str
    steps: list[str]


class Verification(msgspec.Struct, rename="camel", kw_only=True):
    """A batch beside the engine."""

    batch: str
    subscriptions: int
    positions: int
    differences: list[steps.Difference]


@command(app, "v1", schemas.own(__name__, "Migration"))
def v1(
    source: Annotated[
        str, typer.Option("--from", help="FILE.json, FILE.csv or postgresql://USER@...")
    ],
    mapping: Annotated[str, typer.Option("--mapping", help="FILE.yaml: what is what.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it, not only say it.", show_default=False)
    ] = False,
    plan_hash: Annotated[
        str, typer.Option("--plan", help="With --apply: the hash of the plan that was looked at.")
    ] = "",
    days: Annotated[
        int, typer.Option("--days", min=0, max=90, help="Say what following would have cost.")
    ] = 0,
    report: Annotated[
        str, typer.Option("--report", help="Folder for plan.md and plan.json, too.")
    ] = "",
    journal: _Journal = "",
) -> Shown:
    """Say what becomes of each subscription; with --apply create them, paused.

    May be repeated at will: what is there already is not made again.
    """
    rule, olds = _mapping(mapping), read(source, str(_mapping(mapping).get("query", "")))
    try:
        made = plan(rule, olds)
    except MappingError as error:
        raise Failure(f"--mapping {mapping}: {error}", Status.USAGE) from None
    known = _cost(made, rule, olds, days) if days else None
    batch = batch_of(_folder(journal), made.name, made.hash)
    reported = Migration(plan=made, cost=known, batch=batch.batch, applied=apply)
    lines = markdown(made, known)
    if report:
        _write(Path(report), reported, lines)
    if apply:
        if plan_hash != made.hash:
            raise Failure(
                f"the plan is {made.hash} by now, and not {plan_hash or '(none was named)'}",
                Status.CONFLICT, "look at it again, then name its hash with --plan",
            )  # fmt: skip
        engine.acting()
        done = list(steps.apply(made, batch))
        lines = [
            *done, f"batch {batch.batch}: {len(done)} are there, paused",
            f"look: tt migrate verify {batch.batch}", f"then: tt migrate resume {batch.batch}",
        ]  # fmt: skip
    return Shown(data=msgspec.to_builtins(reported), lines=lines)


@command(app, "resume", schemas.own(__name__, "Batch"))
def resume(batch: _Batch, journal: _Journal = "", yes: Yes = False) -> Shown:
    """Resume those of a batch that were active: they copy from now on. v1 has to be off."""
    found = Journal(_folder(journal), batch)
    found.open()
    engine.acting()
    ask(f"Resume batch {batch}? v1 must not copy any more, or everything is bought twice.", yes=yes)
    return _done(batch, list(steps.resume(found)))


@command(app, "rollback", schemas.own(__name__, "Batch"))
def rollback(batch: _Batch, journal: _Journal = "", yes: Yes = False) -> Shown:
    """Take a batch back: its subscriptions are deleted, its positions stay in the wallets."""
    found = Journal(_folder(journal), batch)
    found.open()
    engine.acting()
    ask(f"Delete all that batch {batch} has made?", yes=yes)
    return _done(batch, list(steps.roll_back(found)))


@command(app, "verify", schemas.own(__name__, "Verification"))
def verify(batch: _Batch, journal: _Journal = "") -> Shown:
    """Compare a batch with the engine to the micro. Exits with 1 where something differs."""
    found = Journal(_folder(journal), batch)
    desired = [line for line in steps.planned(found).lines if line.verdict == "CREATED"]
    reported = Verification(
        batch=batch,
        subscriptions=len(desired),
        positions=sum(len(line.positions) for line in desired),
        differences=list(steps.verify(found)),
    )
    lines = [
        f"{one.old_id} {one.subscription_id}: {one.what} is {one.found}, wanted {one.wanted}"
        for one in reported.differences
    ]
    lines.append(
        f"{reported.subscriptions} subscriptions and {reported.positions} positions,"
        f" {len(reported.differences)} differences"
    )
    return Shown(
        data=msgspec.to_builtins(reported), lines=lines,
        status=Status.NOT_WELL if reported.differences else Status.OK,
    )  # fmt: skip


def _done(batch: str, done: list[str]) -> Shown:
    reported = Batch(batch=batch, steps=done)
    return Shown(data=msgspec.to_builtins(reported), lines=[*done, f"batch {batch}: {len(done)}"])


def _folder(given: str) -> Path:
    return Path(given) if given else folder()


def _mapping(path: str) -> Json:
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Failure(f"--mapping {path}: {' '.join(str(error).split())}", Status.USAGE) from None
    if not isinstance(found, dict):
        raise Failure(f"--mapping {path}: expected a mapping", Status.USAGE)
    return found


def _write(directory: Path, reported: Migration, lines: list[str]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "plan.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
        text = json.dumps(msgspec.to_builtins(reported), indent=2)
        (directory / "plan.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"--report {directory}: {error.strerror}", Status.USAGE) from None


def _cost(made: Plan, rule: Json, olds: list[Json], days: int) -> Cost:
    before = followed(rule, olds)
    after = [line.body for line in made.lines if line.verdict == "CREATED"]
    return cost(before, after, _buys({one["leader"] for one in before}, days), days)


def _buys(leaders: set[str], days: int) -> dict[str, list[int]]:
    """Return what the leaders' buying transactions were worth, micros, as far as the log goes."""
    since = datetime.now(UTC) - timedelta(days=days)
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    at: int | None = 0
    while at is not None:
        page = engine.rest().list_event_page(after=at, types="leader.traded", limit=1000)
        for event in page["events"]:
            data = event.get("data", {})
            if data.get("leader") in leaders and data.get("side") == "BUY":
                if moment(event.get("time", "")) < since:
                    continue
                worth = parse_exact(data["size"]) * parse_exact(data["price"]) // MICROS
                sums[data["leader"], data["leaderTx"]] += worth * int(data["count"])
        at = int(page["nextAfter"]) if "nextAfter" in page else None
    found: defaultdict[str, list[int]] = defaultdict(list)
    for (leader, _), worth in sums.items():
        found[leader].append(worth)
    return found
