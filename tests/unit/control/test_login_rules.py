"""Rules of logins as pure functions: keys over time, access tokens, guesses, roles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.control.auth.tokens import person
from services.control.users import access, keys
from services.control.users.throttle import (
    MAX_OF_NAME,
    MAX_OF_NETWORK,
    MOST_OF_BOTH,
    WINDOW_S,
    Throttle,
)
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import PERMISSIONS, ROLES, Permission, Role

HERE = access.Deployment(b"\x05" * 32, "here")
OTHER_KEYS = access.Deployment(b"\x06" * 32, "here")
OTHER_NAME = access.Deployment(b"\x05" * 32, "there")
SID = "ses_" + "0" * 32
_RETENTION_S = 60
"""For so long the edge keeps a list of keys (`launcher/envoy_login.py`)."""
times = st.one_of(
    st.integers(1_600_000_000, 2_000_000_000),
    # Around the end of a period.
    st.builds(
        lambda n, by: n * keys.PERIOD_S + by, st.integers(620, 700), st.integers(-1000, 1000)
    ),
)


@settings(max_examples=60, deadline=None)
@given(issued=times, age=st.integers(0, access.LIFE_S - 1), kept=st.integers(0, _RETENTION_S))
def test_a_token_is_good_for_its_life_across_every_rotation(
    issued: int, age: int, kept: int
) -> None:
    token = access.sign(HERE, "usr_x", SID, issued)
    assert access.session_of(HERE, token, issued + age) == SID
    # The edge's list is some seconds old.
    listed = {key.kid for key in keys.published(HERE.secret, issued + age - kept)}
    assert keys.signing(HERE.secret, issued).kid in listed


@settings(max_examples=40, deadline=None)
@given(issued=times, late=st.integers(0, 10**8))
def test_a_token_is_nobodys_afterwards_and_elsewhere(issued: int, late: int) -> None:
    token = access.sign(HERE, "usr_x", SID, issued)
    for deployment, now in (
        (HERE, issued + access.LIFE_S + late),
        (HERE, issued - 61 - late),
        (OTHER_KEYS, issued),
        (OTHER_NAME, issued),
    ):
        with pytest.raises(Unauthenticated):
            access.session_of(deployment, token, now)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.integers(0, 200), st.characters())
def test_a_changed_token_is_nobodys(text: str, place: int, other: str) -> None:
    token = access.sign(HERE, "usr_x", SID, 1_700_000_000)
    place %= len(token)
    changed = token[:place] + other + token[place + 1 :]
    # The last character of a part has bits that say nothing.
    if changed != token and (place + 1 == len(token) or token[place + 1 : place + 2] == "."):
        return
    for wrong in (text, *([] if changed == token else [changed])):
        with pytest.raises(Unauthenticated):
            access.session_of(HERE, wrong, 1_700_000_000)


def test_only_a_bearer_of_three_parts_is_a_jwt() -> None:
    assert access.token_of("Bearer a.b.c") == "a.b.c"
    assert access.token_of("bearer a.b.") == "a.b."
    for other in ("", "Bearer " + "a1" * 32, "Bearer a.b", "Basic a.b.c", "Bearer a.b.c d",
                  "Bearer " + "a" * 3000 + ".b.c"):  # fmt: skip
        assert access.token_of(other) == ""


def test_one_place_has_few_guesses_and_another_place_its_own() -> None:
    throttle = Throttle()

    def fails(name: str, network: str, now_s: float, *, usual: bool = False) -> bool:
        return throttle.begin(name, network, usual=usual, now_s=now_s) > 0

    assert not any(fails("ann", "a", 0) for _ in range(MOST_OF_BOTH))
    assert fails("ann", "a", 1)
    assert not fails("ann", "b", 1)
    assert not fails("ben", "a", 1)
    assert not fails("ann", "a", WINDOW_S)
    names = [f"n{number}" for number in range(MAX_OF_NETWORK + 1)]
    assert [name for name in names if fails(name, "c", 0)] == names[-1:]


def test_failed_logins_by_others_spare_the_users_address() -> None:
    throttle = Throttle()
    waits = [
        throttle.begin("ann", f"n{number}", usual=False, now_s=0.0)
        for number in range(MAX_OF_NAME + 5)
    ]
    assert [wait > 0 for wait in waits] == [False] * MAX_OF_NAME + [True] * 5
    assert throttle.begin("ann", "home", usual=True, now_s=0.0) == 0
    # What did not fail is given back, also to the name.
    for number in range(200):
        assert throttle.begin("ben", f"n{number}", usual=False, now_s=0.0) == 0
        throttle.forget("ben", f"n{number}", usual=False)


def test_roles_reach_what_the_table_says() -> None:
    for method, permission in PERMISSIONS.items():
        changes = permission in (Permission.MANAGE, Permission.OPERATE, Permission.ADMINISTER)
        assert not (changes and permission in ROLES[Role.VIEWER]), method
    assert Permission.ADMINISTER not in ROLES[Role.OPERATOR]
    assert all(Permission.INTERNAL not in may for may in ROLES.values())
    assert person("ann", Role.OPERATOR, [], SID).exchanges == frozenset()
    assert person("ann", Role.OPERATOR, ["okx"], SID).exchanges == frozenset({"okx"})
    assert person("ann", Role.ADMIN, [], SID).exchanges is None
    assert person("ann", Role.VIEWER, [], SID).session == SID
