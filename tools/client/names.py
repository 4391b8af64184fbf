"""Names and words of the document in Python."""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap

_WIDTH = 88


def snake(name: str) -> str:
    """``pageSize`` and ``ListTriggers`` as Python spells them; builtins get an underscore."""
    found = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return f"{found}_" if keyword.iskeyword(found) or hasattr(builtins, found) else found


def docstring(words: str, indent: str) -> list[str]:
    """A docstring of some paragraphs, wrapped; none when there are no words."""
    if not words:
        return []
    paragraphs = [
        textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for paragraph in words.replace("\\", "\\\\").replace('"""', "'''").split("\n")
    ]
    lines = [line for wrapped in paragraphs for line in (wrapped or [""])]
    if len(lines) == 1 and not lines[0].endswith('"'):
        return [f'{indent}"""{lines[0]}"""']
    body = [f"{indent}{line}".rstrip() for line in lines[1:]]
    return [f'{indent}"""{lines[0]}', *body, f'{indent}"""']


def reference(schema: dict[str, str]) -> str:
    """The component's name behind a ``$ref``."""
    return schema["$ref"].rsplit("/", 1)[1]
