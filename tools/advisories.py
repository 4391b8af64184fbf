"""Command line: ``python -m tools.advisories DIRECTORY`` judges the pins by a copy of advisories.

Reads every advisory (OSV format, YAML or JSON) below a directory, as PyPA's advisory database and
osv.dev's export have them, and compares it with the pinned requirements; nothing is asked over the
network. Exit status 1 when a pinned version is affected, 2 when there is no advisory to read. What
is newer than the copy it cannot know, so it says how old the copy is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

import msgspec
import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tools.sbom import OTHERS, ROOT, RUNS, Pin, pins


class _Package(msgspec.Struct):
    name: str
    ecosystem: str


class _Range(msgspec.Struct):
    type: str
    events: list[dict[str, str]] = []


class _Affected(msgspec.Struct):
    package: _Package
    ranges: list[_Range] = []
    versions: list[str] = []


class Advisory(msgspec.Struct):
    """One weakness, and the versions that have it."""

    id: str
    modified: datetime
    affected: list[_Affected] = []
    aliases: list[str] = []
    summary: str = ""
    withdrawn: datetime | None = None

    def is_about(self, pin: Pin) -> bool:
        """Tell whether a pinned version has it."""
        return self.withdrawn is None and any(
            one.package.ecosystem == "PyPI"
            and canonicalize_name(one.package.name) == pin.name
            and (pin.version in one.versions or any(_has(pin.version, r) for r in one.ranges))
            for one in self.affected
        )


def _has(version: str, one: _Range) -> bool:
    """Return whether a version lies between one that introduced it and one that ended it."""
    if one.type != "ECOSYSTEM":
        return False
    pinned, inside = Version(version), False
    for event, reported in sorted(_events(one), key=lambda event: event[1]):
        if event == "introduced" and pinned >= reported:
            inside = True
        elif (event == "fixed" and pinned >= reported) or (
            event == "last_affected" and pinned > reported
        ):
            inside = False
    return inside


def _events(one: _Range) -> Iterator[tuple[str, Version]]:
    for event in one.events:
        for name, reported in event.items():
            try:
                yield name, Version(reported)
            except InvalidVersion:
                # A limit that no version of today's form can be compared with.
                continue


def _of_yaml(text: bytes) -> Advisory:
    # Every scalar as it is written: an instant is read here, and a version is never a number.
    return msgspec.convert(yaml.load(text, Loader=yaml.CBaseLoader), Advisory)  # noqa: S506


_DECODERS = {".json": msgspec.json.Decoder(Advisory).decode, ".yaml": _of_yaml}


def read(directory: Path) -> list[Advisory]:
    """Read every advisory below a directory.

    Raises:
        ValueError: a file is none; the message names it.
    """
    found = []
    for path in sorted(directory.rglob("*")):
        decode = _DECODERS.get(path.suffix)
        if decode is None or not path.is_file():
            continue
        try:
            found.append(decode(path.read_bytes()))
        except (msgspec.MsgspecError, yaml.YAMLError) as error:
            raise ValueError(f"{path}: {error}") from None
    return found


def findings(pinned: Iterable[Pin], advisories: Iterable[Advisory]) -> list[str]:
    """Return a line for each pinned version that is affected."""
    known = sorted(pinned, key=lambda pin: (pin.name, pin.version))
    reported = sorted(advisories, key=lambda advisory: advisory.id)
    return [
        f"{pin.name} {pin.version}: {' '.join([one.id, *one.aliases])} {one.summary}".rstrip()
        for pin in known
        for one in reported
        if one.is_about(pin)
    ]


def main(arguments: list[str]) -> int:
    """Judge the project's pins; the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tools.advisories DIRECTORY\n")
        return 2
    try:
        advisories = read(Path(arguments[0]))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not advisories:
        sys.stderr.write(f"{arguments[0]}: no advisory there\n")
        return 2
    files = (RUNS, *OTHERS)
    pinned = set(chain.from_iterable(pins((ROOT / name).read_text()) for name in files))
    found = findings(pinned, advisories)
    newest = max(advisory.modified for advisory in advisories)
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"{len(pinned)} pins, {len(advisories)} advisories, the newest of {newest:%Y-%m-%d}:"
        f" {len(found)} found\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
