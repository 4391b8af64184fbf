"""`tt schema`: the JSON schema of what a command answers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli import app as commands
from cli.command import noun, schema_of, verbs_of
from cli.errors import Failure, Status
from cli.output import say

app = noun("Print the JSON schema of what a command answers.")


@app.command("schema")
def schema(
    words: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="`subs list`, or `status`.")
    ],
) -> None:
    """Print the JSON schema of a command's answer."""
    try:
        module = commands.module_of(words[0])
    except KeyError:
        raise Failure(f"no command {words[0]!r}", Status.USAGE, "tt --help") from None
    found = schema_of(module, words[-1])
    if found is None:
        verbs = ", ".join(verbs_of(module)) or "none has a schema"
        raise Failure(f"{' '.join(words)}: say one of {verbs}", Status.USAGE)
    say(json.dumps(found(), indent=2))
