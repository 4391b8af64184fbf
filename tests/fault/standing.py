"""Describe a run that did not come to rest, and keep the evidence of one that failed.

Before it: a workload that waited in vain, or a judge that found something. After it: a person, who
must be able to tell a backlog from a stall without having been there.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from launcher import embedded
from tests.fault.rig import Rig

_ANSWER_SECONDS = 5.0
_DUMP_SECONDS = 120
_STANDING = """
with wanted as (select %s::text as leader_tx),
unresolved as (
    select o.state, count(*) as n,
           round(extract(epoch from clock_timestamp() - min(o.created_at))) as oldest_s,
           round(extract(epoch from min(o.next_check_at) - clock_timestamp())) as first_due_s
    from orders o where o.state in ('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN', 'DEAD')
    group by o.state)
select jsonb_build_object(
    'decided', (select count(*) from decision join wanted using (leader_tx)),
    'its orders', (select jsonb_agg(jsonb_build_array(
            o.state, o.reason, 'attempt ' || o.attempt, 'not founds ' || o.not_found_count,
            'due in ' || round(extract(epoch from o.next_check_at - clock_timestamp())) || ' s'))
        from orders o join wanted using (leader_tx)),
    'unresolved', (select jsonb_object_agg(u.state, to_jsonb(u) - 'state') from unresolved u),
    'records without rows', (select jsonb_build_object(
            'n', count(*),
            'oldest_s', round(extract(epoch from clock_timestamp() - min(committed_at))),
            'set_aside', count(set_aside))
        from journal where rows_built_at is null),
    'breaker', (select jsonb_agg(jsonb_build_array(
            b.state, b.openings, b.prober, b.reason,
            round(b.retry_at_ms / 1000.0 - extract(epoch from clock_timestamp())))) from breaker b),
    'halts', (select jsonb_agg(jsonb_build_array(h.scope, h.mode, h.reason)) from halt h),
    'leases', (select jsonb_object_agg(l.role, jsonb_build_array(
            l.owner, l.epoch, round(extract(epoch from l.expires_at - clock_timestamp()), 1)))
        from partition_lease l),
    'routed to', (select cursor from consumer_cursor where stream = 'leader_trades' limit 1),
    'quarantined', (select count(*) from dead_letter)) as standing
"""


async def standing(made: Rig, leader_tx: str = "") -> str:
    """Where everything stands that a fresh trade could be waiting for, as JSON in one line.

    Args:
        made: where it waits; its database and insiders-api may be away, which is said then.
        leader_tx: of the trade; none: whatever is waited for.
    """
    try:
        rows = await asyncio.to_thread(made.world.sql, _STANDING, leader_tx)
        reported: dict[str, Any] = rows[0]["standing"]
    except psycopg.OperationalError as error:
        reported = {"database": str(error).strip()}
    reported["put"] = made.world.upstream.trades.last
    reported["running"] = sorted(made.world.pids())
    reported["restarts"] = dict(made.restarts)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reported["promised"] = await made.world.control("GET", "/capabilities")
    except (aiohttp.ClientError, TimeoutError) as error:
        reported["promised"] = repr(error)
    return json.dumps(reported)


def keep(made: Rig, target: Path) -> None:
    """Copy the logs of every process and insiders-api's store, and dump the database.

    Args:
        made: still running.
        target: a directory; made when it is not there.

    Raises:
        subprocess.CalledProcessError: the database cannot be dumped; the rest is there.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in made.world.directory.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    program = embedded.postgres_programs() / "pg_dump"
    subprocess.run(
        [program, "--file", target / "database.sql", made.world.database_url],
        check=True, timeout=_DUMP_SECONDS,
    )  # fmt: skip
