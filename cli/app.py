"""The list of commands. A module is imported when its command is called, not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from cli.errors import MEANINGS


class _Entry(NamedTuple):
    module: str
    says: str


SECTIONS: dict[str, dict[str, _Entry]] = {
    "see how it goes": {
        "status": _Entry("status", "Say how the engine is, and what waits for a person"),
        "console": _Entry("console", "Make an address that logs in to a run's console, once"),
        "top": _Entry("top", "Show live rates, latencies and open orders"),
        "events": _Entry("events", "List or follow the log of events"),
    },
    "find out what became of a trade": {
        "why": _Entry("why", "Say why a follower did, or did not, copy a trade"),
        "orders": _Entry("orders", "List orders; show one's way with the latency of each hop"),
    },
    "look after followers": {
        "leaders": _Entry("leaders", "Rank leaders; show what is known of one"),
        "subs": _Entry("subs", "List, show, create, pause, resume and edit subscriptions"),
        "perf": _Entry("perf", "Show what a subscription gained, and how well it was copied"),
        "triggers": _Entry("triggers", "List, show, create and cancel stops and take-profits"),
        "webhooks": _Entry("webhooks", "List, create, test and replay webhook endpoints"),
    },
    "judge what was recorded": {
        "replay": _Entry("replay", "Judge a recorded day again; say what differs first"),
        "backtest": _Entry("backtest", "Try other settings on recorded trades"),
    },
    "look after bots and their wallets": {
        "bots": _Entry("bots", "List, create, edit, start, stop and explain bots"),
        "engines": _Entry("engines", "List engines of bots; drain one"),
        "portfolio": _Entry("portfolio", "Show what all bots hold and have made"),
        "strategies": _Entry("strategies", "List strategies of bots; show what their settings are"),
        "wallets": _Entry("wallets", "List, add, check, replace and retire trading wallets"),
        "exchanges": _Entry("exchanges", "List exchanges and what their credentials are"),
    },
    "say who may do what": {
        "login": _Entry("login", "Log in with a name and a password"),
        "logout": _Entry("logout", "End the session that `tt login` began"),
        "whoami": _Entry("whoami", "Say who the engine takes you for, and what you may do"),
        "users": _Entry("users", "List, create, change and disable people who log in"),
    },
    "act when something is wrong": {
        "risk": _Entry("risk", "Kill all bots at once; show and set limits of many bots"),
        "halt": _Entry("halt", "Stop sending, at once: all, a wallet, a leader or a market"),
        "breakers": _Entry("breakers", "List circuit breakers, or close one"),
        "dead-letters": _Entry("dead_letters", "List messages that were set aside, or replay one"),
        "backup": _Entry("backup", "Take, check and restore base backups of the database"),
        "doctor": _Entry("doctor", "Find out what is wrong with the machine and the engine"),
    },
    "bring followers over": {
        "migrate": _Entry("migrate", "Plan, apply, verify or take back a move from v1"),
    },
    "let an assistant look": {
        "mcp": _Entry("mcp", "Serve the engine to assistants (MCP), over stdio or HTTP"),
    },
    "get help": {
        "help": _Entry("help", "Explain places, profiles, output and exit statuses"),
        "schema": _Entry("schema", "Print the JSON schema of what a command answers"),
    },
}
_ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_SAYS = """\
tt looks at a copy-trading engine and acts on it: the run of this checkout, or
the one that TT_URL or a profile names ('tt help places').

These are the commands, by what they are for:
"""
_ENDS = """
'tt COMMAND --help' says what a command takes. Every command takes --json.
"""


class _Lazy(TyperGroup):
    """Commands by the table above."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(_ENTRIES)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _ENTRIES:
            return None
        if cmd_name not in self.commands:
            group = import_module(f"cli.commands.{_ENTRIES[cmd_name].module}").app
            self.commands[cmd_name] = typer.main.get_command(group)
            self.commands[cmd_name].name = cmd_name
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in _ENTRIES and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _ENTRIES, n=1)
            ctx.fail(f"no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(f"usage: {ctx.command_path} COMMAND [ARGS]\n\n{_SAYS}")
        width = max(map(len, _ENTRIES))
        for title, section in SECTIONS.items():
            lines = (f"   {name:<{width}}   {entry.says}\n" for name, entry in section.items())
            formatter.write(f"\n{title}\n{''.join(lines)}")
        formatter.write(_ENDS)

    def shell_complete(self, _ctx: Any, incomplete: str) -> list[Any]:
        from typer._click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=entry.says)
            for name, entry in _ENTRIES.items()
            if name.startswith(incomplete)
        ]


def application() -> Any:
    """Return the command of commands."""
    app = typer.Typer(
        cls=_Lazy, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.callback()(_root)
    return typer.main.get_command(app)


def _root() -> None:
    """`tt`."""


def module_of(name: str) -> str:
    """Return the module of a command, imported. Raises KeyError: there is no such command."""
    path = f"cli.commands.{_ENTRIES[name].module}"
    import_module(path)
    return path


def statuses() -> list[str]:
    """Return the exit statuses for people, a line each."""
    return [f"  {int(status):>3}  {meaning}" for status, meaning in MEANINGS.items()]
