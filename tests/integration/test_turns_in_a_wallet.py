"""The live view tells apart what an order waited for: the wallet's entry before it, the collar."""

from __future__ import annotations

import psycopg

from launcher.core.summary import Hop
from launcher.observe import Observer

_ORDER = """
insert into orders (order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
    follower_user_id, follower_wallet_id, follower_proxy, partition, leader, leader_tx,
    condition_id, asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms, body,
    body_hash, journal_seq, control_seq, state, received_ns, routed_ns, claimed_ns, held_ns,
    submitting_ns, first_byte_ns, answered_ns, chain_head)
values (md5(%(name)s) || md5(''), md5(%(name)s) || md5(''), 0, %(purpose)s, %(name)s, 1, 'u', 'w',
    %(wallet)s, 0, 'leader', 'tx', 'c', '7', 'BUY', 10, 1, 'FAK', 0, '', '', 1, 1, 'SUBMITTED',
    1000000, 2000000, 3000000, %(held)s * 1000000,
    (5 + %(held)s) * 1000000, %(first)s * 1000000, %(answered)s * 1000000, '')
"""


def test_the_answer_to_a_wallets_entry_before_is_told_apart(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for name, wallet, purpose, first, answered in (
            ("first", "0x1", "ENTRY", 6, 45),
            ("second", "0x1", "ENTRY", 46, 60),
            ("not sent yet", "0x1", "ENTRY", 0, 0),
            ("of another", "0x2", "ENTRY", 6, 45),
            # It waits for nobody.
            ("exit", "0x1", "COPY_EXIT", 7, 45),
        ):
            connection.execute(
                _ORDER,
                {
                    "name": name,
                    "wallet": wallet,
                    "purpose": purpose,
                    "first": first,
                    "answered": answered,
                    "held": 0,
                },
            )
    hops = _hops(database_url)
    turn, first_byte, own = (hops[n] for n in ("wallet's turn", "first byte", "our own time"))
    assert (turn.p50_ms, turn.p99_ms, turn.number) == (0, 40, 4)
    assert (first_byte.p50_ms, first_byte.p99_ms, first_byte.number) == (1, 2, 4)
    assert (own.p99_ms, own.number) == (45, 4)


def test_collar_wait_is_separate_and_not_our_own_time(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        for name, held_ms in (("free", 0), ("held", 2_000)):
            values = {"name": name, "wallet": "0x1", "purpose": "COPY_EXIT", "held": held_ms}
            connection.execute(_ORDER, {**values, "first": 7 + held_ms, "answered": 45 + held_ms})
    hops = _hops(database_url)
    held, submit, own = (hops[n] for n in ("held by the collar", "commit to send", "our own time"))
    assert (held.p50_ms, held.p99_ms, held.number) == (2_000, 2_000, 1)
    assert (submit.p99_ms, submit.number) == (2, 2)
    assert (own.p99_ms, own.number) == (6, 2)


def _hops(database_url: str) -> dict[str, Hop]:
    observer = Observer(database_url, 0)
    try:
        return {hop.name: hop for hop in observer.numbers().hops}
    finally:
        observer.close()
