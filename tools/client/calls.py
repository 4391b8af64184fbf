"""The document's operations as methods, and for each list one that turns its pages.

Which operation creates and which heeds If-Match is read from its parameters, so a new one needs no
change here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.client.models import DocumentError, Json, type_of
from tools.client.names import docstring, reference, snake

_HEADER = '''"""The calls of the REST surface. Generated from docs/openapi.json by `make proto`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tradingtools_client import models
from tradingtools_client.session import ServerSentEvent, Session, segment


class Client:
    """One method for each operation, and `all_...` for each list.

    Every one raises ApiError when it is refused and Unreachable when there is no answer.

    Args:
        session: with the edge's URL and a token.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    name: str
    place: str
    kind: str
    needed: bool

    @property
    def requested(self) -> str:
        """As the method takes it."""
        plain = f"{snake(self.name)}: {self.kind}"
        return plain if self.needed else f"{plain} | None = None"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    name: str
    verb: str
    path: str
    words: str
    parameters: tuple[_Parameter, ...]
    body: str
    answer: str
    creates: bool
    versioned: bool

    def of(self, place: str) -> list[_Parameter]:
        return [p for p in self.parameters if p.place == place]


def calls(document: Json) -> str:
    """The source of the module.

    Raises:
        DocumentError: an operation of a form that is not known.
    """
    lines = [_HEADER]
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            found = _operation(path, verb.upper(), operation)
            lines += ["", *_method(found), *_pages(found, document)]
    return "\n".join(lines) + "\n"


def _operation(path: str, verb: str, operation: Json) -> _Operation:
    name = operation["operationId"]
    given = operation.get("parameters", [])
    shared = {reference(p) for p in given if "$ref" in p}
    unknown = shared - {"IdempotencyKey", "IfMatch", "LastEventId"}
    if unknown:
        raise DocumentError(f"{name}: parameters that are not known: {sorted(unknown)}")
    good = next(r for s, r in operation["responses"].items() if s.startswith("2"))
    return _Operation(
        name=snake(name),
        verb=verb,
        path=path,
        words=operation["description"],
        parameters=tuple(_parameter(name, p) for p in given if "$ref" not in p),
        body=_typed(operation["requestBody"], name, closed=True)
        if "requestBody" in operation
        else "",
        answer=_STREAM
        if "text/event-stream" in good["content"]
        else _typed(good, name, closed=False),
        creates="IdempotencyKey" in shared,
        versioned="IfMatch" in shared,
    )


def _parameter(operation: str, parameter: Json) -> _Parameter:
    where = f"{operation}.{parameter['name']}"
    return _Parameter(
        name=parameter["name"],
        place=parameter["in"],
        kind=type_of(parameter["schema"], where=where, closed=True),
        needed=parameter.get("required", False),
    )


def _typed(of: Json, where: str, *, closed: bool) -> str:
    schema = of["content"]["application/json"]["schema"]
    kind = type_of(schema, where=where, closed=closed)
    return f"models.{kind}" if "$ref" in schema else kind


def _signature(operation: _Operation, *, without: str = "") -> str:
    requested = [parameter.requested for parameter in operation.of("path")]
    if operation.body:
        requested.append(f"body: {operation.body}")
    named = [p.requested for p in operation.of("query") if p.name != without]
    if operation.creates:
        named.append("idempotency_key: str | None = None")
    if operation.versioned:
        named.append("if_match: str | None = None")
    return ", ".join(["self", *requested, *(["*", *named] if named else [])])


_STREAM = "Iterator[ServerSentEvent]"


def _answer(good: Json, where: str) -> str:
    if "text/event-stream" in good["content"]:
        return _STREAM
    return _typed(good, where, closed=False)


def _method(operation: _Operation) -> list[str]:
    path = re.sub(r"\{(\w+)\}", lambda m: f"{{segment({snake(m[1])})}}", operation.path)
    spelled = f'f"{path}"' if "{" in path else f'"{path}"'
    if operation.creates:
        body = "body" if operation.body else "None"
        ask = f"self._session.create({spelled}, {body}, idempotency_key)"
    else:
        words = [f'"{operation.verb}"', spelled]
        query = ", ".join(f'"{p.name}": {snake(p.name)}' for p in operation.of("query"))
        words += [f"query={{{query}}}"] if query else []
        words += ["body=body"] if operation.body else []
        words += ["if_match=if_match"] if operation.versioned else []
        call = "follow" if operation.answer == _STREAM else "call"
        words = words[1:] if operation.answer == _STREAM else words
        ask = f"self._session.{call}({', '.join(words)})"
    return [
        f"    def {operation.name}({_signature(operation)}) -> {operation.answer}:",
        *docstring(operation.words, " " * 8),
        f"        found: {operation.answer} = {ask}",
        "        return found",
    ]


def _pages(operation: _Operation, document: Json) -> list[str]:
    """A method that turns the pages; none for an operation without them."""
    if "pageToken" not in [p.name for p in operation.parameters]:
        return []
    answer = document["components"]["schemas"][operation.answer.removeprefix("models.")]
    lists = {n: s for n, s in answer["properties"].items() if s.get("type") == "array"}
    if len(lists) != 1:
        raise DocumentError(f"{operation.name}: has pages, but not of one list")
    [(items, schema)] = lists.items()
    kind = f"models.{reference(schema['items'])}"
    names = [snake(p.name) for p in operation.of("path")]
    names += [f"{snake(p.name)}={snake(p.name)}" for p in operation.of("query")]
    every = f"all_{operation.name.removeprefix('list_')}"
    signature = _signature(operation, without="pageToken")
    return [
        "",
        f"    def {every}({signature}) -> Iterator[{kind}]:",
        f'        """Page by page what `{operation.name}` lists."""',
        '        page_token = ""',
        "        while True:",
        f"            page = self.{operation.name}({', '.join(names)})",
        f'            yield from page["{items}"]',
        '            page_token = page["nextPageToken"]',
        "            if not page_token:",
        "                return",
    ]
