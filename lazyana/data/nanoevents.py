"""NanoEvents, as a blueprint to record expressions on and as the arrays of one partition."""

from __future__ import annotations

import itertools
import json
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import awkward as ak
import dask_awkward as dak
import numpy as np
import numpy.typing as npt
from awkward.typetracer import typetracer_from_form, typetracer_with_report
from coffea.nanoevents.mapping.base import BaseSourceMapping
from coffea.nanoevents.schemas import BaseSchema
from coffea.nanoevents.util import quote, unquote
from dask_awkward.lib.utils import buffer_keys_required_to_compute_shapes, trace_form_structure

from lazyana.data.catalog import Layout
from lazyana.data.guards import install_guards
from lazyana.data.partitions import Partition
from lazyana.data.reading import read_branches
from lazyana.errors import InputTypeError, LazyValueError
from lazyana.options import ReadOptions

SOURCE = "events"
LABEL_FIELD = "lazyana_dataset"
_LABEL_KEY = "lazyana_dataset,!label"
_OFFSETS = quote(",!offsets")
_LOADS = ("!load", "!loadallowmissing")
_recordings = itertools.count()


@dataclass(frozen=True)
class Blueprint:
    """Form of the events of a group of files: all that recording needs to know of them.

    Attributes
    ----------
    layout
        The branches.
    schema
        The coffea schema that turns branches into collections.
    """

    layout: Layout
    schema: type[BaseSchema]

    @cached_property
    def form(self) -> ak.forms.Form:
        """Form of the events, fields sorted so that it is the same in every process."""
        base = json.loads(self.layout.base_form)
        base["parameters"]["metadata"] = {}
        with warnings.catch_warnings():
            # What a schema finds missing is reported by us when it is used.
            warnings.simplefilter("ignore")
            form = _lenient(self.schema)(base).form
        contents = dict(zip(form["fields"], form["contents"], strict=True))
        contents[LABEL_FIELD] = {
            "class": "NumpyArray",
            "primitive": "int32",
            "form_key": quote(_LABEL_KEY),
            "parameters": {"__doc__": "position of the dataset in its group"},
        }
        names = sorted(contents)
        form = {**form, "fields": names, "contents": [contents[name] for name in names]}
        return ak.forms.from_dict(form)

    @cached_property
    def behavior(self) -> Mapping[Any, Any]:
        """The methods of the schema's collections."""
        behavior: Mapping[Any, Any] = self.schema.behavior()
        return behavior

    def record(self) -> dak.Array:
        """A lazy array of these events in one partition, to write expressions on."""
        install_guards()
        events: Any = dak.from_map(
            _NeverRead(),
            [None],
            meta=self.without_data(),
            label=SOURCE,
            # Every recording is of its own, so that columns of two frames cannot be mixed up.
            token=f"lazyana-{next(_recordings)}",
        )
        # Cross references such as `muon.matched_gen` look their target up here.
        events._meta.attrs["@original_array"] = events
        recorded: dak.Array = events
        return recorded

    def without_data(self) -> ak.Array:
        """Events without data, shape ``(events,)``, a new array each time."""
        events = ak.Array(self._typetracer.layout, behavior=self.behavior)
        events.attrs["@original_array"] = events
        return events

    @cached_property
    def _typetracer(self) -> ak.Array:
        return typetracer_from_form(self.form)

    def trace(self, collections: Iterable[str] | None = None) -> tuple[ak.Array, Any]:
        """Events without data, and the report of which buffers get touched.

        Parameters
        ----------
        collections
            Which collections the events have; None for all.

        Returns
        -------
        events
            Typetracer array, shape ``(events,)``.
        report
            To be given to `needed` after use.
        """
        form = self.form if collections is None else _keep_fields(self.form, sorted(collections))
        events, report = typetracer_with_report(
            form, highlevel=True, behavior=self.behavior, buffer_key=_buffer_key
        )
        events.attrs["@original_array"] = events
        return events, report

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived, which every process derives for itself."""
        return {"layout": self.layout, "schema": self.schema}

    def needed(self, report: Any, collections: Iterable[str] = ()) -> ReadPlan:
        """What has to be read for the buffers that a report says were touched.

        Parameters
        ----------
        report
            From `trace`.
        collections
            Collections that the events must have even if nothing of them was touched.

        Returns
        -------
        ReadPlan
            Branches and buffers.
        """
        shapes = buffer_keys_required_to_compute_shapes(
            _parse_buffer_key,
            report.shape_touched,
            self._structure["form_key_to_parent_form_key"],
            self._structure["form_key_to_buffer_keys"],
        )
        buffers = {*report.data_touched, *shapes}
        touched = {_parse_buffer_key(key)[0] for key in (*buffers, *report.shape_touched)}
        paths = self._structure["form_key_to_path"]
        kept = sorted({paths[key][0] for key in touched if paths.get(key)} | set(collections))
        branches = frozenset().union(*(_branches(key) for key in buffers))
        return ReadPlan(
            form=_keep_fields(self.form, kept).to_json(),
            schema=self.schema,
            buffers=frozenset(buffers),
            branches=tuple(sorted(branches)),
        )

    def everything(self) -> ReadPlan:
        """A plan that reads nothing beforehand and has all collections, read when used."""
        return ReadPlan(self.form.to_json(), self.schema, frozenset(), ())

    @cached_property
    def _structure(self) -> Mapping[str, Any]:
        structure: Mapping[str, Any] = trace_form_structure(self.form, buffer_key=_buffer_key)
        return structure


@dataclass(frozen=True)
class ReadPlan:
    """What a task reads of its partition.

    Attributes
    ----------
    form
        Form of the events built (JSON): the collections in use, each with all its fields.
    schema
        The schema whose methods the collections have.
    buffers
        Keys of the buffers read; the others are virtual and read only if used after all.
    branches
        Branches those buffers are made of.
    """

    form: str
    schema: type[BaseSchema]
    buffers: frozenset[str]
    branches: tuple[str, ...]

    def __getstate__(self) -> dict[str, Any]:
        """Without the cached form, which every process parses for itself."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    @cached_property
    def parsed_form(self) -> ak.forms.Form:
        """The form, parsed once."""
        return ak.forms.from_json(self.form)


