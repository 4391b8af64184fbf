"""Tokens that expire, and tokens that count from some addresses only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.control.auth.tokens import TokenError, parse_tokens, usable
from tests.control.edge import MANAGE, OPERATE, READ, StartEdge, digest

D = digest(MANAGE)
MIDNIGHT = datetime(2027, 2, 1, tzinfo=UTC).timestamp()


def test_a_token_counts_until_its_last_day_has_passed() -> None:
    tokens = parse_tokens(f"a:manage:{D};until=2027-01-31,b:read:{digest(READ)}")
    assert [t.id for t in usable(tokens, MIDNIGHT - 0.001)] == ["a", "b"]
    assert [t.id for t in usable(tokens, MIDNIGHT)] == ["b"]


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("10.1.2.3", True), ("11.0.0.1", False), ("2001:db8::7", True), ("2001:db9::7", False),
        ("::ffff:10.1.2.3", True), ("::ffff:11.1.2.3", False), ("", False), ("unix:", False),
        ("10.1.2.3, 11.0.0.1", False),
    ],
)  # fmt: skip
def test_a_token_counts_from_its_networks(address: str, fits: bool) -> None:
    tokens = parse_tokens(f"a:manage:{D};from=10.0.0.0/8|2001:db8::/32;until=2027-01-31")
    assert bool(usable(tokens, 0, address)) == fits


@pytest.mark.parametrize(
    "limits",
    [
        ";until=", ";until=tomorrow", ";until=2027-02-30", ";until=2027-01-31;until=2027-02-01",
        ";from=", ";from=10.0.0.0/8|", ";from=10.0.0.1/8", ";from=x", ";for=0x1", ";",
        ";followers=", ";followers=0xab", f";followers=0x{'1' * 40}|",
        f";followers=0x{'1' * 40};followers=0x{'1' * 40}",
    ],
)  # fmt: skip
def test_a_malformed_limit_is_refused_and_tells_no_digest(limits: str) -> None:
    with pytest.raises(TokenError, match="entry 1") as refused:
        parse_tokens(f"a:manage:{D}{limits}")
    assert D not in str(refused.value)


@pytest.mark.parametrize("limit", ["from=10.0.0.0/8", f"followers=0x{'1' * 40}"])
@pytest.mark.parametrize("scope", ["operate", "observe", "internal"])
def test_operators_have_neither_networks_nor_followers(limit: str, scope: str) -> None:
    with pytest.raises(TokenError, match="edge's scopes"):
        parse_tokens(f"a:{scope}:{D};{limit}")


def test_the_edge_refuses_an_expired_token_and_one_of_elsewhere(
    start_edge: StartEdge, tmp_path: Path
) -> None:
    yesterday, tomorrow = (
        (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d") for days in (-1, 1)
    )
    tokens = tmp_path / "tokens"
    lines = {
        "expired": (f"a:manage:{D};until={yesterday}", 401),
        "elsewhere": (f"a:manage:{D};from=203.0.113.0/24", 401),
        "fine": (f"a:manage:{D};until={tomorrow};from=0.0.0.0/0|::/0", 200),
    }
    operator = f"o:operate:{digest(OPERATE)}"
    for name, (line, status) in lines.items():
        tokens.write_text(f"{line}\n{operator}\n")
        with start_edge(name, tokens="", tokens_file=str(tokens)) as edge:
            assert (
                edge.call("GET", f"/subscriptions?followerProxy=0x{'1' * 40}").status_code == status
            ), name
