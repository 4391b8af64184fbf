"""The comments of the protos, which the generated modules do not carry.

Before it: the proto files. After it: `schemas` and `paths` put the words beside what they describe.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM, _VALUE, _METHOD = 2, 3, 4, 2, 2

Path_ = tuple[int, ...]


def comments() -> Mapping[str, str]:
    """Return what stands above each message, field, enum, value, service and RPC, by full name.

    A value is named below its enum, although protobuf's own names put it beside it.

    Raises:
        RuntimeError: the protos do not compile; the compiler has said why.
    """
    found: dict[str, str] = {}
    for file in _compiled().file:
        if file.package.startswith("tradingtools."):
            names = dict(_names(file))
            for location in file.source_code_info.location:
                name = names.get(tuple(location.path))
                if name is not None and location.leading_comments:
                    found[name] = _plain(location.leading_comments)
    return found


def _plain(comment: str) -> str:
    return "\n\n".join(
        " ".join(line.strip() for line in part.strip().splitlines())
        for part in comment.strip().split("\n\n")
    )


def _compiled() -> FileDescriptorSet:
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "set.pb"
        status = protoc.main(
            [
                "protoc",
                f"-I{ROOT / 'protos'}",
                f"-I{ROOT / 'third_party'}",
                f"-I{files('grpc_tools') / '_proto'}",
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={out}",
                *(str(path) for path in sorted((ROOT / "protos").rglob("*.proto"))),
            ]
        )
        if status != 0:
            raise RuntimeError("the protos do not compile")
        return FileDescriptorSet.FromString(out.read_bytes())


def _names(file: FileDescriptorProto) -> Iterator[tuple[Path_, str]]:
    for number, message in enumerate(file.message_type):
        yield from _of_message(message, (_MESSAGE, number), file.package)
    for number, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (_ENUM, number), file.package)
    for number, service in enumerate(file.service):
        at: Path_ = (_SERVICE, number)
        yield from _and_below(at, _METHOD, f"{file.package}.{service.name}", service.method)


def _of_message(message: DescriptorProto, at: Path_, scope: str) -> Iterator[tuple[Path_, str]]:
    name = f"{scope}.{message.name}"
    yield from _and_below(at, _FIELD, name, message.field)
    for number, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*at, _NESTED, number), name)
    for number, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*at, _NESTED_ENUM, number), name)


def _of_enum(enum: EnumDescriptorProto, at: Path_, scope: str) -> Iterator[tuple[Path_, str]]:
    yield from _and_below(at, _VALUE, f"{scope}.{enum.name}", enum.value)


def _and_below(at: Path_, kind: int, name: str, parts: Any) -> Iterator[tuple[Path_, str]]:
    yield at, name
    for number, part in enumerate(parts):
        yield (*at, kind, number), f"{name}.{part.name}"
