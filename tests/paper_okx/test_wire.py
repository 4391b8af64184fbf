"""Test OKX's wire: signatures, the window of the clock, limits, deadlines, subscriptions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from paper.okx.core.auth import signature
from paper.okx.core.codes import Refusal
from paper.okx.core.limits import Limit, Limits
from paper.okx.desk import Desk
from tests.paper_okx.crowd import START_MS as NOW
from tests.paper_okx.crowd import exchange
from tests.paper_okx.harness import Live
from tests.paper_okx.raw import Rest, login, sign, socket, stamp

SWAP = "BTC-USDT-SWAP"
ORDER = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1"}
FAR = {**ORDER, "px": "48000"}


@pytest.fixture
def rest(live: Live, request: pytest.FixtureRequest) -> Iterator[Rest]:
    """An account named after the test."""
    name = request.node.name.partition("[")[0] + str(abs(hash(request.node.name)))
    live.account(name)
    live.notify("/marks", instId=SWAP, px="50000")
    live.book(SWAP, "49990", "50010", "1000")
    found = Rest(live, name)
    with found.http:
        yield found
    live.control.delete("/faults")


def test_the_signature_is_the_published_one() -> None:
    secret = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"
    text = "2020-12-08T09:08:57.715ZGET/api/v5/account/balance"
    assert signature(secret, text) == "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"OK-ACCESS-KEY": ""}, "50103"),
        ({"OK-ACCESS-PASSPHRASE": ""}, "50104"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, "50105"),
        ({"OK-ACCESS-SIGN": ""}, "50106"),
        ({"OK-ACCESS-SIGN": "AAAA"}, "50113"),
        ({"OK-ACCESS-TIMESTAMP": ""}, "50107"),
        ({"OK-ACCESS-TIMESTAMP": "1700000000"}, "50112"),
        ({"x-simulated-trading": "1"}, "50101"),
        ({"at": "-31"}, "50102"),
        ({"at": "40"}, "50102"),
    ],
)
def test_who_is_not_believed_is_told_why(rest: Rest, changes: dict[str, str], code: str) -> None:
    if "at" in changes:
        changes = {"at": stamp(float(changes["at"]))}
    answer = rest.ask("GET", "account/balance", **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_a_clock_that_is_a_little_off_is_believed(rest: Rest) -> None:
    assert rest.ask("GET", "account/balance", at=stamp(-28)).status_code == 200


def test_the_query_and_the_body_are_signed(rest: Rest) -> None:
    at = stamp()
    other = sign("secret-of-ann", f"{at}GET/api/v5/account/balance?ccy=BTC")
    answer = rest.ask("GET", "account/balance?ccy=USDT", at=at, **{"OK-ACCESS-SIGN": other})
    assert answer.json()["code"] == "50113"
    assert rest.get("account/balance?ccy=USDT")["data"][0]["details"][0]["ccy"] == "USDT"


def test_a_key_that_may_only_read_trades_nothing(live: Live) -> None:
    live.account("looker", key={"permissions": ["read_only"]})
    with (rest := Rest(live, "looker")).http:
        answer = rest.ask("POST", "trade/order", FAR)
        assert (answer.status_code, answer.json()["code"]) == (401, "50120")
        assert rest.get("account/config")["data"][0]["perm"] == "read_only"


def test_a_demo_key_needs_its_header(live: Live) -> None:
    live.account("demo", key={"demo": True})
    with (rest := Rest(live, "demo")).http:
        assert rest.get("account/balance")["code"] == "50101"
        answer = rest.ask("GET", "account/balance", **{"x-simulated-trading": "1"})
        assert answer.json()["code"] == "0"


def test_orders_are_limited_by_user_and_instrument() -> None:
    at = exchange("ann", "bob")
    desk = Desk(at, Limits(), limited=True)
    bad = {**FAR, "sz": "0.001"}  # refused by its size, but counted

    def sent(name: str, rows: int, now_ms: int, *, op: str = "order", **more: str) -> str:
        try:
            found = desk.run(name, op, [{**bad, **more}] * rows, now_ms, batch=rows > 1)
        except Refusal as refusal:
            return refusal.code
        return str(found[0]["sCode"])

    assert [sent("ann", 1, NOW + n) for n in range(61)] == ["51121"] * 60 + ["50011"]
    # Others, other instruments, other operations and batches count apart.
    assert sent("bob", 1, NOW + 61) == "51121"
    assert sent("ann", 1, NOW + 61, instId="ETH-USDT-SWAP") == "51121"
    assert sent("ann", 1, NOW + 61, op="cancel-order") == "50014"
    assert [sent("ann", 20, NOW + 61) for _ in range(16)] == ["51121"] * 15 + ["50011"]
    assert sent("ann", 1, NOW + 2_000) == "51121"


def test_a_sub_account_is_limited_over_all() -> None:
    at = exchange("ann")
    desk = Desk(at, Limits(), limited=True)
    names = ["BTC-USDT", "ETH-USDT", SWAP, "ETH-USDT-SWAP"]
    batches = [[{**FAR, "instId": name, "sz": "0.0000001"}] * 20 for name in names * 12]
    for rows in batches:
        desk.run("ann", "order", rows, NOW, batch=True)
    desk.run("ann", "order", [{**FAR, "instId": "BTC-USD-SWAP"}] * 20, NOW, batch=True)
    desk.run("ann", "order", [{**FAR, "instId": "BTC-USD-SWAP"}] * 20, NOW, batch=True)
    with pytest.raises(Refusal, match="50061"):
        desk.run("ann", "order", [{**FAR, "instId": "BTC-USD-SWAP"}], NOW, batch=True)


def test_a_window_slides() -> None:
    limits, limit = Limits(), Limit(3, 2_000)
    assert [limits.allows("a", limit, at) for at in (0, 500, 1_000, 1_999)] == [True] * 3 + [False]
    assert limits.allows("a", limit, 2_000)
    assert not limits.allows("a", limit, 2_001)
    assert limits.allows("b", limit, 2_001)
    assert not limits.allows("c", limit, 0, weight=4)


def test_a_request_that_has_expired_is_not_done(live: Live, rest: Rest) -> None:
    late = str(time.time_ns() // 1_000_000 - 1)
    assert rest.post("trade/order", FAR, expTime=late)["code"] == "50036"
    live.notify("/faults", kind="delay", op="order", ms=300)
    soon = str(time.time_ns() // 1_000_000 + 150)
    assert rest.post("trade/order", FAR, expTime=soon)["data"][0]["sCode"] == "51149"
    assert rest.get("trade/orders-pending")["data"] == []


def test_the_dead_mans_switch(live: Live, rest: Rest) -> None:
    rest.order(px="48000", tag="bot1")
    answer = rest.post("trade/cancel-all-after", {"timeOut": "10", "tag": "bot1"})["data"][0]
    assert int(answer["triggerTime"]) - int(answer["ts"]) == 10_000
    again = rest.ask("POST", "trade/cancel-all-after", {"timeOut": "0", "tag": "bot1"})
    assert (again.status_code, again.json()["code"]) == (429, "50011")


def test_a_client_id_is_taken_again_after_a_fill(live: Live, rest: Rest) -> None:
    first = rest.order(clOrdId="again", px="50000")["data"][0]
    assert rest.order(clOrdId="again", px="50000")["data"][0]["sCode"] == "51016"
    live.notify("/prints", instId=SWAP, side="sell", px="49995", sz="1")
    second = rest.order(clOrdId="again", px="48000")["data"][0]
    assert second["sCode"] == "0"
    latest = rest.get(f"trade/order?instId={SWAP}&clOrdId=again")["data"][0]
    assert latest["ordId"] == second["ordId"] != first["ordId"]


def test_pages_follow_by_their_last_id(rest: Rest) -> None:
    ids = [rest.order(px="48000")["data"][0]["ordId"] for _ in range(5)]
    first = rest.get("trade/orders-pending?limit=2")["data"]
    rest_ = rest.get(f"trade/orders-pending?after={first[-1]['ordId']}")["data"]
    assert [row["ordId"] for row in (*first, *rest_)] == ids[::-1]
    newer = rest.get(f"trade/orders-pending?before={ids[2]}")["data"]
    assert [row["ordId"] for row in newer] == [ids[4], ids[3]]


async def test_a_login_that_is_not_believed_is_told_why(live: Live) -> None:
    live.account("door")
    old = str(int(time.time()) - 31)
    cases: list[tuple[dict[str, str], str]] = [
        (login("nobody"), "60005"),
        (login("door", timestamp="soon"), "60004"),
        (login("door", at=old), "60006"),
        (login("door", passphrase="wrong"), "60024"),
        (login("door", sign="AAAA"), "60007"),
    ]
    async with socket(live, "private") as private:
        await private.say("subscribe", {"channel": "account"})
        for arg, _ in cases:
            await private.say("login", arg)
        await private.say("login", login("door"))
        await private.until(lambda one: one.get("event") == "login")
    codes = [one["code"] for one in private.messages]
    assert codes == ["60011", *(code for _, code in cases), "0"]


async def test_what_cannot_be_heard_is_refused(live: Live, rest: Rest) -> None:
    async with socket(live, "private", rest.name) as private:
        await private.say("subscribe", {"channel": "fills"})
        await private.say("subscribe", {"channel": "books", "instId": SWAP})
        await private.say("subscribe", {"channel": "orders"})
        await private.say("dance")
        await private.until(lambda one: one.get("code") == "60012")
    codes = [one["code"] for one in private.messages if one.get("event") == "error"]
    assert codes == ["60029", "60018", "60018", "60012"]


async def test_an_instrument_may_be_named_by_its_number(live: Live, rest: Rest) -> None:
    named = {name: value for name, value in FAR.items() if name != "instId"}
    async with socket(live, "private", rest.name) as private:
        await private.say("order", {**named, "instIdCode": 10459}, id="1")
        answer = await private.until(lambda one: one.get("id") == "1")
    assert answer["data"][0]["sCode"] == "0"
    assert rest.get("trade/orders-pending")["data"][0]["instId"] == SWAP


async def test_a_book_gaps_resets_and_is_quiet(live: Live, rest: Rest) -> None:
    async with socket(live, "public") as public:
        await public.say("subscribe", {"channel": "books", "instId": SWAP})
        first = await public.data("books")

        async def next_update(count: int) -> Any:
            await public.until(lambda _one: len(_updates(public.messages)) >= count)
            return _updates(public.messages)[count - 1]

        live.notify("/books", instId=SWAP, sequence="quiet")
        quiet = await next_update(1)
        assert quiet["seqId"] == quiet["prevSeqId"] == first["seqId"]
        assert quiet["asks"] == quiet["bids"] == []
        live.notify("/books", instId=SWAP, sequence="gap")
        live.book(SWAP, "49989", "50011", "9")
        live.book(SWAP, "49988", "50012", "9")
        assert (await next_update(2))["prevSeqId"] == first["seqId"] + 1
        live.notify("/books", instId=SWAP, sequence="reset")
        reset = await next_update(3)
        assert reset["seqId"] < reset["prevSeqId"]
        live.book(SWAP, "49990", "50010", "1000")
        assert (await next_update(4))["prevSeqId"] == reset["seqId"]


def _in_state(state: str, row: Any) -> bool:
    return bool(row["state"] == state)


def _updates(messages: list[dict[str, Any]]) -> list[Any]:
    return [one["data"][0] for one in messages if one.get("action") == "update"]


async def test_the_end_of_an_instrument_is_told(live: Live, rest: Rest) -> None:
    ending = next(
        row["instId"]
        for row in rest.get("public/instruments?instType=FUTURES")["data"]
        if row["settleCcy"] == "USDT"
    )
    live.notify("/marks", instId=ending, px="50000")
    live.book(ending, "49990", "50010", "1000")
    rest.order(instId=ending, ordType="market", px="")
    rest.order(instId=ending, px="49000")
    async with socket(live, "public") as public:
        await public.say("subscribe", {"channel": "instruments", "instType": "FUTURES"})
        await public.data("instruments")
        for state in ("suspend", "live", "expired"):
            live.notify("/states", instId=ending, state=state)
            await public.data("instruments", partial(_in_state, state))
    assert rest.get("trade/orders-pending")["data"] == []
    assert rest.get("account/positions")["data"] == []
    assert rest.order(instId=ending, px="49000")["data"][0]["sCode"] == "51027"
    listed = rest.get("public/instruments?instType=FUTURES")["data"]
    assert ending not in {row["instId"] for row in listed}
    bills = rest.get("account/bills?type=3")["data"]
    assert [bill["instId"] for bill in bills] == [ending]
    assert live.conserved()


async def test_ping_is_answered(live: Live) -> None:
    async with socket(live, "public") as public:
        await public.socket.send("ping")
        await public.say("subscribe", {"channel": "mark-price", "instId": SWAP})
        await public.data("mark-price")


async def test_a_connection_over_which_frames_go_is_kept_and_a_silent_one_is_closed(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of the first one says nothing after it has subscribed."""
    monkeypatch.setattr("paper.okx.sockets.IDLE_S", 0.3)
    async with socket(live, "public") as busy, socket(live, "public") as silent:
        await busy.say("subscribe", {"channel": "books", "instId": SWAP})
        price = 50_000
        while not silent.socket.close_code:
            price += 1
            live.book(SWAP, str(price), str(price + 10), "5")
            await asyncio.sleep(0.02)
        assert silent.socket.close_code == 4004
        before = len(busy.messages)
        live.book(SWAP, "50000", "50010", "7")
        await busy.until(lambda _: len(busy.messages) > before)
