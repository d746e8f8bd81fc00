"""The checks of `.ci/run`, one by one and on every supported Python: `nox -s tests-3.12`."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests", "docs", "examples"]

ROOT = Path(__file__).parent


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and layers."""
    session.install(".[lint]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The test suite; arguments after `--` go to pytest."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The test suite with branch coverage."""
    session.install(".[test]")
    session.run("pytest", "--cov", "--cov-report=term", "--cov-report=html", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as HTML, in docs/_build/html."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def examples(session: nox.Session) -> None:
    """Every script of examples/, each in an empty folder."""
    session.install(".")
    for script in sorted((ROOT / "examples").glob("*.py")):
        with session.chdir(session.create_tmp()):
            session.run("python", str(script), env={"MPLBACKEND": "Agg"})
