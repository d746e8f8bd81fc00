"""Content hashes: the same analysis has the same fingerprint in every process.

dask's keys are no use for this: they depend on the process (coffea's schemas iterate over
sets, corrections get random names, arrays are named by their address).
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache, cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from lazyana.errors import InputTypeError
from lazyana.plan.program import Booking, Program, Ref, Step

_LIBRARIES = tuple(
    {Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "purelib", "platlib")}
)
# Of a class: what Python derives from the rest, or what says nothing of how it behaves.
_DERIVED = frozenset(
    (
        *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__slots__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
        *("__dataclass_fields__", "__dataclass_params__", "__match_args__"),
        *("__parameters__", "__orig_bases__"),
    )
)
_FLAT = (float, str, int, bool, type(None), complex, bytes)
_SEQUENCES = (tuple, list)
_MAPPINGS = (dict, types.MappingProxyType)
_SETS = (set, frozenset)
_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


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
    """Hash of a whole program: its steps, what it keeps, its variations and what it reads.

    Keys do not count, only what the steps do. Variations count as they are declared: written out
    they would have many times as many steps, and say the same.
    """
    hasher = Hasher()
    contents = step_contents(program.steps, hasher)
    kept = sorted(
        (booking.output, sorted(booking.variations), _made_of(booking, contents))
        for booking in program.bookings
    )
    shifts = sorted(
        (shift.variation, sorted((contents[a], contents[b]) for a, b in shift.replacements.items()))
        for shift in program.shifts
    )
    read = program.read
    reads = (read.schema, read.branches, sorted(read.buffers)) if read is not None else ()
    return hasher.digest((kept, shifts, reads)).hex()


def output_fingerprints(program: Program) -> dict[str, str]:
    """Hash of each output: changes if and only if something that it is made of does."""
    hasher = Hasher()
    contents = step_contents(program.steps, hasher)
    schema = program.read.schema if program.read is not None else None
    return {
        booking.output: hasher.digest((schema, _made_of(booking, contents))).hex()
        for booking in program.bookings
    }


def step_contents(steps: tuple[Step, ...], hasher: Hasher | None = None) -> dict[str, bytes]:
    """For each key, the hash of the whole computation behind it."""
    hasher = hasher or Hasher()
    contents: dict[str, bytes] = {}
    for step in steps:
        contents[step.key] = hasher.step(step, contents)
    return contents


def _made_of(booking: Booking, contents: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return [(label, contents[key]) for label, key in sorted(booking.keys.items())]


class Hasher:
    """Hashes values by content, each big object once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._active: dict[int, int] = {}
        self._lowest = sys.maxsize
        self._places: Mapping[str, int] = {}
        self._refs = 0

    def step(self, step: Step, contents: Mapping[str, bytes]) -> bytes:
        """Hash of a step, given the hashes of those it takes values from."""
        values = [contents.get(key) or _joined(b"@", key.encode()) for key in step.refs]
        if len(set(values)) < len(values):  # equal values are one, whatever they are called
            distinct = list(dict.fromkeys(values))
            places = dict(zip(step.refs, map(distinct.index, values), strict=True))
            return _hash(self._own(step, places), *distinct)
        if step.own_hash is None:
            step.keep_own_hash(self._own(step, dict(zip(step.refs, count(), strict=False))))
        return _hash(step.own_hash or b"", *values)

    def _own(self, step: Step, places: Mapping[str, int]) -> bytes:
        """Hash of a step but for the values it takes, which it names by their places."""
        self._places = places
        try:
            parts = [b"step", self._text(step.function), *map(self._text, step.args), b""]
            for name, item in sorted(step.kwargs.items()) if step.kwargs else ():
                parts += [name.encode(), self._text(item)]
            return _hash(*parts)
        finally:
            self._places = {}

    def digest(self, value: Any) -> bytes:
        """Hash of one value."""
        return _hash(self._text(value))

    def _text(self, value: Any) -> bytes:  # noqa: PLR0911  (one line a kind)
        """What a value is, as bytes that no other value has: short ones in full, objects hashed."""
        kind = type(value)
        if kind is Ref:
            self._refs += 1
            place = self._places.get(value.key)
            return _joined(b"@", value.key.encode()) if place is None else b"@%d" % place
        if kind in _FLAT:
            # repr tells 0.0 from -0.0, and the type True from 1 and 1.0.
            return b"=%b %b" % (_name(kind), repr(value).encode())
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if kind in _SEQUENCES:
            return _joined(b"(", _name(kind), *map(self._text, value))
        if kind in _MAPPINGS:
            # The order of a mapping can matter: it is that of the fields of a zipped record.
            pairs = (self._text(part) for item in value.items() for part in item)
            return _joined(b"{", _name(kind), *pairs)
        if kind in _SETS:
            return _joined(b"set", *sorted(map(self._text, value)))
        if kind is slice:
            return self._text(("slice", value.start, value.stop, value.step))
        return self._object(value)

    def _object(self, value: Any) -> bytes:
        """Hash of an object, remembered unless it depends on where it is."""
        depth, refs = len(self._active), self._refs
        if id(value) in self._active:
            # A function or object that refers to itself: by its place in the nesting.
            place = self._active[id(value)]
            self._lowest = min(self._lowest, place)
            return _hash(b"again", str(depth - place).encode())
        outer, self._lowest = self._lowest, sys.maxsize
        self._active[id(value)] = depth
        try:
            digest = _hash(self._uncached(value))
        finally:
            del self._active[id(value)]
            whole = self._lowest >= depth
            self._lowest = outer if whole else min(outer, self._lowest)
        if whole and self._refs == refs:
            self._known[id(value)] = (value, digest)
        return digest

    def _uncached(self, value: Any) -> bytes:  # noqa: PLR0911  (one line a kind)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, np.dtype):
            return _hash(b"dtype", repr(value).encode())
        if isinstance(value, ak.Array | ak.Record):
            form, length, buffers = ak.to_buffers(ak.to_packed(value))
            return self._text(("awkward", form.to_json(), length, dict(buffers)))
        if isinstance(value, types.ModuleType):
            return _hash(b"module", value.__name__.encode())
        if isinstance(value, partial):
            return self._text(("partial", value.func, value.args, value.keywords))
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, np.ufunc):
            return self._ufunc(value)
        if isinstance(value, staticmethod | classmethod):
            return self._text((type(value).__name__, value.__func__))
        if isinstance(value, property | cached_property):
            functions = [getattr(value, name, None) for name in ("fget", "fset", "func")]
            return self._text(("property", functions))
        if callable(value) and hasattr(value, "__qualname__"):
            return self._callable(value)
        return self._reduced(value)

    def _array(self, value: Any) -> bytes:
        if isinstance(value, np.ma.MaskedArray):
            return self._text(("masked", value.data, np.ma.getmaskarray(value), value.fill_value))
        array = np.ascontiguousarray(value)
        shape = np.shape(value)
        if array.dtype.hasobject:
            return self._text(("objects", shape, array.tolist()))
        kind = f"{type(value).__name__} {array.dtype!r} {shape}"
        return _hash(b"array", kind.encode(), array.tobytes())

    def _ufunc(self, ufunc: np.ufunc) -> bytes:
        for root in ("numpy", "scipy.special"):
            if getattr(sys.modules.get(root), ufunc.__name__, None) is ufunc:
                return _hash(b"ufunc", root.encode(), ufunc.__name__.encode())
        return self._reduced(ufunc)

    def _function(self, function: types.FunctionType) -> bytes:
        module = function.__module__
        # What `functools.wraps` made of it has the module and name of another, but its own globals.
        ours = _from_library(module) and _from_library(function.__globals__.get("__name__"))
        if ours and "<" not in function.__qualname__:
            return _hash(b"function", _address(function), _version(module))
        code = function.__code__
        cells = [_cell(cell) for cell in function.__closure__ or ()]
        return self._text(
            (
                "code",
                code,
                function.__defaults__,
                function.__kwdefaults__,
                cells,
                self._used(code, function.__globals__),
            )
        )

    def _used(self, code: types.CodeType, scope: Mapping[str, Any]) -> dict[str, Any]:
        """What a function's code takes from its module, and from modules of the user's own."""
        loaded, attributes = _names(code)
        used = {name: scope[name] for name in sorted(loaded) if name in scope}
        for name, value in list(used.items()):
            if isinstance(value, types.ModuleType) and not _from_library(value.__name__):
                inner = {key: getattr(value, key) for key in attributes if hasattr(value, key)}
                used |= {f"{name}.{key}": inner[key] for key in sorted(inner)}
        return used

    def _callable(self, value: Any) -> bytes:
        """A function that is not written in Python, or something dressed up as one."""
        if isinstance(value, types.MethodType):
            return self._text(("method", value.__self__, value.__func__))
        inner = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None)
        if inner is not None and _from_library(type(value).__module__):
            options = getattr(value, "targetoptions", None)  # of numba
            return self._text(("wrapped", _address(type(value)), inner, options))
        if inner is not None:
            return self._reduced(value)
        owner = getattr(value, "__self__", None)
        owner = None if isinstance(owner, types.ModuleType) else owner
        return self._text(("builtin", _address(value), owner))

    def _code(self, code: types.CodeType) -> bytes:
        return self._text(
            (
                "code",
                code.co_code,
                code.co_names,
                code.co_consts,
                code.co_varnames,
                code.co_freevars,
                code.co_cellvars,
                (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
                code.co_exceptiontable,
            )
        )

    def _class(self, kind: type) -> bytes:
        if _from_library(kind.__module__) and "<" not in kind.__qualname__:
            return _hash(b"class", _address(kind), _version(kind.__module__))
        members = {
            name: member
            for name, member in vars(kind).items()
            if name not in _DERIVED
            and not isinstance(member, types.GetSetDescriptorType | types.MemberDescriptorType)
        }
        return self._text(("class", _address(kind), members, kind.__bases__))

    def _reduced(self, value: Any) -> bytes:
        kind: Any = type(value)
        if _is_plain(kind):
            kept = {
                name: item
                for name, item in vars(value).items()
                if not isinstance(getattr(kind, name, None), cached_property)
            }
            return self._text(("attributes", kind, kept))
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            msg = (
                f"A {type(value).__name__} is used in the analysis that cannot be sent to workers "
                f"({error}). Make it inside the function that uses it."
            )
            raise InputTypeError(msg) from error
        if isinstance(reduced, str):
            return _hash(b"global", _address(type(value)), reduced.encode())
        parts = [list(part) if isinstance(part, Iterator) else part for part in reduced]
        return self._text(("object", *parts))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(_joined(*parts)).digest()


def _joined(*parts: bytes) -> bytes:
    """Parts in a row, from which they can be told apart."""
    return b"".join((repr([*map(len, parts)]).encode(), *parts))


def _name(kind: type) -> bytes:
    return kind.__name__.encode()


def _address(value: Any) -> bytes:
    """Module and qualified name of a function or class."""
    module = getattr(value, "__module__", None) or getattr(value, "__objclass__", object).__module__
    return f"{module}.{value.__qualname__}".encode()


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


@cache
def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Names that code, and the code in it, loads as globals; and all other names it uses."""
    import dis

    loaded = {i.argval for i in dis.get_instructions(code) if i.opname in _GLOBAL_LOADS}
    others = set(code.co_names)
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            inner, more = _names(value)
            loaded |= inner
            others |= more
    return frozenset(loaded), frozenset(others)


@cache
def _is_plain(kind: Any) -> bool:
    """Whether a dataclass has no way of its own to be pickled: then its attributes say it all."""
    ways = ("__reduce_ex__", "__reduce__", "__getstate__")
    usual = all(getattr(kind, way) is getattr(object, way) for way in ways)
    bases = kind.__mro__[1:]
    return is_dataclass(kind) and usual and bases == (object,) and "__slots__" not in vars(kind)


@cache
def _from_library(module: str | None) -> bool:
    """Whether code belongs to Python, an installed package or lazyana: its version says it all."""
    if module is None or module in ("builtins", "__main__", "__mp_main__"):
        return module == "builtins"
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root == "lazyana":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return root in sys.modules
    path = Path(file).resolve()
    return any(library in path.parents for library in _LIBRARIES)


@cache
def _version(module: str | None) -> bytes:
    root = (module or "").partition(".")[0]
    if root in sys.stdlib_module_names:
        return f"{sys.version_info.major}.{sys.version_info.minor}".encode()
    return str(getattr(sys.modules.get(root), "__version__", "")).encode()