@dataclass
class Reading:
    """The arrays of one partition, and an account of what was read.

    Attributes
    ----------
    partition
        Which events.
    plan
        What is meant to be read.
    options
        How files are read.
    extra_branches
        Branches read although the plan did not foresee it.
    by_uproot
        Branches of the plan that the basket index lacks, so that uproot had to read them.
    """

    partition: Partition
    plan: ReadPlan
    options: ReadOptions = field(default_factory=ReadOptions)
    extra_branches: list[str] = field(default_factory=list)
    by_uproot: list[str] = field(default_factory=list)

    def events(self) -> ak.Array:
        """The events of the partition, NanoEvents of shape ``(events,)``.

        Raises
        ------
        FileError
            A file that is gone, cut short, replaced since it was inspected, or unreadable.
        """
        source = _Branches(self)
        source.read(self.plan.branches)
        events = self._build(source, self.plan.buffers, _Again(self))
        # The buffers are copies; what is asked for beyond the plan is read again.
        source.forget()
        return events

    def note(self, branch: str) -> None:
        """Take down a branch that is read although the plan did not foresee it."""
        if branch not in self.plan.branches and branch not in self.extra_branches:
            self.extra_branches.append(branch)

    def fell_back(self, branch: str) -> None:
        """Take down a planned branch that uproot had to read."""
        if branch in self.plan.branches and branch not in self.by_uproot:
            self.by_uproot.append(branch)

    def _build(self, source: _Branches, eager: frozenset[str], again: _Again) -> ak.Array:
        events = ak.from_buffers(
            self.plan.parsed_form,
            self.partition.entries,
            _Buffers(source, eager),
            buffer_key=_buffer_key,
            behavior=self.plan.schema.behavior(),
            attrs={"@events_factory": again},
        )
        again.remember(events)
        return events


@dataclass(frozen=True)
class PartitionSource:
    """Reads partitions for an ordinary dask-awkward collection, which prunes it as its own.

    Attributes
    ----------
    blueprint
        Form of the events.
    plan
        What is read; None for nothing before it is used.
    """

    blueprint: Blueprint
    plan: ReadPlan | None = None

    def __call__(self, partition: Partition) -> ak.Array:
        """The events of a partition."""
        return Reading(partition, self.plan or self.blueprint.everything()).events()

    def mock(self) -> ak.Array:
        """Events without data."""
        return typetracer_from_form(self.blueprint.form, behavior=self.blueprint.behavior)

    def prepare_for_projection(self) -> tuple[ak.Array, Any, None]:
        """Events without data, and the report of what is touched."""
        return (*self.blueprint.trace(), None)

    def project(self, report: Any, state: None) -> PartitionSource:
        """The source that reads what was touched."""
        del state
        return PartitionSource(self.blueprint, self.blueprint.needed(report))

    def necessary_columns(self, report: Any, state: None) -> frozenset[str]:
        """The branches that were touched."""
        del state
        return frozenset(self.blueprint.needed(report).branches)


