"""Corrections in the format of correctionlib, evaluated on columns.

A correction is taken out of its file when an analysis is recorded, and travels to the workers by
itself: they need not see the file and build it once a process, and a change of another correction
in the same file leaves results as they are.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import awkward as ak
import correctionlib
import numpy as np
import numpy.typing as npt

from lazyana.errors import FileError, InputError, InputTypeError, RunError, did_you_mean
from lazyana.physics.correction_json import Part, choices, correction_set, split, with_flow
from lazyana.physics.lazy import mapped, on_numbers

OutOfRange: TypeAlias = Literal["error", "clamp", "one"]
"""What to do about inputs outside of the bins: fail, use the nearest bin, or take 1."""

_CONSTANT = str | int | float


@dataclass(frozen=True)
class Input:
    """An input of a correction.

    Attributes
    ----------
    name
        Its name.
    kind
        ``"real"``, ``"int"`` or ``"string"``.
    choices
        The texts it may be; empty where any will do.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Correction:
    """One correction, by content.

    Attributes
    ----------
    name
        Its name.
    inputs
        What it is a function of, in order.
    sha256
        Hash of its content.
    compound
        Whether it applies several corrections one after the other.
    packed
        Its content: a compressed correction set with what it needs.
    """

    name: str
    inputs: tuple[Input, ...]
    sha256: str
    compound: bool = False
    packed: bytes = field(default=b"", repr=False, compare=False)

    @property
    def text(self) -> str:
        """JSON of a correction set with this correction."""
        return zlib.decompress(self.packed).decode()

    def input(self, name: str) -> Input:
        """One of the inputs.

        Raises
        ------
        InputError
            None of that name.
        """
        for one in self.inputs:
            if one.name == name:
                return one
        names = [one.name for one in self.inputs]
        hint = did_you_mean(name, names)
        msg = f"Correction {self.name!r} has no input {name!r}.{hint} It has: {', '.join(names)}."
        raise InputError(msg)

    def out_of_range(self, policy: OutOfRange) -> Correction:
        """The correction that does something else about inputs outside of its bins.

        Parameters
        ----------
        policy
            ``"error"``: as the file says, mostly to fail. ``"clamp"``: the nearest bin counts.
            ``"one"``: the value is 1. Both of these leave alone what the file itself clamps or has
            a value for, other than -999.

        Raises
        ------
        InputError
            No such policy.
        """
        if policy not in get_args(OutOfRange):
            known = get_args(OutOfRange)
            msg = f"There is no out_of_range={policy!r}: choose one of {', '.join(known)}."
            raise InputError(msg)
        return (
            self if policy == "error" else _with_flow(self, "clamp" if policy == "clamp" else 1.0)
        )

    def __dask_tokenize__(self) -> tuple[str, str]:
        return (self.name, self.sha256)


class CorrectionFile(Mapping[str, Correction]):
    """The corrections of a file, by name.

    Attributes
    ----------
    path
        Where it is.
    sha256, size
        Hash and size (bytes) of the file.
    """

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path = path
        self.sha256 = hashlib.sha256(raw).hexdigest()
        self.size = len(raw)
        self._raw = _Raw(self.sha256, str(path), raw)
        self._parts = _parts(self._raw)

    def __getitem__(self, name: str) -> Correction:
        """One of the corrections.

        Raises
        ------
        InputError
            None of that name.
        """
        if name not in self._parts:
            hint = did_you_mean(name, self)
            listed = ", ".join(list(self)[:10]) + (", …" if len(self) > 10 else "")
            msg = f"{self.path} has no correction {name!r}.{hint} It has: {listed}."
            raise InputError(msg)
        return _taken(self._raw, name)

    def input_names(self, name: str) -> tuple[str, ...]:
        """What one of the corrections is a function of, in order."""
        return tuple(one for one, _ in self._parts[name].inputs)

    def __contains__(self, name: object) -> bool:
        """Whether there is a correction of that name."""
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        """Their names, compound ones last."""
        return iter(self._parts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._parts)

    def __repr__(self) -> str:
        """Path and number of corrections."""
        return f"<{len(self)} corrections of {self.path}>"


