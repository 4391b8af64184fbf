"""Declare commands: what it answers, by which schema, and the options that all have."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.errors import Failure, Status
from cli.output import Format, Shown, write
from cli.schemas import Schema

_FORMAT = Annotated[
    Format, typer.Option("--output", "-o", help="table, json, ndjson or csv.", show_default=False)
]
_JSON = Annotated[bool, typer.Option("--json", help="Short for -o json.", show_default=False)]
_PROFILE = Annotated[
    str, typer.Option("--profile", "-p", help="A profile of ~/.config/tt/config.toml.",
                      show_default=False)
]  # fmt: skip
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)]
NeverAsks = Annotated[
    bool, typer.Option("--yes", "-y", help="For scripts; nothing is asked.", show_default=False)
]
"""Of a command that makes things safe: whoever types -y by habit is not refused."""
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")]
Wallet = Annotated[str, typer.Option("--wallet", help="A follower's wallet, 0x and 40 digits.")]

_SCHEMAS: dict[str, Schema] = {}
chosen = {"profile": ""}
"""The profile that this call named."""


def noun(help_: str) -> typer.Typer:
    """Return a group of commands about one thing."""
    return typer.Typer(
        help=help_, no_args_is_help=True, rich_markup_mode=None, add_completion=False,
        pretty_exceptions_enable=False,
    )  # fmt: skip


def command(
    group: typer.Typer, name: str, schema: Schema
) -> Callable[[Callable[..., Shown | None]], Callable[..., Shown | None]]:
    """Declare a function as a command; what it returns is written as the caller wants it.

    Args:
        group: the noun that it belongs to.
        name: the verb; with a group of one command the noun itself.
        schema: of what it answers as JSON.
    """

    def declare(function: Callable[..., Shown | None]) -> Callable[..., Shown | None]:
        _SCHEMAS[f"{function.__module__}:{name}"] = schema
        signature = inspect.signature(function, eval_str=True)
        takes_format = "output" in signature.parameters

        def run(
            *, output: Format = Format.TABLE, json: bool = False, profile: str = "", **given: Any
        ) -> int:
            chosen["profile"] = profile
            desired = Format.JSON if json else output
            if takes_format:
                given["output"] = desired
            shown = function(**given)
            if shown is None:
                return Status.OK
            write(shown, desired)
            return shown.status

        added = {
            "output": (_FORMAT, Format.TABLE),
            "json": (_JSON, False),
            "profile": (_PROFILE, ""),
        }
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            if parameter.name != "output"
        ]
        ours = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kind)
            for key, (kind, value) in added.items()
        ]
        run.__signature__ = signature.replace(parameters=[*own, *ours])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *ours]}
        run.__doc__ = function.__doc__
        group.command(name)(run)
        return function

    return declare


def schema_of(module: str, verb: str) -> Schema | None:
    """Return the schema of a command whose module is imported."""
    return _SCHEMAS.get(f"{module}:{verb}")


def verbs_of(module: str) -> list[str]:
    """Return the verbs that an imported module has declared."""
    return [key.partition(":")[2] for key in _SCHEMAS if key.partition(":")[0] == module]


def ask(question: str, *, yes: bool) -> None:
    """Go on when a person says yes. Raises Failure: he does not, or nobody is there to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure(f"{question} Nobody is there to ask", Status.DECLINED, "--yes does it")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was done", Status.DECLINED)