class _Again:
    """Where eager cross references find the events: as they are, or built anew if released."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._layout: Callable[[], Any] = lambda: None

    def remember(self, events: ak.Array) -> None:
        # Every array of these events leads here: holding them would keep all alive to the end.
        self._layout = weakref.ref(events.layout)

    def events(self) -> ak.Array:
        layout, reading = self._layout(), self._reading
        if layout is None:
            return reading._build(_Branches(reading), frozenset(), self)
        behavior = reading.plan.schema.behavior()
        return ak.Array(layout, behavior=behavior, attrs={"@events_factory": self})


class _NeverRead:
    """Stands for the files on a blueprint; running it means that something asked for data."""

    def __call__(self, _: Any) -> Any:
        msg = (
            "A lazy column cannot be computed by itself: its events are not chosen yet. Use "
            "la.compute(...) on outputs such as events.hist(...), events.columns(...), or look "
            "at the first events with events.head()."
        )
        raise LazyValueError(msg)


class _Branches(BaseSourceMapping):  # type: ignore[misc]
    """Coffea's evaluator of buffer keys, over branches held in memory."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(None, 0, reading.partition.entries)
        self._reading = reading
        self._arrays: dict[str, ak.contents.Content] = {}

    @classmethod
    def _extract_base_form(cls, source: Any) -> Any:
        return source

    def key_root(self) -> str:
        return "lazyana:"

    def read(self, names: Iterable[str]) -> None:
        names = [name for name in names if name not in self._arrays]
        if not names:
            return
        reading = self._reading
        self._arrays.update(
            read_branches(
                reading.partition, names, reading.plan.branches, reading.options, reading.fell_back
            )
        )

    def forget(self) -> None:
        self._arrays.clear()

    def _column_source(self, uuid: str, path_in_source: str) -> None:
        del uuid, path_in_source  # there is one source only, and it is in memory

    def get_column_handle(self, columnsource: Any, name: str, allow_missing: bool) -> str:
        del columnsource, allow_missing
        return name

    def extract_column(
        self, columnhandle: str, start: int, stop: int, allow_missing: bool, **_: Any
    ) -> Any:
        del start, stop, allow_missing
        if columnhandle not in self._arrays:
            self._reading.note(columnhandle)
            self.read([columnhandle])
        layout = self._arrays[columnhandle]
        if isinstance(layout, ak.contents.ListOffsetArray):
            layout = layout.to_ListOffsetArray64(True)
        return ak.Array(layout)

    def __len__(self) -> int:
        return self._reading.partition.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)


class _Buffers(Mapping[str, Any]):
    """What `ak.from_buffers` takes: arrays where planned, else a promise to read."""

    def __init__(self, source: _Branches, eager: frozenset[str]) -> None:
        self._source = source
        self._eager = eager

    def __getitem__(self, key: str) -> Any:
        if key in self._eager:
            return self._evaluate(key)
        return lambda: self._evaluate(key)

    def _evaluate(self, key: str) -> npt.NDArray[Any]:
        partition = self._source._reading.partition
        form_key, attribute = _parse_buffer_key(key)
        if unquote(form_key) == _LABEL_KEY:
            return np.full(partition.entries, partition.label, dtype=np.int32)
        suffix = _OFFSETS if attribute == "offsets" else ""
        full = f"lazyana/events/0-{partition.entries}/{attribute}/{form_key}{suffix}"
        result: npt.NDArray[Any] = self._source[full]
        return result

    def __len__(self) -> int:
        return len(self._eager)

    def __iter__(self) -> Iterator[str]:
        return iter(self._eager)


@lru_cache(maxsize=64)
def blueprint_of(layout: Layout, schema: type[BaseSchema]) -> Blueprint:
    """The blueprint of a layout; what is derived from it is derived once in a process."""
    return Blueprint(layout, schema)


def _buffer_key(form_key: str, attribute: str, form: Any = None) -> str:
    del form
    return f"{form_key}/{attribute}"


def _parse_buffer_key(key: str) -> tuple[str, str]:
    form_key, _, attribute = key.rpartition("/")
    return form_key, attribute


def _branches(buffer: str) -> set[str]:
    """Branches that one buffer is computed from, as coffea's form keys spell it out."""
    nodes = unquote(_parse_buffer_key(buffer)[0]).split(",")
    return {name for name, node in itertools.pairwise(nodes) if node in _LOADS}


def _keep_fields(form: ak.forms.RecordForm, fields: Iterable[str]) -> ak.forms.RecordForm:
    """Only these collections, each whole: coffea checks for coordinates that are not read."""
    names = list(fields)
    return ak.forms.RecordForm(
        [form.content(name) for name in names], names, parameters=form.parameters
    )


def _lenient(schema: type[BaseSchema]) -> type[BaseSchema]:
    """The schema, not raising for event identifiers that the analysis may never use."""
    return type(schema.__name__, (schema,), {"error_missing_event_ids": False})


def check_schema(schema: Any) -> type[BaseSchema]:
    """The schema, checked to be a coffea schema class.

    Raises
    ------
    InputTypeError
        Anything else.
    """
    if isinstance(schema, type) and issubclass(schema, BaseSchema):
        return schema
    msg = (
        f"schema={schema!r} is not a coffea schema class: give the class itself, "
        "e.g. coffea.nanoevents.NanoAODSchema."
    )
    raise InputTypeError(msg)
