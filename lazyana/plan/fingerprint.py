"""Content hashes: the same analysis has the same fingerprint in every process.

dask's keys are no use for this: they depend on the process (coffea's schemas iterate over
sets, corrections get random names, arrays are named by their address).
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
import types
from collections.abc import Mapping, Set
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputTypeError
from lazyana.plan.program import Program, Ref, Step

_LIBRARIES = tuple(
    {Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "purelib", "platlib")}
)


def fingerprint(value: Any) -> str:
    """Hash of what a value is: its type and content, or the code of a function.

    Parameters
    ----------
    value
        Anything made of plain data, arrays, functions and objects that can be pickled.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputTypeError
        An object that says nothing of its content.
    """
    return Hasher().digest(value).hex()


def program_fingerprint(program: Program) -> str:
    """Hash of a whole program: its steps, what it keeps and what it reads.

    Keys do not count, only what the steps do.
    """
    hasher = Hasher()
    contents = step_contents(program.steps, hasher)
    outputs = [
        (booking.output, booking.sink, label, contents[key])
        for booking in program.bookings
        for label, key in sorted(booking.keys.items())
    ]
    branches = program.read.branches if program.read else ()
    return hasher.digest((outputs, branches)).hex()


def step_contents(steps: tuple[Step, ...], hasher: Hasher | None = None) -> dict[str, bytes]:
    """For each key, the hash of the whole computation behind it."""
    hasher = hasher or Hasher()
    contents: dict[str, bytes] = {}
    for step in steps:
        contents[step.key] = hasher.step(step, contents)
    return contents


class Hasher:
    """Hashes values by content, each big object once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._active: list[int] = []
        self._contents: Mapping[str, bytes] = {}

    def step(self, step: Step, contents: Mapping[str, bytes]) -> bytes:
        """Hash of a step, given the hashes of those it takes values from."""
        self._contents = contents
        try:
            return self.digest((step.function, step.args, step.kwargs))
        finally:
            self._contents = {}

    def digest(self, value: Any) -> bytes:
        """Hash of one value."""
        if isinstance(value, Ref):
            return _hash(b"ref", self._contents.get(value.key, value.key.encode()))
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return _hash(type(value).__name__.encode(), repr(value).encode())
        if isinstance(value, tuple | list):
            return _hash(type(value).__name__.encode(), *map(self.digest, value))
        if isinstance(value, Mapping):
            items = sorted((self.digest(key), self.digest(item)) for key, item in value.items())
            return _hash(b"mapping", *(part for pair in items for part in pair))
        if isinstance(value, Set):
            return _hash(b"set", *sorted(map(self.digest, value)))
        if isinstance(value, slice):
            return self.digest(("slice", value.start, value.stop, value.step))
        return self._object(value)

    def _object(self, value: Any) -> bytes:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._active:
            # A function or object that refers to itself: by its place in the nesting.
            return _hash(b"again", str(len(self._active) - self._active.index(id(value))).encode())
        self._active.append(id(value))
        try:
            digest = self._uncached(value)
        finally:
            self._active.pop()
        self._known[id(value)] = (value, digest)
        return digest

    def _uncached(self, value: Any) -> bytes:
        if isinstance(value, np.ndarray | np.generic):
            array = np.ascontiguousarray(value)
            if array.dtype.hasobject:
                return self.digest(("objects", array.shape, array.tolist()))
            return _hash(b"array", str((array.dtype.str, array.shape)).encode(), array.tobytes())
        if isinstance(value, np.dtype):
            return _hash(b"dtype", value.str.encode())
        if isinstance(value, ak.Array | ak.Record):
            form, length, buffers = ak.to_buffers(ak.to_packed(value))
            return self.digest(("awkward", form.to_json(), length, dict(buffers)))
        if isinstance(value, types.ModuleType):
            return _hash(b"module", value.__name__.encode())
        if isinstance(value, partial):
            return self.digest(("partial", value.func, value.args, value.keywords))
        if isinstance(value, types.MethodType):
            return self.digest(("method", value.__self__, value.__func__))
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, type):
            return self._class(value)
        if callable(value) and hasattr(value, "__qualname__"):
            return self._function(value)
        if isinstance(value, np.ufunc):
            return _hash(b"ufunc", value.__name__.encode())
        return self._reduced(value)

    def _function(self, function: Any) -> bytes:
        name = f"{function.__module__}.{function.__qualname__}".encode()
        if not isinstance(function, types.FunctionType):
            return _hash(b"builtin", name)
        if _from_library(function.__module__) and "<" not in function.__qualname__:
            return _hash(b"function", name)
        cells = [_cell(cell) for cell in function.__closure__ or ()]
        used = {
            name: function.__globals__[name]
            for name in sorted(_names(function.__code__))
            if name in function.__globals__
        }
        return self.digest(
            ("code", function.__code__, function.__defaults__, function.__kwdefaults__, cells, used)
        )

    def _code(self, code: types.CodeType) -> bytes:
        return self.digest(("code", code.co_code, code.co_names, code.co_consts, code.co_varnames))

    def _class(self, kind: type) -> bytes:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if _from_library(kind.__module__):
            return _hash(b"class", name.encode())
        members = {
            key: member
            for key, member in vars(kind).items()
            if isinstance(member, types.FunctionType | int | float | str | tuple)
            and key not in ("__doc__", "__firstlineno__")
        }
        return self.digest(("class", name, members, kind.__bases__))

    def _reduced(self, value: Any) -> bytes:
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            msg = (
                f"A {type(value).__name__} is used in the analysis that cannot be sent to workers "
                f"({error}). Make it inside the function that uses it."
            )
            raise InputTypeError(msg) from error
        if isinstance(reduced, str):
            return _hash(b"global", f"{type(value).__module__}.{reduced}".encode())
        parts = [list(part) if inspect.isgenerator(part) else part for part in reduced]
        parts = [list(part) if hasattr(part, "__next__") else part for part in parts]
        return self.digest(("object", *parts))


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            names |= _names(value)
    return names


def _from_library(module: str | None) -> bool:
    """Whether code belongs to Python, an installed package or lazyana: its version says it all."""
    if module is None or module in ("builtins", "__main__"):
        return module == "builtins"
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root == "lazyana":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return root in sys.modules and root not in ("__main__", "__mp_main__")
    path = Path(file).resolve()
    return any(library in path.parents for library in _LIBRARIES)
