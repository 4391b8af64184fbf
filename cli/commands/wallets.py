"""`tt wallets`: accounts that bots trade with. Credentials are sealed here, before they leave."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import engine, schemas
from cli.command import Limit, Yes, ask, command, noun
from cli.core.words import bare, clock
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

if TYPE_CHECKING:
    from tradingtools.domain.credentials import Credentials

app = noun("List, add, check, replace and retire trading wallets.")
_STATE = "WALLET_STATE_"
_KEY_BYTES = 32
_Wallet = Annotated[str, typer.Argument(metavar="WALLET", help="Its id, wal_...")]
_From = Annotated[
    str,
    typer.Option(
        "--credentials", "-c", metavar="FILE|-",
        help="JSON with the fields that `tt exchanges` names, in a file that nobody else can read;"
        " -: stdin. Without it they are asked for.",
    ),
]  # fmt: skip
_KeyId = Annotated[
    str,
    typer.Option("--key-id", help="Refuse another key to seal to; the signer's log says its id."),
]


def _stands(wallet: Json) -> str:
    state = bare(wallet["state"], _STATE).lower()
    return f"{state}, {wallet['problem']}" if wallet["problem"] else state


_COLUMNS = (
    Column("WALLET", lambda one: one["id"]),
    Column("NAME", lambda one: one["name"]),
    Column("EXCHANGE", lambda one: one["exchange"]),
    Column("IN", lambda one: one["environment"]),
    Column("ACCOUNT", lambda one: one["account"]),
    Column("STANDS", _stands),
    Column("MAX ORDER", lambda one: one["maxOrder"], right=True),
    Column("HELD BY", lambda one: one["heldBy"]),
    Column("CHECKED", lambda one: clock(one["checkedAt"])),
)


@command(app, "list", schemas.rest("Wallet", many=True))
def list_(
    exchange: Annotated[str, typer.Option("--exchange", "-e", help="okx or polymarket.")] = "",
    retired: Annotated[bool, typer.Option("--retired", help="Retired ones, too.")] = False,
    limit: Limit = 50,
) -> Shown:
    """List wallets, the oldest first."""
    rows = engine.rest().all_wallets(
        exchange=exchange or None, state=None if retired else "WALLET_STATE_ACTIVE"
    )
    return Shown(data=engine.first(rows, limit), columns=_COLUMNS, empty="no wallet")


@command(app, "show", schemas.rest("Wallet"))
def show(wallet: _Wallet) -> Shown:
    """Show a wallet. Nothing secret is known outside of the signer."""
    found = dict(engine.rest().get_wallet(wallet))
    return Shown(data=found, lines=_lines(found))


@command(app, "add", schemas.rest("Wallet"))
def add(
    name: Annotated[str, typer.Argument(help="For people.")],
    exchange: Annotated[str, typer.Option("--exchange", "-e", help="okx or polymarket.")],
    max_order: Annotated[str, typer.Option("--max-order", help="The most USDC an order.")],
    credentials: _From = "",
    demo: Annotated[bool, typer.Option("--demo", help="Of the exchange's demo.")] = False,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is.")] = "default",
    key_id: _KeyId = "",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency-Key: the same one adds once.")
    ] = "",
) -> Shown:
    """Add a wallet. Its credentials are sealed to the signer's key, then asked of the exchange."""
    from tradingtools.codec import sealing
    from tradingtools.domain import money

    engine.acting()
    given = _credentials(exchange, credentials)
    try:
        most = money.parse_exact(max_order)
    except money.AmountError as error:
        raise Failure(f"--max-order: {error}", Status.USAGE) from None
    environment = "demo" if demo else "live"
    bound = sealing.for_new(tenant, name, exchange, environment, most)
    body: Any = {
        "name": name, "exchange": exchange, "environment": environment, "tenant": tenant,
        "maxOrder": max_order, **_sealed(given, bound, key_id),
    }  # fmt: skip
    made = dict(engine.rest().create_wallet(body, idempotency_key=key or None))
    return Shown(data=made, lines=[f"added {made['id']}", *_lines(made)])


@command(app, "replace", schemas.rest("Wallet"))
def replace(
    wallet: _Wallet, credentials: _From = "", key_id: _KeyId = "", yes: Yes = False
) -> Shown:
    """Put other credentials of the same account in the place of those that there are."""
    from tradingtools.codec import sealing

    engine.acting()
    before = engine.rest().get_wallet(wallet)
    given = _credentials(before["exchange"], credentials)
    ask(f"Replace the credentials of {before['name']}, {wallet}?", yes=yes)
    bound = sealing.for_edition(wallet, before["edition"])
    body: Any = {"edition": before["edition"], **_sealed(given, bound, key_id)}
    after = dict(engine.rest().rotate_wallet(wallet, body))
    return Shown(data=after, lines=_lines(after))


