"""The reference of settings in the documentation."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from tools import settings_tables
from tradingtools.settings import PREFIX, PROCESSES, SharedSettings

ROOT = settings_tables.DOCUMENT.parent.parent


def test_the_committed_document_is_current() -> None:
    committed = settings_tables.DOCUMENT.read_text(encoding="utf-8")
    assert committed == settings_tables.document(), "run python -m tools.settings_tables"


def test_every_process_is_in_it() -> None:
    named = {name.upper() for name, _, _ in settings_tables.PROCESSES}
    assert named == set(PROCESSES) - {"TEST"}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("services", "paper", "launcher")
        for path in (ROOT / folder).rglob("settings.py")
    }
    listed = {kind.__module__ for _, kind, _ in settings_tables.PROCESSES}
    assert modules <= listed


@pytest.mark.parametrize(
    ("name", "kind"),
    [("", SharedSettings), *((name, kind) for name, kind, _ in settings_tables.PROCESSES)],
)
def test_every_setting_is_explained(name: str, kind: type[typing.Any]) -> None:
    hints = typing.get_type_hints(kind)
    own = [f.name for f in dataclasses.fields(kind) if not dataclasses.is_dataclass(hints[f.name])]
    said = settings_tables.meanings(kind)
    text = settings_tables.document()
    for field in own:
        prefix = f"{PREFIX}{name.upper()}_" if name else PREFIX
        assert f"| `{prefix}{field.upper()}` |" in text
        assert said[field].endswith(".")


def test_a_secret_is_not_shown() -> None:
    assert "| `TT_DATABASE_URL` | secret text | empty |" in settings_tables.document()
