"""`tt mcp`: serve the engine to assistants by the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import engine
from cli.command import chosen, noun
from cli.core.allowance import Allowance
from cli.errors import Failure, Status
from tradingtools.domain.money import AmountError, parse_exact

app = noun("Serve the engine to assistants (MCP), over stdio or --http.")


@app.command("mcp")
def mcp(
    http: Annotated[
        str,
        typer.Option("--http", metavar="HOST:PORT", help="Streamable HTTP in place of stdio; each"
                     " request shows a token of the engine.", show_default=False),
    ] = "",
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="A further name that --http is asked for under; repeatable."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Of a page that may call --http from a browser, with scheme"
                     " and port; repeatable."),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="With tools that pause, halt, resume and resync.",
                     show_default=False),
    ] = False,
    usdc_per_call: Annotated[
        str, typer.Option("--usdc-per-call", metavar="USDC", help="What one change may cost.")
    ] = "0",
    usdc_per_day: Annotated[
        str, typer.Option("--usdc-per-day", metavar="USDC", help="What all of a UTC day may cost.")
    ] = "0",
    unasked: Annotated[
        bool,
        typer.Option("--unasked", help="Let money go also where the client cannot ask its person.",
                     show_default=False),
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", "-p", help="A profile of ~/.config/tt/config.toml.",
                          show_default=False)
    ] = "",
) -> None:  # fmt: skip
    """Serve until the client goes (stdio) or until Ctrl-C (--http)."""
    chosen["profile"] = profile
    allowance = Allowance(
        per_call=_micros("--usdc-per-call", usdc_per_call),
        per_day=_micros("--usdc-per-day", usdc_per_day),
    )
    try:
        from cli.mcp.journal import Journal, path_of
        from cli.mcp.server import build
        from cli.mcp.serving import Changes
    except ModuleNotFoundError as error:
        raise Failure(
            f"the package {error.name} is not installed", Status.USAGE,
            "pip install 'tradingtools[mcp]', or make setup in a checkout",
        ) from None  # fmt: skip
    changes = Changes(journal=Journal(path_of(), allowance), unasked=unasked) if (
        allow_changes
    ) else None  # fmt: skip
    server = build(engine.place(), over_http=bool(http), changes=changes)
    if http:
        from cli.mcp.http import serve

        serve(server, http, hosts=host or (), origins=origin or ())
    else:
        server.run()


def _micros(option: str, text: str) -> int:
    try:
        found = parse_exact(text)
    except AmountError as error:
        raise Failure(f"{option} {text}: {error}", Status.USAGE) from None
    if found < 0:
        raise Failure(f"{option} {text}: is below zero", Status.USAGE)
    return found