@command(app, "rewrap", schemas.rest("Wallet"))
def rewrap(wallet: _Wallet) -> Shown:
    """Wrap a wallet's data key anew, by the newest master key."""
    engine.acting()
    found = dict(engine.rest().rotate_wallet(wallet, {}))
    return Shown(data=found, lines=[f"the data key of {wallet} is wrapped anew"])


@command(app, "check", schemas.rest("Wallet"))
def check(wallet: _Wallet) -> Shown:
    """Ask the exchange whether the credentials work. Exits with 1 when they do not."""
    engine.acting()
    found = dict(engine.rest().check_wallet(wallet))
    well = Status.NOT_WELL if found["problem"] else Status.OK
    return Shown(data=found, lines=_lines(found), status=well)


@command(app, "retire", schemas.rest("Wallet"))
def retire(wallet: _Wallet, yes: Yes = False) -> Shown:
    """Erase a wallet's credentials for good. Orders that rest at the exchange stay there."""
    engine.acting()
    before = engine.rest().get_wallet(wallet)
    ask(f"Erase the credentials of {before['name']}, {wallet}, for good?", yes=yes)
    return Shown(data=dict(engine.rest().delete_wallet(wallet)), lines=[f"{wallet} is retired"])


@command(app, "key", schemas.rest("SealingKey"))
def key_() -> Shown:
    """Show the public key that credentials are sealed to."""
    found = dict(engine.rest().get_sealing_key())
    return Shown(data=found, lines=[f"{found['keyId']}  {found['publicKey']}"])


def _lines(wallet: Json) -> list[str]:
    account = f"{wallet['exchange']} {wallet['environment']}, account {wallet['account']}"
    lines = [
        f"{wallet['id']}  {wallet['name']}  {_stands(wallet)}",
        f"  {account}, may {wallet['permissions']}",
        f"  at most {wallet['maxOrder']} USDC an order, edition {wallet['edition']}",
        f"  checked {clock(wallet['checkedAt'])}",
    ]
    if "signatureType" in wallet:
        lines.append(f"  signed by {wallet['signerAddress']}, type {wallet['signatureType']}")
    held = wallet["heldBy"] or "no process"
    return [*lines, f"  {held} may have requests of it signed"]


def _sealed(credentials: Credentials, bound: bytes, key_id: str) -> Json:
    """Return the fields of a request with credentials. Raises Failure: the key is another one."""
    from tradingtools.codec import sealing

    found = engine.rest().get_sealing_key()
    public = base64.b64decode(found["publicKey"])
    own = hashlib.sha256(public).hexdigest()[:32]
    if len(public) != _KEY_BYTES or own != found["keyId"] or key_id not in ("", own):
        raise Failure(
            f"the engine shows the key {own}, not {key_id or found['keyId']}: nothing was sent",
            Status.NO_ACCESS,
            "compare with the line that the signer logs at its start",
        )
    sealed = sealing.seal(credentials, public, bound)
    return {"keyId": own, "sealed": base64.b64encode(sealed).decode()}


def _credentials(exchange: str, source: str) -> Credentials:
    """Return credentials from a file, stdin or a terminal. Raises Failure, never with a value."""
    import msgspec

    from tradingtools.domain.credentials import KINDS

    kind = KINDS.get(exchange)
    if kind is None:
        raise Failure(f"--exchange: expected {' or '.join(KINDS)}", Status.USAGE)
    raw = _requested(exchange) if not source else _read(source)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        needed = ", ".join(kind.__struct_fields__)
        raise Failure(
            f"the credentials are not JSON with the fields {needed}", Status.USAGE
        ) from None


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.read(64 * 1024).encode()
    path = Path(source)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Failure(
                    f"{source}: others can read it (mode {mode:04o})", Status.USAGE,
                    f"chmod 600 {source}",
                )  # fmt: skip
            return file.read(64 * 1024)
    except OSError as error:
        raise Failure(f"{source}: {error.strerror}", Status.USAGE) from None


def _requested(exchange: str) -> bytes:
    """Ask at a terminal, without echo, for what is secret."""
    import msgspec

    from tradingtools.domain.exchanges import BY_NAME

    if not sys.stdin.isatty():
        raise Failure("--credentials: nobody is there to ask", Status.USAGE, "name a file, or -")
    found: dict[str, Any] = {}
    for field in BY_NAME[exchange].credentials:
        found[field] = getpass(f"{field.replace('_', ' ')}: ")
    if "signature_type" in found:
        found["signature_type"] = int(found["signature_type"] or 0)
    return msgspec.json.encode(found)
