"""Test whatever is wrong with one place of a body: a 400 that names the place, and nothing
changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.control.edge.contract import public_routes
from tests.control import mutations
from tests.control.edge import RunningEdge
from tests.control.mutations import Wrong
from tests.control.requests import Database, count, error_of
from tests.control.test_subscriptions import EVERYTHING
from tests.control.test_triggers import LADDER
from tools.openapi.examples import EXAMPLES
from tradingtools.domain.permissions import PERMISSIONS, Permission

JSON = {"Content-Type": "application/json"}
IDS = {
    "subscriptions": "sub_" + "0" * 32,
    "triggers": "trg_" + "0" * 32,
    "webhook-endpoints": "whk_" + "0" * 32,
    "wallets": "wal_" + "0" * 32,
    "bots": "0" * 12,
    "risk": "kil_" + "0" * 32,
    "engines": "bots-1",
}
MORE: Mapping[str, Mapping[str, Any]] = {
    "CreateSubscription": EVERYTHING,
    "UpdateSubscription": {name: value for name, value in EVERYTHING.items() if name != "shadow"},
    "CreateTrigger": LADDER,
    "UpdateTrigger": {"rungs": LADDER["rungs"]},
}


def _bodies() -> Iterator[tuple[str, list[tuple[str, str, Mapping[str, Any]]]]]:
    """Verb, path and two right bodies of each RPC that takes one."""
    for route in public_routes():
        if not route.takes_body or PERMISSIONS[route.method] is Permission.ADMINISTER:
            continue
        name = route.method.rsplit("/", 1)[1]
        path = "/" + "/".join(
            IDS[route.segments[0]] if segment.startswith("{") else segment
            for segment in route.segments
        )
        shown = EXAMPLES[name]
        yield name, [(route.verb, path, body) for body in (shown, {**shown, **MORE.get(name, {})})]


BODIES = dict(_bodies())
KINDS = {
    "unknown": mutations.unknown_fields,
    "type": mutations.wrong_types,
    "doubled": mutations.doubled_keys,
    "amount": mutations.no_amounts,
}

_SIZES = ("SettleBotOrder",)
"""With sizes of an instrument, whose digits are its own and not those of money."""
CASES = [
    (name, kind)
    for name, bodies in BODIES.items()
    for kind in KINDS
    if kind != "amount"
    or (name not in _SIZES and all(mutations.has_amounts(body) for _, _, body in bodies))
]


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(15, id="short"),
        pytest.param(1000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_wrong_place_is_named_and_nothing_changes(
    edge: RunningEdge, database: Database, name: str, kind: str, examples: int
) -> None:
    before = count(database, "control_change")

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(st.data())
    def judged(data: st.DataObject) -> None:
        verb, path, example = data.draw(st.sampled_from(BODIES[name]))
        wrong: Wrong = data.draw(KINDS[kind](example))
        answer = edge.call(verb, path, content=wrong.text.encode(), headers=JSON)
        status, reason, metadata = error_of(answer)
        assert (status, reason, metadata.get("field")) == (400, wrong.reason, wrong.field)
        if reason == "INVALID_FIELD":
            assert metadata["expected"]

    judged()
    assert count(database, "control_change") == before
