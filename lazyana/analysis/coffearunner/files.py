"""Corrections out of ROOT histograms, as CoffeaRunner's configurations name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import uproot

from lazyana.errors import FileError, InputError, did_you_mean
from lazyana.physics.corrections import Correction, CorrectionFile, open_corrections

Values = npt.NDArray[np.float64]

_ETA_UP_TO = 6.0
"""No axis of transverse momentum (GeV) ends below, none of pseudorapidity above."""


def scale_factor_in(path: Path, name: str) -> Correction:
    """A scale factor of leptons in a file.

    Parameters
    ----------
    path
        ROOT file, file of correctionlib, or JSON of muons by name, ``"abseta:[0.0,0.9]"``,
        ``"pt:[2.0,5.0]"``, with ``value`` and ``error`` in it.
    name
        Name of the histogram or correction. A histogram has axes of pseudorapidity, or its absolute
        value, and transverse momentum (GeV) in any order, told apart by their range; it varies up
        and down by the error of its bins. Beyond the last bin that of the last bin counts.

    Raises
    ------
    FileError, InputError
        No such file or object, or one that is no such histogram.
    """
    if not _is_root(path):
        nested = _nested_json(path)
        return open_corrections(path)[name] if nested is None else _of_nested(path, name, nested)
    axes, values, errors = _histogram(path, name)
    names = [_lepton_axis(path, name, edges) for edges in axes]
    shifts = {"nominal": values, "up": values + errors, "down": values - errors}
    return _correction(path, name, dict(zip(names, axes, strict=True)), shifts)


def pileup_in(path: Path) -> tuple[Correction, bool]:
    """The pileup weight in a file.

    Parameters
    ----------
    path
        File of correctionlib with one correction, or ROOT file with histograms ``PU`` and, for the
        variations, ``PUup`` and ``PUdown``.

    Returns
    -------
    Correction
        The weight.
    bool
        Whether it is varied.

    Raises
    ------
    FileError, InputError
        No such file, or none of these.
    """
    if not _is_root(path):
        known = open_corrections(path)
        if len(known) != 1:
            msg = (
                f"{path} has {len(known)} corrections, {', '.join(known)}: name the one to use in "
                "parameters, pileupJSONfiles.<year>.file and .name, and write 'PU': None."
            )
            raise InputError(msg)
        return known[next(iter(known))], True
    (edges,), nominal, _ = _histogram(path, "PU", dimensions=1)
    with uproot.open(path) as file:
        there = {key.partition(";")[0] for key in file}
    varied = {"PUup", "PUdown"} <= there
    shifts = {"nominal": nominal}
    if varied:
        shifts |= {side: _histogram(path, f"PU{side}", 1)[1] for side in ("up", "down")}
    else:
        shifts |= {"up": nominal, "down": nominal}
    return _correction(path, "PU", {"nTrueInt": edges}, shifts), varied


def _nested_json(path: Path) -> Mapping[str, Any] | None:
    """The content of a JSON file that is none of correctionlib."""
    if path.suffix != ".json":
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None  # opening it as a correction says what is wrong
    return content if isinstance(content, dict) and "schema_version" not in content else None


def _of_nested(path: Path, name: str, content: Mapping[str, Any]) -> Correction:
    """The scale factor of a name in nested JSON."""
    top, _, table = name.partition("/")
    if top not in content:
        msg = (
            f"{path} has no scale factor {top!r}.{did_you_mean(top, content)} It has: "
            f"{', '.join(content)}."
        )
        raise InputError(msg)
    tables = content[top] if isinstance(content[top], dict) else {}
    chosen = table.removesuffix("_value") or next(
        (one for one in tables if set(one.split("_")) == {"abseta", "pt"}), next(iter(tables), "")
    )
    try:
        axes, values, errors = _grid(tables[chosen])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        msg = (
            f"Scale factor {name!r} of {path} is no table of 'abseta:[low,high]' and "
            "'pt:[low,high]' with 'value' and 'error': make it a correctionlib file."
        )
        raise InputError(msg) from error
    shifts = {"nominal": values, "up": values + errors, "down": values - errors}
    return _correction(path, name, axes, shifts)


def _grid(table: Mapping[str, Any]) -> tuple[dict[str, Values], Values, Values]:
    """Edges by axis, values and errors of a table of two axes."""
    rows = {_bin(key): cells for key, cells in table.items() if key != "binning"}
    cells = {
        (row[1], column[1]): (row, column, cell)
        for row, some in rows.items()
        for column, cell in ((_bin(key), cell) for key, cell in some.items())
    }
    names = {(row[0], column[0]) for row, column, _ in cells.values()}
    ((first, second),) = names
    if {first, second} not in ({"abseta", "pt"}, {"eta", "pt"}):
        raise ValueError(names)
    edges = [
        np.unique([edge for place in cells.values() for edge in place[axis][1:]]) for axis in (0, 1)
    ]
    shape = (len(edges[0]) - 1, len(edges[1]) - 1)
    values, errors = np.empty(shape), np.empty(shape)
    # Every bin has to be there, and none may be wider than from one edge to the next.
    for i, low in enumerate(edges[0][:-1]):
        for j, left in enumerate(edges[1][:-1]):
            row, column, cell = cells[low, left]
            if (row[2], column[2]) != (edges[0][i + 1], edges[1][j + 1]):
                raise ValueError(row, column)
            values[i, j] = cell["value"]
            errors[i, j] = cell["error"]
    return dict(zip((first, second), edges, strict=True)), values, errors


def _bin(key: str) -> tuple[str, float, float]:
    """Axis and edges of ``"pt:[2.0,5.0]"``."""
    axis, _, edges = key.partition(":")
    low, high = edges.strip("[]").split(",")
    return axis, float(low), float(high)


def _is_root(path: Path) -> bool:
    return path.suffix == ".root"


def _histogram(
    path: Path, name: str, dimensions: int | None = None
) -> tuple[list[Values], Values, Values]:
    """Edges, values and errors of the bins of a histogram, those outside left out."""
    try:
        with uproot.open(path) as file:
            there = {key.partition(";")[0]: kind for key, kind in file.classnames().items()}
            if not there.get(name, "").startswith(("TH1", "TH2")):
                known = [one for one, kind in there.items() if kind.startswith(("TH1", "TH2"))]
                msg = (
                    f"{path} has no histogram {name!r}.{did_you_mean(name, known)} It has: "
                    f"{', '.join(known)}."
                )
                raise InputError(msg)
            found = file[name]
            axes = [np.asarray(axis.edges(), np.float64) for axis in found.axes]
            values, errors = found.values(), found.errors()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        msg = f"The correction file {path} cannot be read as ROOT: {error}"
        raise FileError(msg) from error
    if dimensions is not None and len(axes) != dimensions:
        msg = f"Histogram {name!r} of {path} has {len(axes)} axes, not {dimensions}."
        raise InputError(msg)
    return axes, np.asarray(values, np.float64), np.asarray(errors, np.float64)


def _lepton_axis(path: Path, name: str, edges: Values) -> str:
    if edges[0] < 0 and edges[-1] <= _ETA_UP_TO:
        return "eta"
    if edges[0] >= 0:
        return "abseta" if edges[-1] <= _ETA_UP_TO else "pt"
    msg = (
        f"Histogram {name!r} of {path} has an axis from {edges[0]:g} to {edges[-1]:g}, neither "
        "pseudorapidity nor transverse momentum: make it a correctionlib file."
    )
    raise InputError(msg)


def _correction(
    path: Path, name: str, axes: Mapping[str, Values], shifts: Mapping[str, Values]
) -> Correction:
    """Values of bins, by their inputs and by variation, as a correction."""
    inputs = [
        *({"name": one, "type": "real", "description": ""} for one in axes),
        {"name": "variation", "type": "string", "description": "nominal, up or down"},
    ]
    content: dict[str, Any] = {
        "nodetype": "category",
        "input": "variation",
        "content": [
            {
                "key": key,
                "value": {
                    "nodetype": "multibinning",
                    "inputs": list(axes),
                    "edges": [edges.tolist() for edges in axes.values()],
                    "content": values.ravel().tolist(),
                    "flow": "clamp",
                },
            }
            for key, values in shifts.items()
        ],
    }
    one = {
        "name": name,
        "version": 1,
        "description": f"Histogram {name} of {path.name}",
        "inputs": inputs,
        "output": {"name": "weight", "type": "real", "description": ""},
        "data": content,
    }
    raw = json.dumps({"schema_version": 2, "corrections": [one]}).encode()
    return CorrectionFile(path, raw)[name]
