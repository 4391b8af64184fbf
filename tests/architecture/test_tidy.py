"""Test what review keeps missing: generated code, help, banned calls, comments, dead links."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "tradingtools",
    "tradingtools_client",
    "services",
    "paper",
    "launcher",
    "cli",
    "replay",
    "backtest",
    "backup",
)
GENERATED = ROOT / "tradingtools" / "v1"
PROTOS = sorted((ROOT / "protos").rglob("*.proto"))
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if GENERATED not in path.parents
]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_generated_code_is_that_of_the_protos(tmp_path: Path) -> None:
    def generate(protos: list[Path], *kinds: str) -> None:
        outs = [f"--{kind}_out={tmp_path}" for kind in kinds]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "-Ithird_party"]
        # The plugins of the stubs lie beside the interpreter.
        environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        names = [_name(path) for path in protos]
        subprocess.run(
            [*command, *outs, *names], cwd=ROOT, check=True, env=environ, capture_output=True
        )

    generate(PROTOS, "python", "mypy")
    with_services = [path for path in PROTOS if "\nservice " in path.read_text()]
    generate(with_services, "grpc_python", "mypy_grpc")
    fresh = {path.name: path.read_bytes() for path in tmp_path.rglob("*_pb2*")}
    committed = {path.name: path.read_bytes() for path in GENERATED.glob("*_pb2*")}
    assert fresh.keys() == committed.keys()
    assert [name for name in fresh if fresh[name] != committed[name]] == []


def test_every_target_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    said = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in phony[1].split():
        assert re.search(rf"^  {re.escape(target)} +\S", said, re.MULTILINE), target


@pytest.mark.parametrize("path", PROTOS, ids=_name)
def test_every_rpc_has_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    bare = [
        line.strip()
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\s*rpc ", line) and not before.strip().startswith("//")
    ]
    assert bare == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        _name(path)
        for path in SOURCES
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


_QUESTION = re.compile(r"(How|That|Those|What|Whatever|Whether|Which|Who|Whoever|Whose|Why)\b")
_GENERATED = ("tradingtools_client/api.py", "tradingtools_client/models.py")


def _docstrings(path: Path) -> list[str]:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.walk(ast.parse(path.read_text()))
    return [ast.get_docstring(node) or "" for node in tree if isinstance(node, nodes)]


def test_no_docstring_opens_with_a_question_word() -> None:
    """A function's says what it does ("Return...", "Send..."), another one's what the thing is."""
    found = [
        f"{_name(path)}: {text.splitlines()[0]}"
        for path in (*SOURCES, *(ROOT / "tools").rglob("*.py"), *(ROOT / "bench").rglob("*.py"))
        if not _name(path).startswith(_GENERATED)
        for text in _docstrings(path)
        if _QUESTION.match(text)
    ]
    assert found == []


_ARGUMENTS = re.compile(r"^Args:\n((?: .*\n?|\n)+)", re.MULTILINE)
_ARGUMENT = re.compile(r"^    ([\w*]+(?:, [\w*]+)*):", re.MULTILINE)


def _parameters(node: ast.AST) -> set[str]:
    """Return the parameters of a function, or of the making of a class's objects."""
    found: set[str] = set()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        found = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    elif isinstance(node, ast.ClassDef):
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                found.add(one.target.id)
            elif isinstance(one, ast.FunctionDef) and one.name == "__init__":
                found |= _parameters(one)
    return found


def _wrong_arguments(node: ast.AST) -> list[str]:
    nodes = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    text = (ast.get_docstring(node) or "") if isinstance(node, nodes) else ""
    section = _ARGUMENTS.search(text)
    named = _ARGUMENT.findall(section[1]) if section else []
    known = _parameters(node)
    return [one for names in named for one in names.split(", ") if one.strip("*") not in known]


def test_each_argument_of_a_docstring_is_a_parameter() -> None:
    """A renaming leaves the name of before behind, and no type checker reads it."""
    found = [
        f"{_name(path)}: {one}"
        for path in (*SOURCES, *(ROOT / "tools").rglob("*.py"), *(ROOT / "bench").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        for one in _wrong_arguments(node)
    ]
    assert found == []


def test_nobody_prints_and_nobody_catches_everything() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            printed = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            )
            bare = isinstance(node, ast.ExceptHandler) and node.type is None
            if printed or bare:
                found.append(f"{_name(path)}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_contracts_of_imports_name_every_venue() -> None:
    contracts = (ROOT / ".importlinter").read_text()
    folders = {path.parent.name for path in (ROOT / "tradingtools/venues").glob("*/__init__.py")}
    for contract in ("forbidden_modules =\n    tradingtools.storage", "contract:venues]"):
        _, _, rest = contracts.partition(contract)
        named = set(
            re.findall(r"^    tradingtools\.venues\.(\w+)$", rest.partition("\n[")[0], re.M)
        )
        assert folders <= named, contract


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert [_name(path) for path in SOURCES if marks.search(path.read_text())] == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_links_of_the_documentation_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    dead = [
        target
        for target in targets
        if not target.startswith(("http://", "https://")) and not (path.parent / target).exists()
    ]
    assert dead == []


def test_settings_explain_themselves() -> None:
    silent = []
    for path in SOURCES:
        if path.name != "settings.py" or path.parent.name == "runtime":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                silent += [f"{_name(path)}: {name}" for name in _undocumented(node)]
    assert silent == []


def _undocumented(node: ast.ClassDef) -> list[str]:
    found = []
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        explained = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if field.target.id != "shared" and not explained:
            found.append(field.target.id)
    return found
