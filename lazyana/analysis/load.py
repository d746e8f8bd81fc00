"""Configurations out of Python files."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
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

    Modules beside the file and in the current folder can be imported in it (``from workflow import
    …``), and are sent along to the workers of a cluster, which need not have them.

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
            name
            for name in set(sys.modules) - before
            if _is_beside(sys.modules[name], (file.parent, Path.cwd()))
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
        msg = f"The configuration {file} cannot be executed: {told(error)}{_instead(error)}"
        raise InputError(msg) from error
    return module


def _instead(error: BaseException) -> str:
    """What to write instead of an import that fails, as the end of a message."""
    if not isinstance(error, ImportError) or error.name is None:
        return ""
    package, _, _ = error.name.partition(".")
    if package == "pocket_coffea":
        return (
            "\nIts configurations run with other imports, of lazyana: which ones is in the table "
            "'From PocketCoffea' of the documentation on configurations."
        )
    name = re.search(r"cannot import name '(\w+)'", str(error))
    if package == "lazyana" and name and name[1].startswith("jet_correction"):
        return (
            "\nJets are corrected by calibrators of the configuration, such as 'jet_calibration': "
            "leave the import out."
        )
    if package == "lazyana" and name:
        there = [one for one in vars(sys.modules[error.name]) if not one.startswith("_")]
        return did_you_mean(name[1], there).replace(" ", "\n", 1)
    return ""


def _is_beside(module: ModuleType, folders: Iterable[Path]) -> bool:
    """Whether a module is in some folders, and not in those of installed packages or of ours."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    path = Path(file).absolute()
    installed = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    others = [str(Path(__file__).absolute().parents[1]), *installed]
    return any(map(path.is_relative_to, folders)) and not any(map(path.is_relative_to, others))


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Have modules of a folder found first, and those of the current one last."""
    paths = [str(folder), str(Path.cwd())]
    sys.path[:] = [paths[0], *sys.path, paths[1]]
    try:
        yield
    finally:
        sys.path.remove(paths[0])
        # The last of it: the same folder may have been there before.
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(paths[1])]
