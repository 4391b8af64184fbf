"""`tt bots`: bots that trade for wallets: made, started, stopped and looked at."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import engine, schemas
from cli.bot_columns import EVENTS, PNL, POSITIONS, STEPS
from cli.command import Limit, NeverAsks, Yes, ask, command, noun
from cli.core.bot_backtests import ASSUMED, runs_lines
from cli.core.words import bare, clock
from cli.errors import Failure, Status
from cli.output import Column, Json, Shown

app = noun("List, create, edit, start, stop and explain bots; list their orders, fills and gains.")
_STATE, _SIDE = "BOT_STATE_", "SIDE_"
_NOTHING_SAID = "  its engine has said nothing yet"
_Bot = Annotated[str, typer.Argument(metavar="BOT", help="Its id, 12 letters and digits.")]


def _stands(bot: Json) -> str:
    state, desired = bare(bot["state"], _STATE), bare(bot["desired"], _STATE)
    change = "" if state == desired else f", to be {desired.lower()}"
    return f"{state.lower()}{change}"


_COLUMNS = (
    Column("BOT", lambda one: one["id"]),
    Column("NAME", lambda one: one["name"]),
    Column("STRATEGY", lambda one: one["strategy"]),
    Column("INSTRUMENTS", lambda one: " ".join(one["instruments"])),
    Column("STANDS", _stands),
    Column("RESULT", lambda one: one.get("equity", {}).get("result", ""), right=True),
    Column("ENGINE", lambda one: one["engine"]),
    Column("REASON", lambda one: one["reason"]),
)
_ORDERS = (
    Column("ORDER", lambda one: one["id"]),
    Column("INSTRUMENT", lambda one: one["instrumentId"]),
    Column("SIDE", lambda one: bare(one["side"], _SIDE)),
    Column("PRICE", lambda one: one["price"], right=True),
    Column("SIZE", lambda one: one["size"], right=True),
    Column("FILLED", lambda one: one["filled"], right=True),
    Column("STATE", lambda one: one["state"]),
    Column("PENDING", lambda one: one["pending"]),
    Column("SLOT", lambda one: one["slot"]),
    Column("CREATED", lambda one: clock(one["createdAt"])),
)
_FILLS = (
    Column("TRADED", lambda one: clock(one["tradedAt"])),
    Column("INSTRUMENT", lambda one: one["instrumentId"]),
    Column("SIDE", lambda one: bare(one["side"], _SIDE)),
    Column("PRICE", lambda one: one["price"], right=True),
    Column("SIZE", lambda one: one["size"], right=True),
    Column("FEE", lambda one: f"{one['fee']} {one['feeCurrency']}", right=True),
    Column("AS", lambda one: "maker" if one["maker"] else "taker"),
    Column("UNDONE", lambda one: "undone" if one["undone"] else ""),
    Column("ORDER", lambda one: one["orderId"]),
)


@command(app, "list", schemas.rest("Bot", many=True))
def list_(
    wallet: Annotated[str, typer.Option("--wallet", "-w", help="Of this wallet.")] = "",
    state: Annotated[str, typer.Option("--state", help="running, risk_stopped, ...")] = "",
    exchange: Annotated[str, typer.Option("--exchange", help="okx, polymarket.")] = "",
    strategy: Annotated[str, typer.Option("--strategy", help="market_making, grid, ...")] = "",
    limit: Limit = 50,
) -> Shown:
    """List bots, the oldest first."""
    named: Any = f"{_STATE}{state.upper()}" if state else None
    rows = engine.rest().all_bots(
        wallet_id=wallet or None, state=named, exchange=exchange or None, strategy=strategy or None
    )
    return Shown(data=engine.first(rows, limit), columns=_COLUMNS, empty="no bot")


@command(app, "show", schemas.rest("Bot"))
def show(bot: _Bot) -> Shown:
    """Show a bot: state, quotes with their reasons, holdings, result."""
    found = dict(engine.rest().get_bot(bot))
    return Shown(data=found, lines=_lines(found))


@command(app, "create", schemas.rest("Bot"))
def create(
    name: Annotated[str, typer.Argument(help="For people.")],
    wallet: Annotated[str, typer.Option("--wallet", "-w", help="That it trades for, wal_...")],
    file: Annotated[
        str,
        typer.Option(
            "--file", "-f", metavar="FILE|-",
            help="JSON with config, instruments and limits as POST /bots takes them; -: stdin.",
        ),
    ],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is.")] = "default",
    key: Annotated[
        str, typer.Option("--key", help="Idempotency-Key: the same one creates once.")
    ] = "",
) -> Shown:  # fmt: skip
    """Create a bot. It is idle until it is started."""
    engine.acting()
    body: Any = {**_read(file), "name": name, "walletId": wallet, "tenant": tenant}
    made = dict(engine.rest().create_bot(body, idempotency_key=key or None))
    return Shown(data=made, lines=[f"created {made['id']}", *_lines(made)])


@command(app, "start", schemas.rest("Bot"))
def start(bot: _Bot, yes: Yes = False) -> Shown:
    """Let an idle or stopped bot trade."""
    engine.acting()
    before = engine.rest().get_bot(bot)
    ask(f"Let {before['name']} trade for {before['walletId']}?", yes=yes)
    return _reported(engine.rest().start_bot(bot))


@command(app, "stop", schemas.rest("Bot"))
def stop(bot: _Bot, _yes: NeverAsks = False) -> Shown:
    """Have a bot cancel its orders and stop. What it holds stays."""
    engine.acting()
    return _reported(engine.rest().stop_bot(bot))


@command(app, "pause", schemas.rest("Bot"))
def pause(bot: _Bot, _yes: NeverAsks = False) -> Shown:
    """Have a bot cancel its orders and wait."""
    engine.acting()
    return _reported(engine.rest().pause_bot(bot))


@command(app, "resume", schemas.rest("Bot"))
def resume(
    bot: _Bot,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed after a stop by risk.")] = "",
    yes: Yes = False,
) -> Shown:
    """Let a paused bot go on, or one that risk stopped."""
    engine.acting()
    before = engine.rest().get_bot(bot)
    ask(f"Let {before['name']} trade for {before['walletId']} again?", yes=yes)
    body: Any = {"reason": reason} if reason else {}
    return _reported(engine.rest().resume_bot(bot, body))


@command(app, "orders", schemas.rest("BotOrder", many=True))
def orders(
    bot: _Bot,
    unsettled: Annotated[bool, typer.Option("--unsettled", help="That may still fill.")] = False,
    limit: Limit = 50,
) -> Shown:
    """List orders of a bot, the newest first."""
    rows = engine.rest().all_bot_orders(bot, unsettled=unsettled or None)
    return Shown(data=engine.first(rows, limit), columns=_ORDERS, empty="no order")


@command(app, "settle", schemas.rest("BotOrder"))
def settle(
    bot: _Bot,
    order: Annotated[str, typer.Argument(help="Id of an order that is DEAD or RESURRECTED.")],
    filled: Annotated[str, typer.Option("--filled", help="Size that it has filled; 0: none.")],
    reason: Annotated[str, typer.Option("--reason", help="The evidence; it is kept.")],
    yes: Yes = False,
) -> Shown:
    """Settle an order that nobody could: book what it has filled, end its reservation."""
    engine.acting()
    ask(f"Book {filled} for order {order} of {bot}, for good?", yes=yes)
    body: Any = {"orderId": order, "filled": filled, "reason": reason}
    return Shown(data=dict(engine.rest().settle_bot_order(bot, body)))


@command(app, "explain-position", schemas.rest("ExplainBotPositionResponse"))
def explain_position(
    bot: _Bot,
    instrument: Annotated[str, typer.Argument(help="For example okx:BTC-USDT-SWAP.")],
    reason: Annotated[str, typer.Option("--reason", help="Where it went; it is kept.")],
    yes: Yes = False,
) -> Shown:
    """Let bots hold what the exchange does, where that is less, and open there again."""
    engine.acting()
    ask(f"Make the holdings of {bot}'s wallet smaller, and let it open {instrument}?", yes=yes)
    body: Any = {"instrumentId": instrument, "reason": reason}
    return Shown(data=dict(engine.rest().explain_bot_position(bot, body)))


@command(app, "fills", schemas.rest("BotFill", many=True))
def fills(bot: _Bot, limit: Limit = 50) -> Shown:
    """List fills of a bot, the last booked first."""
    rows = engine.rest().all_bot_fills(bot)
    return Shown(data=engine.first(rows, limit), columns=_FILLS, empty="no fill")


@command(app, "edit", schemas.rest("Bot"))
def edit(
    bot: _Bot,
    file: Annotated[
        str,
        typer.Option(
            "--file", "-f", metavar="FILE|-",
            help="JSON with config, limits or both as PATCH /bots/{id} takes them; -: stdin.",
        ),
    ],
    version: Annotated[
        str, typer.Option("--version", help="Only if it still has this one, as `show` tells.")
    ] = "",
    yes: Yes = False,
) -> Shown:  # fmt: skip
    """Change settings or limits of a bot, also while it runs."""
    engine.acting()
    body: Any = _read(file)
    before = engine.rest().get_bot(bot)
    ask(f"Change {', '.join(body) or 'nothing'} of {before['name']}?", yes=yes)
    return _reported(engine.rest().update_bot(bot, body, if_match=version or None))


@command(app, "positions", schemas.rest("BotPosition", many=True))
def positions(bot: _Bot) -> Shown:
    """List what a bot holds, with marks and their age."""
    rows = [dict(one) for one in engine.rest().list_bot_positions(bot)["positions"]]
    return Shown(data=rows, columns=POSITIONS, empty="it holds nothing")


@command(app, "pnl", schemas.rest("BotPnlPoint", many=True))
def pnl(
    bot: _Bot,
    step: Annotated[str, typer.Option("--step", help="minute, hour or day.")] = "hour",
    limit: Limit = 50,
) -> Shown:
    """List what a bot had made, the newest first."""
    if step not in STEPS:
        raise Failure(f"--step {step}: expected minute, hour or day", Status.USAGE)
    named: Any = STEPS[step]
    rows = engine.rest().all_bot_pnl(bot, step=named)
    return Shown(data=engine.first(rows, limit), columns=PNL, empty="nothing was written yet")


@command(app, "events", schemas.rest("BotEvent", many=True))
def events(bot: _Bot, limit: Limit = 50) -> Shown:
    """List events of a bot and its orders, the newest first."""
    rows = engine.rest().all_bot_events(bot)
    return Shown(data=engine.first(rows, limit), columns=EVENTS, empty="no event")


@command(app, "explain", schemas.rest("BotExplanation"))
def explain(bot: _Bot) -> Shown:
    """Say why a bot quotes what it quotes, or nothing."""
    found = dict(engine.rest().get_bot_explanation(bot))
    because = f", because {found['reason']}" if found["reason"] else ""
    lines = [f"{found['strategy']} is {bare(str(found['state']), _STATE).lower()}{because}"]
    reasons: Any = found["reasons"]
    for one in reasons:
        lines.append(f"  {one['slot']}: {one['explanation']}")
        lines += [
            f"    {bare(has['side'], _SIDE)} {has['size']} at {has['price']}, {has['state']}"
            for has in one["orders"]
        ]
    if not reasons:
        idle = found["state"] == "BOT_STATE_IDLE"
        lines.append(f"  it has not begun: tt bots start {bot}" if idle else _NOTHING_SAID)
    return Shown(data=found, lines=lines)


@command(app, "backtest", schemas.own("tradingtools.domain.backtests", "Backtests"))
def backtest(
    file: Annotated[
        str,
        typer.Option("--file", "-f", metavar="FILE|-", help="The bot, as `create` takes it."),
    ],
    recording: Annotated[
        Path | None, typer.Option("--recording", help="A recorded market; a seeded one, if none.")
    ] = None,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="Of a seeded market.")] = 3600,
    seed: Annotated[int, typer.Option("--seed", help="Of market and latency.")] = 1,
    assumed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help=f"One of {', '.join(ASSUMED)}."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="SETTING=A,B,...",
                     help="Try each value, with all of the others; seed, too. Repeat it."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: all cores.")] = 0,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write a page of HTML with plots.")
    ] = None,
) -> Shown:  # fmt: skip
    """Try a bot on a seeded or recorded market, without any engine. Nothing is sent anywhere."""
    from cli import backtesting

    market = {"seed": seed, "seconds": seconds}
    plan = backtesting.plan(_read(file), recording, market, assumed or [], vary or [])
    reported = backtesting.run(plan, report=report, jobs=jobs)
    return Shown(data=reported, lines=runs_lines(reported["runs"], report))


def _reported(bot: Any) -> Shown:
    return Shown(data=dict(bot), lines=_lines(bot))


def _lines(bot: Json) -> list[str]:
    lines = [
        f"{bot['id']}  {bot['name']}  {_stands(bot)}",
        f"  {bot['strategy']} for {bot['walletId']}: {' '.join(bot['instruments'])}",
    ]
    if bot["reason"]:
        lines.append(f"  because {bot['reason']}")
    limits = bot.get("limits", {})
    lines.append(f"  limits: {', '.join(f'{k} {v}' for k, v in limits.items()) or 'none'}")
    lines += [f"  {one['slot']}: {one['explanation']}" for one in bot["slots"]]
    lines += [
        f"  holds {one['size']} {one['instrumentId']}, realised {one['realised']}"
        f", fees {one['fees']}"
        for one in bot["holdings"]
    ]
    if "equity" in bot:
        lines.append(f"  result {bot['equity']['result']}, highest {bot['equity']['peak']}")
    return lines


def _read(source: str) -> Json:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise Failure(f"{source}: {error.strerror}", Status.USAGE) from None
    except ValueError:
        raise Failure(f"{source}: no JSON", Status.USAGE) from None
    if not isinstance(found, dict):
        raise Failure(f"{source}: no JSON object", Status.USAGE)
    return found
