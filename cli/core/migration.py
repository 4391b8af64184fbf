"""Plan the fate of each old subscription, to be looked at before anything is done. Pure.

A plan has a hash; who applies it names the hash, so that what was looked at is what is done.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from cli.core import mapping as rules
from cli.core.mapping import MappingError, Read, Refused
from tradingtools.domain.money import parse_exact, to_text

Json = dict[str, Any]
_NOBODY = "0x" + "0" * 40
_NEEDED = ("name", "id", "fields", "sizing", "state")
_KNOWN = frozenset({*_NEEDED, "query", "ignored", "positions", "deadLeaders", "minimumUsdc"})


class Position(msgspec.Struct, rename="camel", kw_only=True):
    """Shares that a wallet holds and that become a lot of its new subscription."""

    condition_id: str
    asset_id: str
    size: str
    cost: str
    evidence: str


class Line(msgspec.Struct, rename="camel", kw_only=True):
    """One old subscription and what becomes of it."""

    old_id: str
    verdict: str
    """CREATED, SKIPPED or REFUSED."""
    active: bool
    """It was, and is resumed by a command of its own."""
    refused: list[str]
    changed: list[str]
    body: Json
    positions: list[Position]


class Totals(msgspec.Struct, rename="camel", kw_only=True):
    """Of all subscriptions, before or after."""

    subscriptions: int
    active: int
    paused: int
    ended: int
    followers: int
    leaders: int
    fixed_usdc: str
    """USDC of one copy by each of those that are sized so."""
    positions: int
    shares: str
    cost: str


class Plan(msgspec.Struct, rename="camel", kw_only=True):
    """Everything that would be done."""

    name: str
    hash: str
    lines: list[Line]
    before: Totals
    after: Totals


def check(mapping: Any) -> None:
    """Raise MappingError where a mapping is not one."""
    if not isinstance(mapping, dict):
        raise MappingError("expected a mapping")
    for name in _NEEDED:
        if name not in mapping:
            raise MappingError(f"{name} is missing")
    for name in mapping:
        if name not in _KNOWN:
            raise MappingError(f"no such name: {name}")
    for target, rule in mapping["fields"].items():
        if not isinstance(rule, dict) or "from" not in rule:
            raise MappingError(f"fields.{target}: expected `from`")


def plan(mapping: Json, olds: Sequence[Json]) -> Plan:
    """Say what becomes of each old subscription.

    Raises:
        MappingError: the mapping is wrong.
    """
    check(mapping)
    seen = _Seen(Counter(_id(mapping, old) for old in olds))
    # Who is active goes first where two cannot both be.
    order = sorted(range(len(olds)), key=lambda number: _state(mapping, olds[number]) != "active")
    made = {number: _line(mapping, olds[number], seen) for number in order}
    lines = [made[number] for number in range(len(olds))]
    canonical = json.dumps(
        [mapping["name"], msgspec.to_builtins(lines)], sort_keys=True, separators=(",", ":")
    )
    return Plan(
        name=str(mapping["name"]),
        hash=hashlib.sha256(canonical.encode()).hexdigest(),
        lines=lines,
        before=_before(mapping, olds),
        after=_after(lines),
    )


class _Seen:
    """Pairs, wallets and shares that earlier lines have taken."""

    def __init__(self, ids: Counter[str]) -> None:
        self.ids = ids
        self.pairs: dict[tuple[str, str], str] = {}
        self.owners: dict[str, tuple[str, str]] = {}
        self.shares: dict[tuple[str, str], int] = {}


def _line(mapping: Json, old: Json, seen: _Seen) -> Line:
    identifier = _id(mapping, old)
    read = Read()
    state = _state(mapping, old)
    if state == "ended":
        return _ended(identifier, old, mapping)
    if not identifier:
        read.refused.append(f"{mapping['id']} is missing: nothing would make a repetition safe")
    elif seen.ids[identifier] > 1:
        read.refused.append(f"{mapping['id']} {identifier} occurs {seen.ids[identifier]} times")
    if state is None:
        read.refused.append(
            f"{mapping['state']['from']}: {_reported(mapping, old)} is no known state"
        )
    rules.fields(old, mapping["fields"], read)
    _sizing(mapping["sizing"], old, read, mapping.get("minimumUsdc"))
    _unknown(mapping, old, read)
    _people(mapping, read, seen, identifier)
    positions: list[Position] = []
    if not read.refused:
        positions = _positions(mapping, old, identifier, read, seen)
        _take(read.body, seen, identifier)
    return Line(
        old_id=identifier,
        verdict="REFUSED" if read.refused else "CREATED",
        active=state == "active",
        refused=read.refused,
        changed=read.changed,
        body={} if read.refused else {**read.body, "paused": True},
        positions=positions,
    )


def _ended(identifier: str, old: Json, mapping: Json) -> Line:
    held = len(rules.at(old, mapping["positions"]["from"]) or []) if "positions" in mapping else 0
    changed = [f"it had ended ({_reported(mapping, old)}): nothing is made of it"]
    if held:
        changed.append(f"its {held} positions stay in the wallet, and nobody sells them")
    return Line(
        old_id=identifier, verdict="SKIPPED", active=False, refused=[], changed=changed, body={},
        positions=[],
    )  # fmt: skip


def _id(mapping: Json, old: Json) -> str:
    found = rules.at(old, mapping["id"])
    if isinstance(found, Mapping):
        # As exports of MongoDB have it.
        found = found.get("$oid")
    return "" if found is None else str(found)


def _reported(mapping: Json, old: Json) -> Any:
    return rules.at(old, mapping["state"]["from"])


def _state(mapping: Json, old: Json) -> str | None:
    reported = str(_reported(mapping, old)).lower()
    for ours in ("active", "paused", "ended"):
        if reported in [str(one).lower() for one in mapping["state"].get(ours, [])]:
            return ours
    return None


def _sizing(rule: Json, old: Json, read: Read, minimum: str | None) -> None:
    reported = rules.at(old, rule["from"])
    for mode in ("fixed", "ratio", "proportional"):
        given = rule.get(mode)
        if given and str(reported).lower() in [str(one).lower() for one in given["values"]]:
            break
    else:
        read.refused.append(f"{rule['from']}: {reported!r} is no known way of sizing")
        return
    if mode == "proportional":
        read.body["sizing"] = {"proportional": {}}
        return
    field = {"fixed": "amount", "ratio": "ratio"}[mode]
    source = given[field]
    value = rules.at(old, source["from"])
    if value is None:
        read.refused.append(f"{source['from']} is missing, and {reported} needs it")
        return
    try:
        text = rules.amount(source, value, read)
    except Refused as refusal:
        read.refused.append(f"{source['from']}: {refusal}")
        return
    micros = parse_exact(text)
    if mode == "fixed" and micros < parse_exact(minimum or "0"):
        read.refused.append(
            f"{source['from']}: {text} USDC is below the smallest order of {minimum} USDC:"
            " nothing would ever be copied"
        )
    elif micros == 0:
        read.refused.append(f"{source['from']}: {value} would never copy anything")
    elif mode == "ratio" and micros > 100_000_000:
        read.refused.append(f"{source['from']}: more than a hundred times the leader's trade")
    read.body.setdefault("sizing", {})[mode] = {field: text}


def _unknown(mapping: Json, old: Json, read: Read) -> None:
    known = {mapping["id"], mapping["state"]["from"], mapping["sizing"]["from"]}
    known |= {rule["from"] for rule in mapping["fields"].values()}
    for mode in ("fixed", "ratio"):
        for source in mapping["sizing"].get(mode, {}).values():
            if isinstance(source, dict):
                known.add(source["from"])
    known |= set(mapping.get("ignored", []))
    if "positions" in mapping:
        known.add(mapping["positions"]["from"])
    for path in rules.leaves(old):
        if not any(path == one or path.startswith(f"{one}.") for one in known):
            read.refused.append(
                f"unknown field {path}: it may be a limit; map it, or list it as ignored"
            )


def _people(mapping: Json, read: Read, seen: _Seen, identifier: str) -> None:
    follower = read.body.get("follower", {})
    proxy, leader = follower.get("followerProxy", ""), read.body.get("leader", "")
    dead = {str(one).lower() for one in mapping.get("deadLeaders", [])} | {_NOBODY}
    if leader in dead:
        read.refused.append(f"the leader {leader} is dead: nobody trades with that wallet")
    if proxy and proxy == leader:
        read.refused.append("the wallet would follow itself")
    if first := seen.pairs.get((proxy, leader)):
        read.refused.append(
            f"the same wallet and leader as {first}: a transaction is copied once a wallet"
        )
    owner = (follower.get("followerUserId", ""), follower.get("followerWalletId", ""))
    known = seen.owners.get(proxy)
    if proxy and known is not None and known != owner:
        read.refused.append(f"the wallet belongs to user {known[0]} by another line ({identifier})")


def _take(body: Json, seen: _Seen, identifier: str) -> None:
    follower = body["follower"]
    proxy = follower["followerProxy"]
    seen.pairs[proxy, body["leader"]] = identifier
    seen.owners[proxy] = (follower["followerUserId"], follower["followerWalletId"])


def _positions(
    mapping: Json, old: Json, identifier: str, read: Read, seen: _Seen
) -> list[Position]:
    rule = mapping.get("positions")
    found: list[Position] = []
    if rule is None:
        return found
    for held in rules.at(old, rule["from"]) or []:
        try:
            position = _position(rule, held, identifier, read, seen)
        except (Refused, TypeError, AttributeError) as refusal:
            read.changed.append(f"a position stays out: {refusal}")
        else:
            if position is not None:
                found.append(position)
    return found


def _position(rule: Json, held: Json, identifier: str, read: Read, seen: _Seen) -> Position | None:
    asset = str(rules.at(held, rule["assetId"]) or "")
    condition = str(rules.at(held, rule["conditionId"]) or "").lower()
    if not asset.isdigit() or len(condition) != 66:
        raise Refused(f"{asset or 'no asset'} in market {condition or 'none'} names no outcome")
    size = _micros(rules.number(rules.at(held, rule["size"])))
    if size <= 0:
        return None
    balance = rules.at(held, rule["balance"])
    if balance is None:
        raise Refused(f"nothing says that the chain has the {to_text(size)} shares of {asset}")
    key = (read.body["follower"]["followerProxy"], asset)
    there = seen.shares.setdefault(key, _micros(rules.number(balance)))
    taken = min(size, there)
    seen.shares[key] = there - taken
    if taken <= 0:
        raise Refused(f"the chain has none left of the {to_text(size)} shares of {asset}")
    if taken < size:
        read.changed.append(
            f"position {asset}: v1 says {to_text(size)} shares, the chain has {to_text(taken)}"
        )
    price = rules.number(rules.at(held, rule["price"]) or 0)
    # Rounded up: caps count it.
    cost = int((price * taken).to_integral_value(rounding="ROUND_UP"))
    block = rules.at(held, rule.get("block", "block"))
    return Position(
        condition_id=condition, asset_id=asset, size=to_text(taken), cost=to_text(max(cost, 0)),
        evidence=f"v1 subscription {identifier}: balance {balance} on the chain"
        + (f" at block {block}" if block is not None else ""),
    )  # fmt: skip


def _micros(amount: Decimal) -> int:
    return int((amount * 1_000_000).to_integral_value(rounding="ROUND_DOWN"))


def followed(mapping: Json, olds: Iterable[Json]) -> list[Json]:
    """Return leader, sizing and limits of all that had not ended, those that are refused, too, as
    far as they can be read."""
    found = []
    for old in olds:
        if _state(mapping, old) == "ended":
            continue
        read = Read()
        rules.fields(old, mapping["fields"], read)
        _sizing(mapping["sizing"], old, read, None)
        if "leader" in read.body and "sizing" in read.body:
            found.append(read.body)
    return found


def _before(mapping: Json, olds: Iterable[Json]) -> Totals:
    """Count what there was, as far as it can be read."""
    states: Counter[str | None] = Counter()
    people: set[str] = set()
    leaders: set[str] = set()
    fixed = shares = cost = Decimal(0)
    positions = number = 0
    rule = mapping.get("positions")
    for old in olds:
        number += 1
        states[_state(mapping, old)] += 1
        people.add(str(rules.at(old, mapping["fields"]["follower.followerProxy"]["from"])).lower())
        leaders.add(str(rules.at(old, mapping["fields"]["leader"]["from"])).lower())
        given = mapping["sizing"].get("fixed")
        reported = str(rules.at(old, mapping["sizing"]["from"])).lower()
        if given and reported in [str(one).lower() for one in given["values"]]:
            fixed += _or_nothing(rules.at(old, given["amount"]["from"]))
        if rule is None:
            continue
        for held in rules.at(old, rule["from"]) or []:
            size = _or_nothing(rules.at(held, rule["size"]))
            positions += 1
            shares += size
            cost += size * _or_nothing(rules.at(held, rule["price"]))
    return Totals(
        subscriptions=number, active=states["active"], paused=states["paused"],
        ended=states["ended"], followers=len(people), leaders=len(leaders),
        fixed_usdc=to_text(_micros(fixed)), positions=positions, shares=to_text(_micros(shares)),
        cost=to_text(_micros(cost)),
    )  # fmt: skip


def _or_nothing(value: Any) -> Decimal:
    try:
        return rules.number(value)
    except Refused:
        return Decimal(0)


def _after(lines: Iterable[Line]) -> Totals:
    made = [line for line in lines if line.verdict == "CREATED"]
    held = [position for line in made for position in line.positions]
    fixed = sum(
        parse_exact(line.body["sizing"]["fixed"]["amount"])
        for line in made
        if "fixed" in line.body["sizing"]
    )
    return Totals(
        subscriptions=len(made),
        active=sum(line.active for line in made),
        paused=sum(not line.active for line in made),
        ended=0,
        followers=len({line.body["follower"]["followerProxy"] for line in made}),
        leaders=len({line.body["leader"] for line in made}),
        fixed_usdc=to_text(fixed),
        positions=len(held),
        shares=to_text(sum(parse_exact(one.size) for one in held)),
        cost=to_text(sum(parse_exact(one.cost) for one in held)),
    )
