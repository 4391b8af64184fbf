"""People who use `tt` on an edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import msgspec

from cli.logins import Logins, StoredSession
from tests.cli.world import Said, World, call

PASSWORD = "a long password of hers"


class State(TypedDict):
    """Names of the environment."""

    TT_TOKEN: str
    TT_OPERATOR_TOKEN: str
    XDG_STATE_HOME: str


class Person:
    """A shell of somebody without any token."""

    def __init__(self, world: World, home: Path) -> None:
        self.world = world
        self.home = home
        self.environ = {
            "TT_URL": world.edge.url,
            "TT_OPERATOR": world.environ["TT_OPERATOR"],
            "XDG_STATE_HOME": str(home),
        }

    @property
    def logins(self) -> Logins:
        """Return what his `tt` keeps."""
        return Logins.at(self.world.edge.url, self.environ)

    def tt(self, *arguments: str, stdin: str = "") -> Said:
        """Call `tt`."""
        return call(*arguments, environ=self.environ, stdin=stdin)

    def log_in(self, name: str, *lines: str) -> Any:
        """Log in, and return what it says."""
        typed = "".join(f"{line}\n" for line in lines)
        return self.world.json("login", name, "--stdin", stdin=typed, **self.state)

    @property
    def state(self) -> State:
        """Return what makes a call of the world this person's."""
        return State(TT_TOKEN="", TT_OPERATOR_TOKEN="", XDG_STATE_HOME=str(self.home))

    def make_it_old(self) -> StoredSession:
        """Have the access token end within the minute; return what was kept."""
        kept = self.logins.kept()
        assert kept is not None
        old = msgspec.structs.replace(kept, expires_s=0.0)
        self.logins.path.write_bytes(msgspec.json.encode(old))
        return kept


def made_person(admin: Person, home: Path, name: str, *options: str) -> Person:
    """Return a user who has logged in."""
    said = admin.tt("users", "create", name, *options, "--json")
    assert said.status == 0, said
    person = Person(admin.world, home)
    person.log_in(name, said.json["oneTimePassword"], PASSWORD)
    return person
