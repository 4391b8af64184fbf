"""People log in at the console's server; their tokens stay on its side and last by refreshing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.console.admin import Admin
from tests.console.facts import Facts
from tests.console.world import Served

PASSWORD = "a long password of hers"
_names = (f"person-{number}" for number in itertools.count(1))


class Person:
    """Somebody with a session."""

    def __init__(self, served: Served, admin: Admin, role: str, *exchanges: str) -> None:
        self.name = next(_names)
        self.client = served.client()
        once = admin.create(self.name, role, *exchanges)
        login = {"user": self.name, "password": once}
        asked = self.client.post("session", json=login)
        assert asked.status_code == 400
        assert asked.json()["details"][0]["metadata"]["field"] == "newPassword"
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
    told = ann.client.get("session").json()
    assert told["rest"] == {
        "id": f"@{ann.name}", "scope": "manage", "role": "operator", "exchanges": ["okx"],
    }  # fmt: skip
    assert told["operator"] == {"id": f"@{ann.name}", "scope": "operate"}
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
    asked = "api/events?limit=1000&types=bot.*,risk.*,leader.*"
    deadline = time.monotonic() + 60
    while True:
        told = {
            name: {one["type"].partition(".")[0] for one in _events(person, asked)}
            for name, person in people.items()
        }
        if told["viewer"] == {"bot", "risk", "leader"}:
            break
        assert time.monotonic() < deadline, told
    assert told["okx"] == {"bot"}
    assert told["polymarket"] == {"leader"}
    assert told["none"] == set()
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
