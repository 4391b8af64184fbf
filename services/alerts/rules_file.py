"""Reads a file of rules: YAML, judged field by field; an error names the file and the line.

Before it: the file that ships with the project, and an operator's own. After it: `core/rules`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from services.alerts.core import rules as core
from services.alerts.core.rules import RuleError, RuleFile, Rules

SHIPPED = "alerts.yaml"
_STEP = re.compile(r"\.?([\w-]+)|\[(\d+)\]")
_FIELD = re.compile(r"field `([^`]+)`")


class FileError(Exception):
    """A file of rules cannot be used; the message is one line with file, line and field."""


def shipped() -> RuleFile:
    """Return the rules that come with the project."""
    return parse((resources.files(__package__) / SHIPPED).read_text(encoding="utf-8"), SHIPPED)


def load(path: Path | None) -> Rules:
    """Read the shipped rules and an operator's file.

    Args:
        path: of his file; None: he has none.

    Raises:
        FileError: it cannot be read, or is wrong.
    """
    if path is None:
        return core.merge_rules(shipped(), RuleFile())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from None
    own = parse(text, str(path))
    try:
        return core.merge_rules(shipped(), own)
    except RuleError as error:
        raise _placed(
            str(path), yaml.compose(text, yaml.SafeLoader), error.path, str(error)
        ) from None


def parse(text: str, name: str) -> RuleFile:
    """Return what a file of rules says.

    Args:
        text: of the file.
        name: of the file, for errors.

    Raises:
        FileError: it is not YAML, or a field is wrong.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileError(f"{name}:{line}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FileError(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
    try:
        file = msgspec.convert({} if raw is None else raw, RuleFile)
        core.check(file)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        path = _path(where.rstrip("`"))
        if found := _FIELD.search(what):
            path = (*path, found[1])
        raise _placed(name, root, path, what) from None
    except RuleError as error:
        raise _placed(name, root, error.path, str(error)) from None
    return file


def _path(where: str) -> core.Path:
    """Return the steps of msgspec's ``$.rules[0].name``."""
    steps = (found.groups() for found in _STEP.finditer(where.removeprefix("$")))
    return tuple(name if name else int(place) for name, place in steps)


def _placed(name: str, root: Any, path: core.Path, what: str) -> FileError:
    """Return the error with the line of the deepest part of its path that there is."""
    line, node = 1, root
    for step in path:
        inner = _inner(node, step)
        if inner is None:
            break
        at, node = inner
        line = at + 1
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return FileError(f"{name}:{line}: {field.lstrip('.') or 'file'}: {what}")


def _inner(node: Any, step: str | int) -> tuple[int, Any] | None:
    """Return the line and the node of a field or an element."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found = node.value[step]
        return found.start_mark.line, found
    return None


def urls(rules: Rules, given: tuple[str, ...]) -> Mapping[str, tuple[core.Target, str]]:
    """Return every target with its URL, by name: those of the file and of the settings.

    Raises:
        FileError: a file with a URL cannot be read.
    """
    found = {f"target-{n}": (core.Target(name=f"target-{n}", url=url), url)
             for n, url in enumerate(given, 1)}  # fmt: skip
    for target in rules.targets:
        url = target.url
        if target.url_file:
            try:
                url = Path(target.url_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise FileError(
                    f"targets: {target.name}: url_file {target.url_file} cannot be read"
                ) from None
        found[target.name] = (target, url)
    return found
