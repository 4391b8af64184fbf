"""Command line: ``python -m paper.clickhouse --directory DIR --port PORT``."""

from __future__ import annotations

import argparse
from pathlib import Path

from aiohttp import web

from paper.clickhouse.server import Server

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m paper.clickhouse")
    parser.add_argument("--directory", type=Path, required=True, help="of its data")
    parser.add_argument("--port", type=int, default=8123)
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    web.run_app(Server(given.directory).app(), host="127.0.0.1", port=given.port, print=None)
