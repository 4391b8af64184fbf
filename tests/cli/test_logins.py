"""`tt` for people: the first admin, logins that last, and what each role may do."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import httpx
import msgspec

from tests.cli.people import PASSWORD, Person, made_person
from tests.cli.world import World


def test_the_first_admin_is_made_once_and_makes_the_others(admin: Person, tmp_path: Path) -> None:
    again = admin.world.tt("users", "bootstrap", "eve")
    assert (again.status, "there is an admin" in again.err) == (5, True)
    ann = made_person(admin, tmp_path, "ann", "--role", "operator", "--exchange", "okx")
    who = ann.tt("whoami", "--json").json
    assert (who["id"], who["role"], who["exchanges"]) == ("@ann", "operator", ["okx"])
    assert "operator of okx" in ann.tt("whoami").out
    assert ann.tt("users", "list").status == 4
    assert "ann" in admin.tt("users", "list").out
    # Operators' calls are his, too, and those about copies are Polymarket's.
    assert ann.tt("halt", "list").status == 4
    assert admin.tt("halt", "list").status == 0
    edited = admin.tt("users", "edit", "ann", "--exchange", "none", "--json")
    assert edited.json["exchanges"] == []
    assert ann.tt("whoami", "--json").json["exchanges"] == []
    assert admin.tt("users", "disable", "ann", "--yes").status == 0
    assert ann.tt("whoami").status == 4
    reported = admin.tt("users", "events", "ann", "--json").json
    assert [one["what"] for one in reported][:2] == ["changed", "changed"]


def test_what_admins_are_answered_is_as_their_schemas_say(running: World, admin: Person) -> None:
    state = admin.state
    running.json("users", "create", "cas", "--role", "viewer", **state)
    running.json("users", "list", **state)
    running.json("users", "show", "cas", **state)
    running.json("users", "edit", "cas", "--role", "operator", **state)
    running.json("users", "disable", "cas", "--yes", **state)
    running.json("users", "enable", "cas", **state)
    running.json("users", "reset-password", "cas", "--yes", **state)
    running.json("users", "events", **state)
    running.json("whoami", **state)
    assert running.tt("users", "edit", "cas", **state).status == 2
    assert running.tt("users", "show", "nobody", **state).status == 3
    assert running.tt("users", "create", "dan", "--role", "boss", **state).status == 2
    last = running.tt("users", "disable", "root", "--yes", **state)
    assert (last.status, "the last admin stays one" in last.err) == (5, True)


def test_a_login_lasts_by_refreshing_and_ends_at_logout(admin: Person, tmp_path: Path) -> None:
    ben = made_person(admin, tmp_path, "ben", "--role", "viewer")
    first = ben.make_it_old()
    assert ben.tt("whoami", "--json").json["id"] == "@ben"
    second = ben.logins.kept()
    assert second is not None
    assert second.refresh_token != first.refresh_token
    assert ben.logins.path.stat().st_mode & 0o777 == 0o600
    out = ben.tt("logout")
    assert (out.status, out.out) == (0, "ben is logged out\n")
    assert admin.world.json("logout", **ben.state)["user"] == ""
    assert ben.tt("whoami").status == 4
    ben.logins.path.write_bytes(msgspec.json.encode(second))
    gone = ben.tt("whoami")
    assert gone.status == 4


def test_calls_at_once_refresh_once(admin: Person, tmp_path: Path) -> None:
    """Two refreshes with one token would log the family out."""
    cid = made_person(admin, tmp_path, "cid", "--role", "viewer")
    cid.make_it_old()
    tokens: list[str] = []
    begin = threading.Barrier(4)

    def ask() -> None:
        begin.wait()
        tokens.append(cid.logins.access_token())

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in askers:
        caller.start()
    for caller in askers:
        caller.join()
    assert (len(tokens), len(set(tokens))) == (4, 1)
    assert cid.tt("whoami").status == 0


def test_a_session_that_is_over_says_so_and_is_forgotten(admin: Person, tmp_path: Path) -> None:
    dot = made_person(admin, tmp_path, "dot", "--role", "viewer")
    dot.make_it_old()
    assert admin.tt("users", "disable", "dot", "--yes").status == 0
    said = dot.tt("whoami")
    assert (said.status, "tt login" in said.err) == (4, True)
    assert dot.logins.kept() is None


def test_a_file_that_others_can_read_is_not_used(admin: Person, tmp_path: Path) -> None:
    fay = made_person(admin, tmp_path, "fay", "--role", "viewer")
    fay.logins.path.chmod(0o644)
    said = fay.tt("whoami")
    assert (said.status, "others can read" in said.err) == (4, True)


def test_tokens_given_by_hand_come_before_a_login(running: World, admin: Person) -> None:
    who = running.json("whoami", XDG_STATE_HOME=str(admin.home))
    assert (who["id"], who["role"]) == ("backend", "")


def test_a_password_is_never_in_what_is_said(admin: Person, tmp_path: Path) -> None:
    wrong = Person(admin.world, tmp_path).tt("login", "root", "--stdin", stdin="a wrong guess\n")
    assert wrong.status == 4
    assert "a wrong guess" not in wrong.out + wrong.err
    nobody = Person(admin.world, tmp_path).tt("login", "root")
    assert (nobody.status, "--stdin" in nobody.err) == (2, True)
    kept = admin.logins.path.read_text()
    assert PASSWORD not in kept
    assert json.loads(kept)["user"] == "root"


def test_a_stream_does_not_outlive_its_user(admin: Person, tmp_path: Path) -> None:
    gil = made_person(admin, tmp_path, "gil", "--role", "viewer")
    url = f"{admin.world.edge.url}/events/stream"
    shown = {"Authorization": f"Bearer {gil.logins.access_token()}"}
    with httpx.Client(timeout=60, trust_env=False) as client:
        with client.stream("GET", url, headers=shown) as stream:
            assert stream.status_code == 200
            lines = stream.iter_raw()
            next(lines)
            assert admin.tt("users", "disable", "gil", "--yes").status == 0
            with contextlib.suppress(httpx.RemoteProtocolError):
                # It ends after the life of a stream, and is not opened again.
                list(lines)
        assert client.get(url, headers=shown).status_code == 401
