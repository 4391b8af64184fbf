"""The document is right about itself, and the paper insiders-api keeps to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from paper.insiders.core.requests import parse_order, parse_redeem
from tests.paper_insiders import contract
from tests.paper_insiders.harness import (
    OTHER_PROXY,
    PROXY,
    Paper,
    Reply,
    body,
    book,
    redeem_body,
)


def test_every_schema_is_a_schema() -> None:
    for schema in contract.document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_example_has_its_schema() -> None:
    checked = 0
    for _, _, operation in contract.operations():
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for container in [*bodies, *operation["responses"].values()]:
            media = contract.media(container)
            assert media["examples"], "each answer has an example"
            for example in media["examples"].values():
                contract.check(media["schema"], contract.resolve(example)["value"])
                checked += 1
    assert checked > 60


def test_examples_of_requests_are_accepted_by_the_parsers() -> None:
    paths = contract.document()["paths"]
    order = contract.media(paths["/api/trade/buy"]["post"]["requestBody"])["examples"]["fak"]
    parse_order(json.dumps(order["value"]).encode(), "BUY", reads_not_after=True)
    redeem = contract.media(paths["/api/trade/redeem"]["post"]["requestBody"])["examples"]
    parse_redeem(json.dumps(redeem["redeem"]["value"]).encode())


def test_the_table_of_capabilities_has_sixteen_rows_and_keeps_its_rule() -> None:
    lines = contract.document()["info"]["description"].splitlines()
    table = [line.strip("|").split("|") for line in lines if "DEAD |" in line]
    rows = [[cell.strip() for cell in row] for row in table]
    assert len({tuple(row[:4]) for row in rows}) == 16
    for a, b, c, d, again, _, lost, _ in rows:
        assert (again == "never") == (a == "-")
        assert ("void's 200" in lost) == (d == "D")
        assert ("404s" in lost) == (b == "B" and c == "C")
        assert (lost == "never") == (d == "-" and not (b == "B" and c == "C"))


def test_a_checker_that_accepted_anything_would_be_noticed() -> None:
    with pytest.raises(ValidationError):
        contract.check({"$ref": "#/components/schemas/Amount"}, "1e3")
    with pytest.raises(AssertionError):
        contract.check_answer("/api/capabilities", "get", 418, {}, {})


async def test_real_answers_have_the_schema_of_their_route(paper: Paper) -> None:
    codes: set[str | None] = set()

    async def expect(reply: Reply, path: str, method: str = "post") -> Any:
        contract.check_answer(path, method, reply.status, reply.headers, reply.json)
        codes.add(reply.code)
        return reply.json

    buy, sell, redeem = "/api/trade/buy", "/api/trade/sell", "/api/trade/redeem"
    by_key = "/api/trade/orders/by-key/{key}"
    await expect(await paper.post("a"), buy)
    await expect(await paper.post("a"), buy)
    await expect(await paper.post("a", body(size="6")), buy)
    for changes in (
        {"size": "1"},
        {"limitPrice": "0.123"},
        {"limitPrice": "1"},
        {"size": "9000"},
        {"assetId": "5"},
        {"notAfter": "2020-01-01T00:00:00.000Z"},
        {"more": 1},
    ):
        await expect(await paper.post("b", body(**changes)), buy)
    await expect(await paper.post("killed", body(limitPrice="0.1")), buy)
    await expect(await paper.post("sold", body(limitPrice="0.4"), side="sell"), sell)
    await expect(await paper.get("a"), by_key, "get")
    await expect(await paper.get("nobody"), by_key, "get")
    await expect(await paper.void("a"), f"{by_key}/void")
    await expect(await paper.void("v"), f"{by_key}/void")
    await expect(await paper.get("v"), by_key, "get")
    await expect(await paper.post("v"), buy)
    await expect(await paper.ask("GET", "/api/trade/orders/by-key/x"), by_key, "get")
    await expect(await paper.post("r", redeem_body(), side="redeem"), redeem)
    await expect(await paper.post("c"), buy)
    await expect(await paper.post("r", redeem_body(), side="redeem"), redeem)
    for what in ("balance", "positions"):
        path = f"/api/wallets/{{proxy}}/{what}"
        await expect(await paper.ask("GET", f"/api/wallets/{PROXY}/{what}"), path, "get")
        await expect(await paper.ask("GET", f"/api/wallets/X/{what}"), path, "get")
    await paper.put_book(book(payout="1"))
    await expect(await paper.post("closed"), buy)
    await expect(await paper.post("r", redeem_body(), side="redeem"), redeem)
    await expect(await paper.ask("GET", "/api/capabilities"), "/api/capabilities", "get")
    await expect(await paper.ask("GET", "/health"), "/health", "get")
    await paper.notify("PUT", f"/wallets/{OTHER_PROXY}", {"cash": "1", "mode": "forbidden"})
    await expect(await paper.post("d", body(followerProxy=OTHER_PROXY)), buy)
    await paper.notify("PUT", f"/wallets/{OTHER_PROXY}", {"cash": "1", "mode": "closed_only"})
    await expect(await paper.post("d", body(followerProxy=OTHER_PROXY)), buy)
    await paper.notify("PUT", "/capabilities", {"getByKey": False, "void": False})
    await expect(await paper.get("a"), by_key, "get")
    await expect(await paper.void("a"), f"{by_key}/void")
    await paper.fault("rate_limit", ms=1500, times=1)
    limited = await paper.post("e")
    await expect(limited, buy)
    assert limited.headers["Retry-After"] == "2"
    for status, code in ((425, "TOO_EARLY"), (502, "UPSTREAM"), (503, "TRADING_DISABLED")):
        await paper.fault("status", status=status, code=code, times=1)
        await expect(await paper.post("f"), buy)
    reported = contract.document()["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    unseen = {"NOT_FOUND", "METHOD_NOT_ALLOWED", "IN_PROGRESS", "INTERNAL"}
    assert codes - {None} == set(reported) - unseen
