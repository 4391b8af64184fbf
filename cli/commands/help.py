"""`tt help`: what holds for all commands."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.app import statuses
from cli.command import noun

app = noun("Explain places, output and exit statuses.")

_PLACES = """\
tt talks to the first of these that there is:

  1. the profile of --profile NAME or TT_PROFILE
  2. TT_URL, with TT_TOKEN; for operators TT_OPERATOR (host:port) and
     TT_OPERATOR_TOKEN, and TT_TLS_CA, TT_TLS_CERT, TT_TLS_KEY
  3. the newest run below .state of this folder, of one above it, or of the
     checkout that tt is part of; TT_LAUNCHER_STATE_DIR names another one
  4. the default profile

Profiles are in ~/.config/tt/config.toml:

  default = "production"

  [profiles.production]
  url = "https://control.example:8080"
  token_file = "~/.config/tt/production.token"
  operator = "control.example:9110"
  operator_token_file = "~/.config/tt/production.operator"
  tls_ca = "/etc/tt/ca.pem"

Who has logged in there (tt login) is who tt acts as; only TT_TOKEN comes before
a login. A read token reads, a manage token changes subscriptions, triggers and webhooks;
an operate token halts and looks at all followers (docs/api.md, Access).
"""
_OUTPUT = """\
Every command takes -o table, json, ndjson or csv; --json is -o json. Amounts are
decimal strings, and micros where a name ends so. 'tt schema COMMAND' prints the
JSON schema of what a command answers. Where something is changed, standard error
says on which engine. Errors are one line there, with what to do.
"""
_COMPLETION = """\
tt --install-completion     adds completion to your bash or zsh
tt --show-completion        prints it
"""


class Topic(StrEnum):
    """A topic of help."""

    PLACES = "places"
    OUTPUT = "output"
    STATUS = "status"
    COMPLETION = "completion"


@app.command("help")
def help_(
    topic: Annotated[Topic | None, typer.Argument(help="All without one.")] = None,
) -> None:
    """Explain places and profiles, output, exit statuses and completion."""
    texts = {
        Topic.PLACES: _PLACES,
        Topic.OUTPUT: _OUTPUT,
        Topic.STATUS: "\n".join(["Exit statuses:", *statuses(), ""]),
        Topic.COMPLETION: _COMPLETION,
    }
    sys.stdout.write("\n".join(t for name, t in texts.items() if topic in (None, name)))