def open_corrections(path: str | Path) -> CorrectionFile:
    """The corrections of a file.

    Parameters
    ----------
    path
        JSON of correctionlib's schema version 2, compressed with gzip or not. A file of the same
        content is parsed once a process.

    Raises
    ------
    FileError
        A file that is missing or holds no corrections.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        near = did_you_mean(path.name, _neighbours(path))
        msg = f"The correction file {path} cannot be read ({error.strerror or error}).{near}"
        raise FileError(msg) from error
    return CorrectionFile(path, raw)


def evaluate(correction: Correction, *inputs: Any, out_of_range: OutOfRange = "error") -> Any:
    """The value of a correction.

    Parameters
    ----------
    correction
        The correction.
    *inputs
        Its inputs in order: columns of any shape, lazy or not, that fit together as in arithmetic,
        numbers or text. Missing values and NaN stay what they are.
    out_of_range
        What to do about inputs outside of the bins, see `Correction.out_of_range`.

    Returns
    -------
    array or float
        float64, of the shape of the inputs; a number where all inputs are numbers or text.

    Raises
    ------
    InputError, InputTypeError
        Too many or too few inputs, a text that the correction does not know, text for a number or
        the other way round.
    RunError
        Inputs that the correction is not defined for.
    """
    inputs = tuple(value.item() if isinstance(value, np.generic) else value for value in inputs)
    _check_inputs(correction, inputs)
    constants = tuple(
        _constant(one, value) if isinstance(value, _CONSTANT) else None
        for one, value in zip(correction.inputs, inputs, strict=True)
    )
    columns = [value for value in inputs if not isinstance(value, _CONSTANT)]
    step = Evaluation(correction.out_of_range(out_of_range), constants)
    return mapped(step, *columns, label=f"correction-{correction.name}")


def outside(correction: Correction, *inputs: Any) -> Any:
    """Which inputs are outside of the bins of a correction.

    Parameters
    ----------
    correction, *inputs
        As of `evaluate`.

    Returns
    -------
    array or bool
        Boolean, of the shape of the inputs, True where one is NaN.
        ``events.sum(ak.sum(outside(...), axis=1))`` counts them.
    """
    first, second = (evaluate(_with_flow(correction, value), *inputs) for value in (2.0, 3.0))
    return first != second


@dataclass(frozen=True)
class Evaluation:
    """Evaluates a correction on arrays.

    Attributes
    ----------
    correction
        The correction.
    constants
        For each input its value if it is a number or text, None if it is a column.
    """

    correction: Correction
    constants: tuple[str | int | float | None, ...]
    typed_by_inputs: ClassVar[bool] = True  # numbers of float64, whatever is evaluated

    def __call__(self, *columns: Any) -> Any:
        """The value for arrays of those inputs that are columns."""
        if not columns:
            return float(self._values([]))
        found = on_numbers(self._broadcast, *map(ak.Array, columns))
        return ak.to_numpy(found) if all(isinstance(c, np.ndarray) for c in columns) else found

    def _broadcast(self, *arrays: ak.Array) -> ak.Array:
        """The value for arrays in memory of any shapes that fit together."""

        def act(layouts: Sequence[Any], **_: Any) -> Any:
            if not all(one.is_numpy or one.is_unknown for one in layouts):
                return None
            flat = [
                one.to_NumpyArray(np.float64).data if one.is_unknown else one.to_backend_array()
                for one in layouts
            ]
            return ak.contents.NumpyArray(self._values(flat[: len(arrays)]))

        # A single one twice: what a mask hides is left out of arrays that are broadcast.
        several = arrays if len(arrays) > 1 else arrays * 2
        return ak.transform(act, *several, numpy_to_regular=True)

    def _values(self, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """The values for flat arrays of the same length."""
        bad = [np.isnan(column) for column in columns if column.dtype.kind == "f"]
        missing = reduce(np.logical_or, bad) if bad else np.zeros(0, bool)
        if not missing.any():
            return self._known_values(columns)
        out = np.full(len(missing), np.nan)
        out[~missing] = self._known_values([column[~missing] for column in columns])
        return out

    def _known_values(self, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        remaining = iter(columns)
        kinds = {"real": np.float64, "int": np.int64}
        arguments = [
            next(remaining).astype(kinds[one.kind], copy=False) if constant is None else constant
            for one, constant in zip(self.correction.inputs, self.constants, strict=True)
        ]
        built = _built(self.correction)
        try:
            found = built.evalv(*arguments) if columns else built.evaluate(*arguments)
        except (RuntimeError, IndexError) as error:
            raise RunError(self._not_defined(arguments, str(error))) from error
        return np.asarray(found)

    def _not_defined(self, arguments: Sequence[Any], reason: str) -> str:
        ranges = [
            f"{one.name} {value.min():.6g} to {value.max():.6g}"
            if isinstance(value, np.ndarray)
            else f"{one.name} {value!r}"
            for one, value in zip(self.correction.inputs, arguments, strict=True)
        ]
        return (
            f"Correction {self.correction.name!r} is not defined for some of its inputs "
            f"({reason}). They are: {', '.join(ranges)}. Select objects in its range, or choose "
            "out_of_range='clamp' (the nearest bin) or 'one'."
        )


@dataclass(frozen=True)
class _Raw:
    """Content of a file; equal where the hash is."""

    sha256: str
    path: str = field(compare=False)
    data: bytes = field(repr=False, compare=False)


@lru_cache(maxsize=8)
def _parts(raw: _Raw) -> dict[str, Part]:
    """The corrections of a file by name."""
    try:
        return split(raw.data)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zlib.error) as error:
        msg = f"{raw.path} is no file of corrections ({type(error).__name__}: {error})."
        raise FileError(msg) from error


@lru_cache(maxsize=512)
def _taken(raw: _Raw, name: str) -> Correction:
    """One correction out of a file."""
    parts = _parts(raw)
    text = correction_set(parts, name)
    known = choices(text)
    inputs = tuple(Input(one, kind, known.get(one, ())) for one, kind in parts[name].inputs)
    return _packed(Correction(name, inputs, "", parts[name].stack is not None), text)


@lru_cache(maxsize=512)
def _with_flow(correction: Correction, flow: str | float) -> Correction:
    """The correction with another value outside of its bins."""
    return _packed(correction, with_flow(correction.text, flow))


@lru_cache(maxsize=512)
def _built(correction: Correction) -> Any:
    """What correctionlib makes of a correction; once a process."""
    built = correctionlib.CorrectionSet.from_string(correction.text)
    found = built.compound[correction.name] if correction.compound else built[correction.name]
    return found._base


def _packed(correction: Correction, text: str) -> Correction:
    data = text.encode()
    return replace(
        correction, sha256=hashlib.sha256(data).hexdigest(), packed=zlib.compress(data, 6)
    )


def _check_inputs(correction: Correction, inputs: Sequence[Any]) -> None:
    names = ", ".join(f"{one.name} ({one.kind})" for one in correction.inputs)
    if len(inputs) != len(correction.inputs):
        msg = f"Correction {correction.name!r} has {len(correction.inputs)} inputs: {names}."
        raise InputError(msg)
    for one, value in zip(correction.inputs, inputs, strict=True):
        if (one.kind == "string") != isinstance(value, str):
            msg = (
                f"Input {one.name!r} of correction {correction.name!r} is of type {one.kind}, but "
                f"given is {type(value).__name__} {value!r:.60}. The inputs are: {names}."
            )
            raise InputTypeError(msg)
        if one.choices and value not in one.choices:
            msg = (
                f"Correction {correction.name!r} knows no {one.name} {value!r}."
                f"{did_you_mean(str(value), one.choices)} There are: {', '.join(one.choices)}."
            )
            raise InputError(msg)


def _constant(one: Input, value: str | int | float) -> str | int | float:
    """A number or text as correctionlib wants it."""
    if isinstance(value, str):
        return value
    return int(value) if one.kind == "int" else float(value)


def _neighbours(path: Path) -> list[str]:
    return [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
