"""Histograms as TH1D, TH2D and TH3D in a ROOT file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import boost_histogram as bh
import hist
import numpy as np
import numpy.typing as npt
import uproot
from uproot.writing import identify

from lazyana.engine.codecs import exact_edges
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.reader.records import written_whole

Floats = npt.NDArray[np.float64]
KeyFormat = str | Callable[..., str]

DEFAULT_KEY = "{output}/{category}/{dataset}/{variation}"
LABELS = ("dataset", "category", "variation")
_MAKERS = {1: identify.to_TH1x, 2: identify.to_TH2x, 3: identify.to_TH3x}
_AXES = ("fXaxis", "fYaxis", "fZaxis")
_COUNTING = (
    bh.storage.Weight,
    bh.storage.Double,
    bh.storage.Int64,
    bh.storage.AtomicInt64,
    bh.storage.Unlimited,
)


def write_root(
    path: str | os.PathLike[str],
    histograms: Mapping[str, hist.Hist[Any]],
    *,
    key: KeyFormat = DEFAULT_KEY,
    overwrite: bool = False,
) -> Path:
    """Write histograms to a ROOT file, one object per dataset, category and variation.

    Under- and overflow are kept (the overflow of a category axis too), bin variances are in
    ``fSumw2``. A missing dataset or category axis leaves that part of the key out; a missing
    variation is ``nominal``. In labels ``/`` and ``;``, which mean something in ROOT keys, become
    ``_``.

    Parameters
    ----------
    path
        File to write. It appears complete or not at all.
    histograms
        Histograms by output path; axes named dataset, category and variation are taken apart, one
        to three others stay.
    key
        Where each object goes: a format string with the fields output, dataset, category,
        variation, or a function with these keyword arguments, e.g.
        ``"{output}/{category}/{dataset}_{variation}"`` for combine.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        Absolute path of the file.

    Raises
    ------
    InputError
        For a histogram that ROOT has no class for, an unknown field in `key`, or equal keys.
    OutputExistsError
        Where the file exists and `overwrite` is not set.
    FileError
        Where the file cannot be written.
    """
    name_of = _formatter(key)
    sources = [_Source.of(output, histogram) for output, histogram in histograms.items()]
    places = _places(sources, name_of)
    target = Path(path).absolute()
    with (
        written_whole(target, overwrite=overwrite) as temporary,
        uproot.recreate(temporary) as file,
    ):
        for place, (source, index) in places.items():
            file[place] = source.convert(index)
    return target


def _formatter(key: KeyFormat) -> Callable[..., str]:
    if callable(key):
        return key
    known = ("output", *LABELS)
    for _, name, _, _ in Formatter().parse(key):
        if name is not None and name not in known:
            msg = (
                f"No field {name!r} in the key {key!r}.{did_you_mean(name, known)} "
                f"The fields are {', '.join(known)}."
            )
            raise InputError(msg)
    return key.format


@dataclass(frozen=True)
class _Source:
    """A histogram taken apart into one ROOT object per combination of labels.

    Attributes
    ----------
    output
        Path of the output.
    title
        Title of the ROOT objects.
    labels
        Labels of the axes dataset, category, variation; empty for an axis that there is not.
    axes
        The other axes.
    roots
        The same axes as ROOT objects, shared by all histograms made of this one.
    values, variances
        Shape (datasets, categories, variations, bins with flow of each axis as ROOT has them).
    """

    output: str
    title: str
    labels: tuple[tuple[str, ...], ...]
    axes: tuple[Any, ...]
    roots: tuple[Any, ...]
    values: Floats
    variances: Floats | None

    @classmethod
    def of(cls, output: str, histogram: hist.Hist[Any]) -> _Source:
        names = list(histogram.axes.name)
        split = [name for name in LABELS if name in names and _is_labels(histogram.axes[name])]
        kept = [axis for axis in histogram.axes if axis.name not in split]
        _check(output, histogram, kept)
        labels = tuple(tuple(histogram.axes[n]) if n in split else () for n in LABELS)
        order = [names.index(name) for name in split] + [
            i for i, name in enumerate(names) if name not in split
        ]

        def arranged(array: Any) -> Floats:
            moved = np.asarray(array, dtype=np.float64).transpose(order)
            for position, axis_labels in enumerate(labels):
                if not axis_labels:
                    moved = np.expand_dims(moved, position)
                else:  # without the overflow of the labels, which nothing fills
                    moved = moved.take(range(len(axis_labels)), axis=position)
            return _with_root_flow(moved, kept)

        weighted = histogram.storage_type is bh.storage.Weight
        with np.errstate(invalid="ignore"):  # an infinite edge times no entries
            template = identify.to_writable(hist.Hist(*map(_open, kept)))
        return cls(
            output,
            str(histogram.label or histogram.name or output),
            labels,
            tuple(kept),
            tuple(template.member(name) for name in _AXES[: len(kept)]),
            arranged(histogram.values(flow=True)),
            arranged(histogram.variances(flow=True)) if weighted else None,
        )

    def indices(self) -> Iterator[tuple[int, int, int]]:
        """Positions of all combinations of labels."""
        sizes = [range(max(len(axis), 1)) for axis in self.labels]
        yield from itertools.product(*sizes)

    def label(self, index: tuple[int, int, int]) -> dict[str, str]:
        """Labels at a position, fit for a key."""
        found = {
            name: _clean(axis[i]) if axis else ""
            for name, axis, i in zip(LABELS, self.labels, index, strict=True)
        }
        return {**found, "variation": found["variation"] or "nominal"}

    def convert(self, index: tuple[int, int, int]) -> Any:
        """The ROOT object at a position."""
        values = self.values[index]
        variances = None if self.variances is None else self.variances[index]
        return _MAKERS[len(self.axes)](
            fName=None,
            fTitle=self.title,
            data=values.T.reshape(-1),
            fSumw2=None if variances is None else variances.T.reshape(-1),
            **_statistics(values, values if variances is None else variances, self.axes),
            **dict(zip(_AXES, self.roots, strict=False)),
        )


def _open(axis: Any) -> Any:
    """A circular Variable axis cut open: ROOT has none, and its edges are not what it says."""
    if isinstance(axis, bh.axis.Variable) and axis.traits.circular:
        return hist.axis.Variable(exact_edges(axis), name=axis.name, label=axis.label)
    return axis


def _is_labels(axis: Any) -> bool:
    return isinstance(axis, bh.axis.StrCategory)


def _check(output: str, histogram: hist.Hist[Any], kept: list[Any]) -> None:
    if histogram.storage_type not in _COUNTING:
        msg = (
            f"Output {output!r} has {histogram.storage_type.__name__} storage, which no TH1 has; "
            "leave it out with outputs=[...]."
        )
        raise InputError(msg)
    if not 1 <= len(kept) <= 3:
        names = ", ".join(repr(axis.name) for axis in kept) or "none"
        msg = (
            f"Output {output!r} has {len(kept)} axes besides dataset, category and variation "
            f"({names}), but ROOT histograms have one to three. Leave it out with outputs=[...], "
            "or save all outputs with Result.save."
        )
        raise InputError(msg)
    for axis in histogram.axes:
        if not len(axis):
            msg = f"Axis {axis.name!r} of output {output!r} has no bins, which ROOT does not know."
            raise InputError(msg)


def _clean(label: str) -> str:
    return label.strip("/").replace("/", "_").replace(";", "_")


def _places(
    sources: list[_Source], name_of: Callable[..., str]
) -> dict[str, tuple[_Source, tuple[int, int, int]]]:
    """Key of every object to write, without empty parts."""
    places: dict[str, tuple[_Source, tuple[int, int, int]]] = {}
    for source in sources:
        for index in source.indices():
            given: Any = name_of(output=source.output, **source.label(index))
            if not isinstance(given, str):
                msg = f"The function for keys returned {given!r}, not a str."
                raise InputTypeError(msg)
            place = "/".join(part for part in given.split("/") if part)
            if not place or place in places:
                msg = (
                    f"More than one histogram would be written to {place!r}; give a key= with "
                    f"all of output, {', '.join(LABELS)} that tell them apart."
                )
                raise InputError(msg)
            places[place] = source, index
    return places


def _with_root_flow(array: Floats, axes: list[Any]) -> Floats:
    """Add the under- and overflow bins that ROOT always has and these axes do not.

    Parameters
    ----------
    array
        Shape (datasets, categories, variations, bins of each axis with its own flow).
    axes
        Axes of the last dimensions.
    """
    padding = [(0, 0)] * (array.ndim - len(axes))
    for axis in axes:
        padding.append((int(not axis.traits.underflow), int(not axis.traits.overflow)))
    return np.pad(array, padding)


def _statistics(values: Floats, variances: Floats, axes: tuple[Any, ...]) -> dict[str, float]:
    """Sums that ROOT keeps for mean and width, over the bins in range (TH1::GetStats)."""
    inner = values[(slice(1, -1),) * values.ndim]
    total = float(inner.sum())
    squares = float(variances[(slice(1, -1),) * values.ndim].sum())
    # ROOT's own choice where the number of fills is not known (TH1::ResetStats).
    entries = total * total / squares if squares > 0 else 0.0
    sums = {"fEntries": entries, "fTsumw": total, "fTsumw2": squares}
    centers = [_centers(axis, inner.shape[i], i, inner.ndim) for i, axis in enumerate(axes)]
    letters = "xyz"[: len(axes)]
    for letter, center in zip(letters, centers, strict=True):
        sums[f"fTsumw{letter}"] = float((inner * center).sum())
        sums[f"fTsumw{letter}2"] = float((inner * center**2).sum())
    for (a, u), (b, v) in itertools.combinations(zip(letters, centers, strict=True), 2):
        sums[f"fTsumw{a}{b}"] = float((inner * u * v).sum())
    return sums


def _centers(axis: Any, size: int, position: int, dimensions: int) -> Floats:
    """Bin centres, shaped to multiply along one dimension; infinite ones count as 0."""
    discrete = isinstance(axis, bh.axis.StrCategory | bh.axis.IntCategory | bh.axis.Boolean)
    edges = np.arange(size + 1.0) if discrete else exact_edges(axis)
    centers = np.nan_to_num((edges[1:] + edges[:-1]) / 2, nan=0.0, posinf=0.0, neginf=0.0)
    return centers.reshape([size if i == position else 1 for i in range(dimensions)])
