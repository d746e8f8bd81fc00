"""Values of outputs as members of a zip archive, and back.

Every output has a JSON member ``<member>.json``. Arrays are ``.npy`` members next to it, which the
JSON names. Histograms follow the UHI serialisation standard (https://uhi.readthedocs.io) as
`uhi.io.zip` writes it, so that any tool that knows UHI can read them. ``docs/result-format.md``
describes the rest.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import boost_histogram as bh
import hist
import numpy as np
import numpy.typing as npt
import uhi.io.zip

from lazyana.errors import FileError, InputTypeError
from lazyana.sinks.cutflow import Cutflow
from lazyana.sinks.skimfolder import Skim
from lazyana.sinks.tables import ColumnDataset, ColumnTable, open_columns

Node = dict[str, Any]

_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_CUTFLOW_ARRAYS = ("counts", "sumw", "sumw2")
_CUTFLOW_LABELS = ("datasets", "stages", "variations", "categories")
#: Accumulators whose second moment UHI holds divided by the counts, from which it is not exact.
_MOMENT = {
    bh.storage.Mean: "_sum_of_deltas_squared",
    bh.storage.WeightedMean: "_sum_of_weighted_deltas_squared",
}


@dataclass(frozen=True)
class Writer:
    """Writes one output into an archive.

    Attributes
    ----------
    archive
        Open for writing.
    member
        Common beginning of the names of all members of this output.
    directory
        Where the archive will be: column datasets are found from there too.
    """

    archive: zipfile.ZipFile
    member: str
    directory: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def write(self, value: Any) -> None:
        """Write the members of this output.

        Raises
        ------
        InputTypeError
            For a value that the format has no place for.
        """
        if isinstance(value, bh.Histogram):
            self.histogram(value, self.member)
        else:
            text = json.dumps(self.encode(value), allow_nan=False)
            self.archive.writestr(f"{self.member}.json", text)

    def encode(self, value: Any) -> Any:
        """JSON description of a value; arrays and histograms in it become members."""
        if isinstance(value, np.bool_ | np.integer | np.float64 | np.float32 | np.float16):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            finite = math.isfinite(value)
            return float(value) if finite else {"kind": "float", "value": repr(float(value))}
        for codec in CODECS:
            if isinstance(value, codec.type):
                return {"kind": codec.kind, **codec.encode(self, value)}
        msg = (
            f"A {type(value).__name__} cannot be saved in a result file. What can be: histograms, "
            "cutflows, columns, numpy and awkward arrays, numbers, text, and dicts, lists and "
            "tuples of them."
        )
        raise InputTypeError(msg)

    def name(self) -> str:
        """Beginning of the name of the next member."""
        return f"{self.member}_{next(self._numbers)}"

    def array(self, array: npt.NDArray[Any], name: str | None = None) -> str:
        """Write an array; the name of its member."""
        if array.dtype.hasobject:
            msg = "An array of Python objects cannot be saved; give it a numeric or text dtype."
            raise InputTypeError(msg)
        member = f"{name or self.name()}.npy"
        with self.archive.open(member, "w") as file:
            np.save(file, array, allow_pickle=False)
        return member

    def histogram(self, histogram: bh.Histogram[Any], name: str) -> None:
        """Write the members of a histogram."""
        extra: Node = {}
        if not histogram._variance_known:
            extra["variance_known"] = False
        if moment := _MOMENT.get(histogram.storage_type):
            view: Any = histogram.view(flow=True)
            extra["moment"] = self.array(np.asarray(view[moment]), f"{name}_moment")
        uhi.io.zip.write(self.archive, name, _describe(histogram, extra))


@dataclass(frozen=True)
class Reader:
    """Reads outputs out of an archive.

    Attributes
    ----------
    archive
        Open for reading.
    directory
        Where the archive is.
    """

    archive: zipfile.ZipFile
    directory: Path

    def read(self, member: str, kind: str) -> Any:
        """Value of the output whose members begin with `member`."""
        if kind == "hist":
            return self.histogram(member)
        return self.decode(json.loads(self.archive.read(f"{member}.json")))

    def decode(self, node: Any) -> Any:
        """Value of a JSON description: the inverse of `Writer.encode`."""
        if not isinstance(node, dict):
            return node
        if node["kind"] == "float":
            return _NON_FINITE[node["value"]]
        for codec in CODECS:
            if codec.kind == node["kind"]:
                return codec.decode(self, node)
        msg = f"unknown kind of value {node['kind']!r}"
        raise ValueError(msg)

    def array(self, name: str) -> npt.NDArray[Any]:
        """Array in a member."""
        with self.archive.open(name) as file:
            array: npt.NDArray[Any] = np.load(file, allow_pickle=False)
        return array

    def histogram(self, member: str) -> hist.Hist[Any]:
        """Histogram whose members begin with `member`."""
        data = uhi.io.zip.read(self.archive, member)
        histogram: hist.Hist[Any] = hist.Hist(data)
        extra = data.get("writer_info", {}).get("lazyana", {})
        if "variance_known" in extra:
            histogram._variance_known = extra["variance_known"]
        if "moment" in extra:
            view: Any = np.asarray(histogram.view(flow=True))
            view[_MOMENT[histogram.storage_type]] = self.array(extra["moment"])
        return histogram


@dataclass(frozen=True)
class Codec:
    """How one kind of value is described in JSON.

    Attributes
    ----------
    kind
        Word for it in the file.
    type
        Class of the values.
    encode
        The description, out of a writer (for what becomes members) and a value.
    decode
        The value, out of a reader and the description.
    """

    kind: str
    type: type[Any]
    encode: Callable[[Writer, Any], Node]
    decode: Callable[[Reader, Node], Any]


def kind_of(value: Any) -> str:
    """Word for a kind of output: hist, cutflow, columns, table, awkward, numpy or values."""
    for codec in CODECS:
        if isinstance(value, codec.type) and codec.type not in (dict, list, tuple):
            return codec.kind
    return "values"


def _encode_dict(writer: Writer, value: dict[Any, Any]) -> Node:
    for key in value:
        if isinstance(key, bool) or not isinstance(key, str | int):
            msg = f"The key {key!r} cannot be saved in a result file; keys are str or int."
            raise InputTypeError(msg)
    return {"items": [[key, writer.encode(item)] for key, item in value.items()]}


def _decode_dict(reader: Reader, node: Node) -> dict[Any, Any]:
    return {key: reader.decode(item) for key, item in node["items"]}


def _encode_sequence(writer: Writer, value: Any) -> Node:
    return {"items": [writer.encode(item) for item in value]}


def _decode_list(reader: Reader, node: Node) -> list[Any]:
    return [reader.decode(item) for item in node["items"]]


def _decode_tuple(reader: Reader, node: Node) -> tuple[Any, ...]:
    return tuple(_decode_list(reader, node))


def _encode_histogram(writer: Writer, value: bh.Histogram[Any]) -> Node:
    name = writer.name()
    writer.histogram(value, name)
    return {"member": name}


def _encode_awkward(writer: Writer, value: ak.Array) -> Node:
    packed = ak.to_packed(ak.to_backend(value, "cpu"))
    form, length, buffers = ak.to_buffers(packed, byteorder="<")
    return {
        "type": str(packed.type),
        "form": json.loads(form.to_json()),
        "length": int(length),
        "buffers": {key: writer.array(np.asarray(data)) for key, data in buffers.items()},
    }


def _decode_awkward(reader: Reader, node: Node) -> ak.Array:
    buffers = {key: reader.array(name) for key, name in node["buffers"].items()}
    form = ak.forms.from_dict(node["form"])
    return ak.from_buffers(form, node["length"], buffers, byteorder="<")


def _encode_cutflow(writer: Writer, value: Cutflow) -> Node:
    labels = {name: list(getattr(value, name)) for name in _CUTFLOW_LABELS}
    return {**labels, **{name: writer.array(getattr(value, name)) for name in _CUTFLOW_ARRAYS}}


def _decode_cutflow(reader: Reader, node: Node) -> Cutflow:
    fields: Node = {name: tuple(node.get(name, ())) for name in _CUTFLOW_LABELS}
    fields |= {name: reader.array(node[name]) for name in _CUTFLOW_ARRAYS}
    return Cutflow(**fields)


def _encode_table(writer: Writer, value: ColumnTable) -> Node:
    return {"arrays": [[*key, writer.encode(array)] for key, array in value.arrays.items()]}


def _decode_table(reader: Reader, node: Node) -> ColumnTable:
    items = node["arrays"]
    return ColumnTable({(data, variation): reader.decode(a) for data, variation, a in items})


def _encode_columns(writer: Writer, value: ColumnDataset) -> Node:
    found = {"path": value.path, "manifest": value.manifest}
    if "://" not in value.path:
        found["relative_path"] = os.path.relpath(value.path, writer.directory)
    return found


def _decode_columns(reader: Reader, node: Node) -> ColumnDataset:
    """Open the columns, looked for next to the archive first: the two may have been moved."""
    places = [node["path"]]
    if "relative_path" in node:
        places.insert(0, os.path.normpath(reader.directory / node["relative_path"]))
    places = list(dict.fromkeys(places))
    there = [path for path in places if "://" in path or Path(path).exists()]
    if not there:
        msg = (
            f"There are no columns at {' or '.join(places)}; move them back to where they were, "
            "seen from the result file."
        )
        raise FileError(msg)
    for path in there:
        dataset = open_columns(path)
        if _content(dataset.manifest) == _content(node["manifest"]):
            return dataset
    msg = (
        f"The columns at {there[0]} have been written anew since this result was saved; open "
        "them with open_columns, or run the analysis again."
    )
    raise FileError(msg)


def _encode_skim(writer: Writer, value: Skim) -> Node:
    found = {"path": value.path, "manifest": value.manifest}
    if "://" not in value.path:
        found["relative_path"] = os.path.relpath(value.path, writer.directory)
    return found


def _decode_skim(reader: Reader, node: Node) -> Skim:
    """The skim as it was; its files may be on other machines, and are looked for when opened."""
    path = node["path"]
    if "relative_path" in node:
        moved = os.path.normpath(reader.directory / node["relative_path"])
        path = moved if Path(moved).exists() else path
    return Skim(path, node["manifest"])


def _content(manifest: Mapping[str, Any]) -> Any:
    """What a manifest says about the files; its provenance may be stamped later."""
    content = {key: value for key, value in manifest.items() if key != "provenance"}
    return json.loads(json.dumps(content))


#: The first that fits is used.
CODECS = (
    Codec("hist", bh.Histogram, _encode_histogram, lambda r, node: r.histogram(node["member"])),
    Codec("cutflow", Cutflow, _encode_cutflow, _decode_cutflow),
    Codec("columns", ColumnDataset, _encode_columns, _decode_columns),
    Codec("skim", Skim, _encode_skim, _decode_skim),
    Codec("table", ColumnTable, _encode_table, _decode_table),
    Codec("awkward", ak.Array, _encode_awkward, _decode_awkward),
    Codec(
        "numpy", np.ndarray, lambda w, a: {"array": w.array(a)}, lambda r, n: r.array(n["array"])
    ),
    Codec("dict", dict, _encode_dict, _decode_dict),
    Codec("list", list, _encode_sequence, _decode_list),
    Codec("tuple", tuple, _encode_sequence, _decode_tuple),
)


def _describe(histogram: bh.Histogram[Any], extra: Node) -> Any:
    """UHI description, with `extra` under ``writer_info["lazyana"]``."""
    ours = histogram if isinstance(histogram, hist.BaseHist) else hist.Hist(histogram)
    data: Any = ours._to_uhi_()  # the method that the UHI standard defines
    for axis, description in zip(histogram.axes, data["axes"], strict=True):
        _check_transform(axis, description)
        if "edges" in description:
            description["edges"] = exact_edges(axis)
    if extra:
        data["writer_info"] = {**data["writer_info"], "lazyana": extra}
    try:
        json.dumps([data.get("metadata"), [axis.get("metadata") for axis in data["axes"]]])
    except TypeError as error:
        msg = f"The metadata of a histogram cannot be saved as JSON: {error}."
        raise InputTypeError(msg) from error
    return data


def exact_edges(axis: Any) -> npt.NDArray[np.float64]:
    """Edges of an axis, shape ``(bins + 1,)``.

    Those that boost-histogram 1.8 gives for a circular Variable axis are wrong at its end; what it
    pickles is right.
    """
    if isinstance(axis, bh.axis.Variable) and axis.traits.circular:
        return np.asarray(axis._ax.__getstate__()[1], dtype=np.float64)
    return np.asarray(axis.edges, dtype=np.float64)


def _check_transform(axis: Any, description: Node) -> None:
    """Make sure that a transformed axis comes back as it was.

    UHI has no transforms. boost-histogram adds the limits of the axis to the description, but
    takes them from the edges, which a power transform has rounded.
    """
    if getattr(axis, "transform", None) is None:
        return
    info = description.get("writer_info", {}).get("boost-histogram", {})
    limits = _exact_limits(axis) if "transform" in info else None
    if limits is None:
        msg = (
            f"The axis {axis.label!r} has a transform that cannot be saved exactly; use a Variable "
            "axis, or the transform log, sqrt or Pow."
        )
        raise InputTypeError(msg)
    info["lower"], info["upper"] = limits


def _exact_limits(axis: Any) -> tuple[float, float] | None:
    """Limits, within rounding of the outer edges, from which an equal axis is made."""
    for lower, upper in itertools.product(_near(axis.edges[0]), _near(axis.edges[-1])):
        made = bh.axis.Regular(
            axis.size, lower, upper, transform=axis.transform, __dict__=dict(axis.__dict__)
        )
        if made == axis:
            return lower, upper
    return None


def _near(value: float, steps: int = 32) -> list[float]:
    """Value and the floats next to it, nearest first."""
    found = [float(value)]
    below = above = value
    for _ in range(steps):
        below, above = np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
        found += [float(below), float(above)]
    return found
