"""The port of plain reads: which RPCs it knows, and what it says when one of them goes wrong."""

from __future__ import annotations

from typing import Any

import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from services.control import reads
from services.control.contract import PUBLIC_SERVICES, public_routes
from services.control.core.tokens import parse_tokens
from services.control.gate import Gate
from services.control.limiter import Limiter, Rates
from tests.control.edge import READ, TOKENS
from tradingtools.domain.permissions import PERMISSIONS, Permission
from tradingtools.settings import SharedSettings
from tradingtools.v1 import control_service_pb2 as pb

_SUBSCRIPTION = "sub_" + "0" * 32


class _Servicer:
    """Answers with what cannot be said in JSON."""

    def __getattr__(self, name: str) -> Any:
        async def run(_request: Any, _context: Any) -> pb.Subscription:
            return pb.Subscription(created_at=Timestamp(seconds=2**62))

        return run


def _reads() -> reads.Reads:
    often = Rates(token=1_000, address=1_000, refused=1_000)
    gate = Gate(public_routes(), parse_tokens(TOKENS), Limiter(often))
    return reads.Reads(gate, {service.full_name: _Servicer() for service in PUBLIC_SERVICES})


def test_it_knows_reads_and_nothing_that_changes_anything() -> None:
    known = _reads().methods
    assert "/tradingtools.v1.ControlService/GetSubscription" in known
    assert {PERMISSIONS[name] for name in known} == {Permission.PUBLIC, Permission.READ}
    names = {name.rpartition("/")[2] for name in known}
    assert not [name for name in names if not name.startswith(("Get", "List", "Check"))]


async def test_an_answer_that_cannot_be_written_is_an_incident() -> None:
    async with (
        reads.serving("127.0.0.1:0", _reads(), SharedSettings()) as port,
        httpx.AsyncClient(timeout=60, trust_env=False) as client,
    ):
        answer = await client.get(
            f"http://127.0.0.1:{port}/subscriptions/{_SUBSCRIPTION}",
            headers={"Authorization": f"Bearer {READ}"},
        )
    assert answer.status_code == 500
    assert answer.json()["message"].startswith("internal error, incident ")
