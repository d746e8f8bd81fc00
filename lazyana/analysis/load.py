"""Configurations out of Python files."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from lazyana.analysis.coffearunner.schema import is_coffearunner
from lazyana.analysis.config import Analysis
from lazyana.analysis.mistakes import told
from lazyana.errors import FileError, InputError, InputTypeError, LazyanaError, did_you_mean

NAME = "cfg"
"""What a configuration is called in its file."""

_beside: set[str] = set()
"""Modules of the configuration that was loaded last: those of the next one may be called alike."""


def load_config(path: str | Path) -> Analysis:
    """The configuration in a Python file.

    Modules beside the file can be imported in it (``from workflow import …``), and are sent along
    to the workers of a cluster, which need not have them.

    Parameters
    ----------
    path
        The file, which makes an `Analysis` called ``cfg``; or a dictionary as CoffeaRunner has
        them, which is translated: what each key became is logged, as ``lazyana``.

    Raises
    ------
    FileError
        No such file, or one that is no Python.
    InputTypeError
        A file without ``cfg``, or with one that is neither.
    InputError
        A file that cannot be executed; something of CoffeaRunner that does not exist or cannot be
        translated.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        beside = [one.name for one in file.parent.glob("*.py")] if file.parent.is_dir() else []
        msg = f"There is no configuration {file}.{did_you_mean(file.name, beside)}"
        raise FileError(msg)
    if file.suffix != ".py":
        msg = f"The configuration {file} is no Python file (.py)."
        raise FileError(msg)
    for name in _beside:
        sys.modules.pop(name, None)
    _beside.clear()
    before = set(sys.modules)
    try:
        with _importable(file.parent):
            module = _executed(file)
    finally:
        _beside.update(
            name for name in set(sys.modules) - before if _is_beside(sys.modules[name], file.parent)
        )
    for name in _beside:
        cloudpickle.register_pickle_by_value(sys.modules[name])
    found: Any = getattr(module, NAME, None)
    if isinstance(found, Analysis):
        return found
    if isinstance(found, Mapping) and is_coffearunner(found):
        return _translated(found, file)
    what = f"its {NAME} is of type {type(found).__name__}" if found is not None else f"no {NAME}"
    msg = f"There is no configuration in {file}, {what}: write {NAME} = Configurator(...) in it."
    raise InputTypeError(msg)


def _translated(found: Mapping[str, Any], file: Path) -> Analysis:
    """The analysis that a dictionary of CoffeaRunner describes, with notices of how."""
    from lazyana.analysis.coffearunner.translation import translated

    sections, notices = translated(found, file.parent)
    for notice in notices:
        logging.getLogger("lazyana").warning("%s: %s", file.name, notice)
    return Analysis(**sections)


def _executed(file: Path) -> ModuleType:
    """The module that a file makes, known by the name of the file."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None  # a .py file always has one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except LazyanaError:
        raise
    except (Exception, SystemExit) as error:
        msg = f"The configuration {file} cannot be executed: {told(error)}"
        raise InputError(msg) from error
    return module


def _is_beside(module: ModuleType, folder: Path) -> bool:
    """Whether a module was imported from a folder or one in it."""
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).absolute().is_relative_to(folder)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Have modules of a folder found first."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
