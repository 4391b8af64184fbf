"""People log in at the console's server; their tokens stay on its side and last by refreshing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.admin import Admin
from tests.console.facts import Facts
from tests.console.world import Seen, Served, go

PASSWORD = "a long password of hers"
_names = (f"person-{number}" for number in itertools.count(1))


class Person:
    """Somebody with a session."""

    def __init__(self, served: Served, admin: Admin, role: str, *exchanges: str) -> None:
        self.name = next(_names)
        self.client = served.client()
        once = admin.create(self.name, role, *exchanges)
        login = {"user": self.name, "password": once}
        requested = self.client.post("session", json=login)
        assert requested.status_code == 400
        assert requested.json()["details"][0]["metadata"]["field"] == "newPassword"
        self.answer = self.client.post("session", json=login | {"newPassword": PASSWORD})
        assert self.answer.status_code == 200, self.answer.text
        self.client.headers["console-session"] = self.answer.json()["secret"]


Make = Callable[..., Person]


@pytest.fixture
def make(served: Served, admin: Admin) -> Iterator[Make]:
    """Makes people, and ends their connections."""
    made: list[Person] = []

    def person(role: str, *exchanges: str) -> Person:
        made.append(Person(served, admin, role, *exchanges))
        return made[-1]

    yield person
    for one in made:
        one.client.close()


def test_a_session_of_a_person_shows_no_token(served: Served, make: Make) -> None:
    ann = make("operator", "okx")
    reported = ann.client.get("session").json()
    assert reported["rest"] == {
        "id": f"@{ann.name}", "scope": "manage", "role": "operator", "exchanges": ["okx"],
    }  # fmt: skip
    assert reported["operator"] == {"id": f"@{ann.name}", "scope": "operate"}
    seen = ann.answer.text + ann.answer.headers["set-cookie"]
    assert "eyJ" not in seen
    assert "ttr_" not in seen
    assert ann.client.get("api/wallets").status_code == 200
    # Copies are Polymarket's.
    assert ann.client.get("api/subscriptions").status_code == 403
    assert ann.client.post("operators/ListHalts", json={}).status_code == 403
    for path in (served.directory / "people").iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert b"ttr_" not in path.read_bytes()


def test_the_log_tells_an_operator_what_is_of_his_exchanges(make: Make, facts: Facts) -> None:
    """Of bots and of copies; what is about the whole engine is told who is of all exchanges."""
    facts.trade(300)
    people = {
        "okx": make("operator", "okx"), "polymarket": make("operator", "polymarket"),
        "none": make("operator"), "viewer": make("viewer"),
    }  # fmt: skip
    requested = "api/events?limit=1000&types=bot.*,risk.*,leader.*"
    deadline = time.monotonic() + 60
    while True:
        reported = {
            name: {one["type"].partition(".")[0] for one in _events(person, requested)}
            for name, person in people.items()
        }
        if reported["viewer"] == {"bot", "risk", "leader"}:
            break
        assert time.monotonic() < deadline, reported
    assert reported["okx"] == {"bot"}
    assert reported["polymarket"] == {"leader"}
    assert reported["none"] == set()
    okx = people["okx"].client
    with okx.stream("GET", "api/events/stream", headers={"last-event-id": "0"}) as stream:
        for line in stream.iter_lines():
            kind = line.removeprefix("event: ")
            if kind != line:
                # What he is told first of the whole log, which has begun with copies.
                assert kind.startswith(("bot.", "credentials."))
                break


def _events(person: Person, path: str) -> list[Any]:
    answer = person.client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json().get("events", [])
    return found


def test_a_viewer_changes_nothing(make: Make) -> None:
    ben = make("viewer")
    assert ben.client.get("session").json()["rest"]["scope"] == "read"
    assert ben.client.post("operators/ListHalts", json={}).status_code == 200
    halt = {"scope": "HALT_SCOPE_GLOBAL", "mode": "HALT_MODE_HALTED", "reason": "x"}
    assert ben.client.post("operators/SetHalt", json=halt).status_code == 403
    assert ben.client.post("api/risk/kill-switch", json={"reason": "x"}).status_code == 403


def test_a_disabled_user_has_no_session_any_more(make: Make, admin: Admin) -> None:
    ben = make("viewer")
    admin.disable(ben.name)
    for path in ("session", "api/wallets"):
        assert ben.client.get(path).status_code == 401


def test_a_logout_ends_the_session_at_the_edge(make: Make, admin: Admin) -> None:
    ann = make("viewer")
    assert len(admin.sessions(ann.name)) == 1
    assert ann.client.request("DELETE", "session").status_code == 200
    assert admin.sessions(ann.name) == []
    assert ann.client.get("api/wallets").status_code == 401


@pytest.mark.parametrize(
    ("login", "status"),
    [
        ({"user": "nobody", "password": "x"}, 401),
        ({"user": "nobody", "password": ["x"]}, 400),
        ({"user": "nobody"}, 400),
        ({"user": "No Body", "password": "x"}, 400),
    ],
)
def test_a_login_that_is_none_begins_no_session(
    served: Served, login: dict[str, Any], status: int
) -> None:
    with served.client() as client:
        answer = client.post("session", json=login)
        assert answer.status_code == status, answer.text
        assert "set-cookie" not in answer.headers


@pytest.fixture
def ada(browser: Browser, served: Served, admin: Admin) -> Iterator[Page]:
    """The page of an admin who has logged in by name and password."""
    once = admin.create("ada", "admin")
    context = browser.new_context()
    page = context.new_page()
    seen = Seen(page, served.url.removesuffix("console/"))
    page.goto(served.url)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(once)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    yield page
    assert seen.problems == []
    context.close()


def test_an_admin_lets_people_in_and_out(
    ada: Page, served: Served, admin: Admin, facts: Facts, pictures: Path
) -> None:
    go(ada, "system")
    ada.get_by_role("button", name="Add a person").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_label("Name").fill("carl")
    dialog.get_by_label("Role").select_option("ROLE_OPERATOR")
    dialog.get_by_label("okx").check()
    dialog.get_by_role("button", name="Add", exact=True).click()
    once = ada.locator("[role=status] code").inner_text()
    row = ada.get_by_role("region", name="People").get_by_role("row", name="carl")
    expect(row).to_contain_text("operatorokx")
    ada.screenshot(path=pictures / "people.png", full_page=True)
    login = {"user": "carl", "password": once, "newPassword": PASSWORD}
    with served.client() as client:
        told = client.post("session", json=login).json()
        assert (told["rest"]["role"], told["rest"]["exchanges"]) == ("operator", ["okx"])
        ada.get_by_role("button", name="I have kept it").click()
        row.get_by_role("button", name="Disable").click()
        ada.get_by_role("dialog").get_by_role("button", name="Disable").click()
        expect(row.locator(".badge", has_text="disabled")).to_be_visible()
        client.headers["console-session"] = told["secret"]
        assert client.get("session").status_code == 401
    mine = ada.get_by_role("region", name="My sessions")
    with served.client() as client:
        client.post("session", json={"user": "ada", "password": PASSWORD}).raise_for_status()
        mine.get_by_role("button", name="End").click()
        ada.get_by_role("dialog").get_by_role("button", name="End it").click()
        expect(mine.get_by_role("button", name="End")).to_have_count(0)
    assert len(admin.sessions("ada")) == 1
