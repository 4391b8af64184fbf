"""A wallet's cash by JSON-RPC: what is asked, what is summed, and what is no balance."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tradingtools.domain.errors import Unavailable
from tradingtools.venues.polymarket.collateral import Collateral, tokens
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.unreadable import Answers

WALLET = "0x" + "a1" * 20
PUSD, USDC = "0x" + "c0" * 20, "0x" + "3c" * 20


class Node:
    """A node with these answers by token, and what it was asked."""

    def __init__(self, **answers: object) -> None:
        self.requested: list[Any] = []
        self.answers = answers
        self.seen = Answers()
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        http = Http(client, "http://node/secret", name="polygon node")
        self.collateral = Collateral(http, (PUSD, USDC), self.seen)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        requested = json.loads(request.content)
        self.requested.append(requested)
        name = {PUSD: "pusd", USDC: "usdc"}[requested["params"][0]["to"]]
        answer = self.answers[name]
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": requested["id"], **answer})  # type: ignore[dict-item]


def balance(micros: int) -> dict[str, str]:
    return {"result": f"0x{micros:064x}"}


async def test_balances_of_all_tokens_are_the_cash() -> None:
    node = Node(pusd=balance(100_000_000_000), usdc=balance(7))
    assert await node.collateral.of(WALLET) == 100_000_000_007
    assert node.requested[0] == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_call",
        # balanceOf(address), its argument in 32 bytes.
        "params": [{"to": PUSD, "data": "0x70a08231" + "0" * 24 + "a1" * 20}, "latest"],
    }
    assert node.seen.readable()


@pytest.mark.parametrize(
    ("answer", "readable"),
    [
        ({"result": "0x"}, False),
        ({"result": "0x1"}, False),
        ({"result": None}, False),
        ({"result": 5}, False),
        (balance(2**255), False),
        (b"<html>", False),
        ({"error": {"code": -32005, "message": "limit exceeded"}}, True),
    ],
)
async def test_without_one_balance_nothing_is_known(answer: object, readable: bool) -> None:
    node = Node(pusd=balance(1), usdc=answer)
    with pytest.raises(Unavailable) as caught:
        await node.collateral.of(WALLET)
    assert "secret" not in str(caught.value)
    assert node.seen.readable() is readable


@pytest.mark.parametrize("listed", ["", "0x12", f"{PUSD},{PUSD}", PUSD + "0"])
def test_tokens_are_addresses_each_named_once(listed: str) -> None:
    with pytest.raises(ValueError, match="token"):
        tokens(listed)
    assert tokens(f" {PUSD.upper().replace('X', 'x')}, {USDC}") == (PUSD, USDC)
