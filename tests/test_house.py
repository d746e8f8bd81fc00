"""The rules of the house that no other tool holds."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import lazyana

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "lazyana"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_version.py")
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

# Tests that look at the project as a whole rather than at one module.
WHOLE = {"test_docs.py", "test_house.py"}

# Declared for what another package does with it: dashboards, and corrections in users' expressions.
USED_BY_OTHERS = {"bokeh"}
# Rooms of one thing in several modules, tested together.
TESTED_TOGETHER = {"toy"}

LONGEST = 500
NOT_IN_THE_PACKAGE = re.compile(
    r"\bissues?\b|\bmilestones?\b|\broadmap\b|\bTODO\b|\bFIXME\b|\braise NotImplementedError\b"
    r"|\b(?:DESIGN|STYLE|SPEC|FEATURES)\.md\b|\b20\d\d-\d\d-\d\d\b",
    re.IGNORECASE,
)


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def third_party_imports() -> Iterator[str]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                root = name.partition(".")[0]
                if root != "lazyana" and root not in sys.stdlib_module_names:
                    yield root


def declared_dependencies() -> set[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in project["dependencies"]}


def test_rooms_import_downwards_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_public_names_are_the_documented_ones() -> None:
    text = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    directive = r"^\s*\.\. auto(?:class|data|exception|function):: lazyana\.(\w+)\s*$"
    documented = re.findall(directive, text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert sorted(documented) == sorted(name for name in lazyana.__all__ if name != "__version__")


def test_public_names_exist_once() -> None:
    assert len(lazyana.__all__) == len(set(lazyana.__all__))
    assert [name for name in lazyana.__all__ if not hasattr(lazyana, name)] == []


def test_package_says_that_it_is_typed() -> None:
    assert resources.files("lazyana").joinpath("py.typed").is_file()


def test_dependencies_are_the_imported_ones() -> None:
    distributions = importlib.metadata.packages_distributions()
    imported = {name for root in third_party_imports() for name in distributions.get(root, [root])}
    assert imported == declared_dependencies() - USED_BY_OTHERS


def test_rooms_are_found() -> None:
    assert {"data", "engine", "frame", "plan", "report", "sinks"} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_opens_with_a_docstring_only(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "lazyana", "tests"])
def test_files_are_short(folder: str) -> None:
    lines = {
        relative(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in (PROJECT / folder).rglob("*.py")
    }
    assert lines
    assert {path: count for path, count in lines.items() if count > LONGEST} == {}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_speaks_of_what_it_does_only(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [f"{i}: {line}" for i, line in enumerate(lines, 1) if NOT_IN_THE_PACKAGE.search(line)]
    assert found == []


def test_every_module_has_its_tests() -> None:
    without = []
    for path in MODULES:
        if path.name in {"__init__.py", "__main__.py"}:
            continue
        if path.parent.name in TESTED_TOGETHER:
            continue
        folder = PROJECT / "tests" / path.parent.relative_to(PACKAGE)
        if not (folder / f"test_{path.name.lstrip('_')}").is_file():
            without.append(relative(path))
    assert without == []


def test_every_test_has_its_module() -> None:
    without = []
    for path in (PROJECT / "tests").rglob("test_*.py"):
        place = path.relative_to(PROJECT / "tests")
        if place.name in WHOLE or (place.parent.parts and place.parts[0] not in ROOMS):
            continue
        name = path.name.removeprefix("test_")
        if not any((PACKAGE / place.parent / each).is_file() for each in (name, f"_{name}")):
            without.append(relative(path))
    assert without == []


def test_guide_for_agents_is_short() -> None:
    assert len((PROJECT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= 80
