"""What the adapters ask of the exchanges is what the signer's rules let through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.signer.core import clob_rules, okx_rules
from tradingtools.domain.signing import ClobRequest, OkxRest
from tradingtools.venues.okx import questions, requests
from tradingtools.venues.okx.requests import RestRequest
from tradingtools.venues.polymarket import order_requests

OKX = Path(questions.__file__).parent
AT, AT_MS = "2020-12-08T09:08:57.715Z", 1_607_418_537_715


@pytest.mark.parametrize(
    "requested",
    [
        questions.account_config(),
        questions.balance(),
        questions.positions(),
        questions.open_orders(),
        questions.open_orders("312269865356374016"),
        questions.order_history("SWAP", AT_MS, "312269865356374016"),
        questions.fills(AT_MS),
        questions.fills_history("SPOT", AT_MS, "312269865356374016"),
        requests.cancel_all_after(10, "tradingtools"),
    ],
    ids=lambda requested: requested.path,
)
def test_a_request_of_the_okx_adapter_is_signed(requested: RestRequest) -> None:
    assert requested.signed
    text, _ = okx_rules.rest(
        OkxRest(
            wallet="w", epoch=1, timestamp=AT, method=requested.method, path=requested.path,
            body=requested.body.decode(),
        ),
        AT_MS,
    )  # fmt: skip
    assert text == f"{AT}{requested.method}{requested.path}".encode() + requested.body


def test_every_private_path_of_the_okx_adapter_is_on_the_list() -> None:
    source = "".join(path.read_text() for path in OKX.glob("*.py"))
    paths = set(re.findall(r'"(/api/v5/(?:account|trade|asset|users)/[^"?]+)"', source))
    assert len(paths) > 10
    assert paths <= okx_rules.ALLOWED["GET"] | okx_rules.ALLOWED["POST"]


def test_every_request_of_the_clob_adapter_is_on_the_list() -> None:
    source = Path(order_requests.__file__).read_text()
    requested = re.findall(r'method="([A-Z]+)",\s*path=f?"([^"]+)"', source)
    assert len(requested) > 6
    for method, path in requested:
        whole = path.replace("{venue_order_id}", "0x" + "5f" * 32)
        clob_rules.check_request(
            ClobRequest(
                wallet="w", epoch=1, timestamp=AT_MS // 1000, method=method, path=whole,
                body="" if method == "GET" else "{}",
            ),
            AT_MS,
        )  # fmt: skip
