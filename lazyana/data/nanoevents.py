"""NanoEvents, as a blueprint to record expressions on and as the arrays of one partition."""

from __future__ import annotations

import itertools
import json
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import awkward as ak
import dask_awkward as dak
from awkward.typetracer import typetracer_from_form
from coffea.nanoevents.schemas import BaseSchema
from coffea.nanoevents.util import quote
from dask_awkward.lib.utils import buffer_keys_required_to_compute_shapes, trace_form_structure

from lazyana.data.assemble import assemble
from lazyana.data.buffers import (
    LABEL_KEY,
    Arrays,
    Buffers,
    branches_of,
    buffer_key,
    parse_buffer_key,
)
from lazyana.data.catalog import Layout
from lazyana.data.counts import counters_of, disagreement
from lazyana.data.failures import SpanError, located
from lazyana.data.functions import install_functions
from lazyana.data.guards import install_guards
from lazyana.data.mixed import Gap, with_options
from lazyana.data.partitions import Partition
from lazyana.data.reading import read_branches
from lazyana.data.tracer import tracer
from lazyana.errors import InputTypeError, LazyValueError
from lazyana.options import ReadOptions

SOURCE = "events"
LABEL_FIELD = "lazyana_dataset"
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
    gaps
        Branches that some of the files lack.
    fill
        Whether these are read as None where they are missing, if they can be.
    """

    layout: Layout
    schema: type[BaseSchema]
    gaps: tuple[Gap, ...] = ()
    fill: bool = False

    @cached_property
    def form(self) -> ak.forms.Form:
        """Form of the events, fields sorted so that it is the same in every process."""
        base = json.loads(self.layout.base_form)
        base["parameters"]["metadata"] = {}
        with warnings.catch_warnings():
            # What a schema finds missing is reported by us when it is used.
            warnings.simplefilter("ignore")
            form = _lenient(self.schema)(base).form
        if self.fill:
            form = with_options(form, frozenset().union(*(gap.branches for gap in self.gaps)))
        contents = dict(zip(form["fields"], form["contents"], strict=True))
        contents[LABEL_FIELD] = {
            "class": "NumpyArray",
            "primitive": "int32",
            "form_key": quote(LABEL_KEY),
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
        install_functions()
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
        return self._array(self._traced[0])

    def trace(self) -> tuple[ak.Array, Any]:
        """Events without data, and the report of which buffers get touched.

        Returns
        -------
        events
            Typetracer array, shape ``(events,)``.
        report
            To be given to `needed` after use.
        """
        layout, report = tracer(self.form)
        return self._array(layout), report

    def retrace(self) -> tuple[ak.Array, Any]:
        """As `trace`, with the arrays of `without_data`: nothing was touched yet of them.

        They need not be made, which takes long for a thousand branches. Their report is one: what
        is touched of other arrays from here meanwhile is in it too.
        """
        layout, report = self._traced
        report.commit("before")
        return self._array(layout), report

    @cached_property
    def _traced(self) -> tuple[ak.contents.Content, Any]:
        return tracer(self.form)

    def _array(self, layout: ak.contents.Content) -> ak.Array:
        events = ak.Array(layout, behavior=self.behavior)
        events.attrs["@original_array"] = events
        return events

    def __getstate__(self) -> dict[str, Any]:
        """Without what is derived, which every process derives for itself."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

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
            parse_buffer_key,
            report.shape_touched,
            self._structure["form_key_to_parent_form_key"],
            self._structure["form_key_to_buffer_keys"],
        )
        buffers = {*report.data_touched, *shapes}
        touched = {parse_buffer_key(key)[0] for key in (*buffers, *report.shape_touched)}
        paths = self._structure["form_key_to_path"]
        kept = sorted({paths[key][0] for key in touched if paths.get(key)} | set(collections))
        branches = frozenset().union(*(branches_of(key) for key in buffers))
        return ReadPlan(
            form=_keep_fields(self.form, kept).to_json(),
            schema=self.schema,
            buffers=frozenset(buffers),
            branches=tuple(sorted(branches)),
            lacking=self._lacking(kept),
        )

    def everything(self) -> ReadPlan:
        """A plan that reads nothing beforehand and has all collections, read when used."""
        return ReadPlan(
            self.form.to_json(), self.schema, frozenset(), (), self._lacking(self.form.fields)
        )

    def _lacking(self, collections: Iterable[str]) -> tuple[tuple[str, frozenset[str]], ...]:
        """What the files of each layout lack of the branches of some collections."""
        if not self.gaps:
            return ()
        names = set(collections)
        keys = (key for key, path in self.paths.items() if path and path[0] in names)
        used = frozenset().union(*(branches_of(f"{key}/") for key in keys))
        return tuple((gap.signature, gap.branches & used) for gap in self.gaps)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The collections and their fields, e.g. ``"Muon"`` and ``"Muon.pt"``."""
        form = self.form
        fields = (
            f"{name}.{field}"
            for name, content in zip(form.fields, form.contents, strict=True)
            for field in content.columns()
            if field
        )
        return frozenset((*form.fields, *fields))

    @property
    def paths(self) -> Mapping[str, tuple[str, ...]]:
        """For each form key, the names of the fields that lead to it."""
        paths: Mapping[str, tuple[str, ...]] = self._structure["form_key_to_path"]
        return paths

    @cached_property
    def _structure(self) -> Mapping[str, Any]:
        structure: Mapping[str, Any] = trace_form_structure(self.form, buffer_key=buffer_key)
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
    lacking
        For each layout whose files lack branches that others have, its signature and the branches
        that the collections have in other files.
    """

    form: str
    schema: type[BaseSchema]
    buffers: frozenset[str]
    branches: tuple[str, ...]
    lacking: tuple[tuple[str, frozenset[str]], ...] = ()

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

    @cached_property
    def counters(self) -> Mapping[str, str]:
        """For each branch of lists, the branch that counts their items, if there is one."""
        return counters_of(self.parsed_form)


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
    recoveries
        Trouble with places of files that another try or another place overcame.
    """

    partition: Partition
    plan: ReadPlan
    options: ReadOptions = field(default_factory=ReadOptions)
    extra_branches: list[str] = field(default_factory=list)
    by_uproot: list[str] = field(default_factory=list)
    recoveries: list[str] = field(default_factory=list)

    def events(self) -> ak.Array:
        """The events of the partition, NanoEvents of shape ``(events,)``.

        Raises
        ------
        FileError
            A file that is gone, cut short, replaced since it was inspected, or unreadable.
        """
        buffers = self._buffers(self.plan.buffers)
        buffers.load(self.plan.branches)
        events = self._build(buffers, _Again(self))
        # What is asked for beyond the plan is read again.
        buffers.forget()
        return events

    def note(self, branch: str) -> None:
        """Take down a branch that is read although the plan did not foresee it."""
        if branch not in self.plan.branches and branch not in self.extra_branches:
            self.extra_branches.append(branch)

    def fell_back(self, branch: str) -> None:
        """Take down a planned branch that uproot had to read."""
        if branch in self.plan.branches and branch not in self.by_uproot:
            self.by_uproot.append(branch)

    def recovered(self, what: str) -> None:
        """Take down trouble with a place of a file that was overcome."""
        self.recoveries.append(what)

    def _buffers(self, eager: frozenset[str]) -> Buffers:
        return Buffers(self.partition, eager, self._read, self.note, dict(self.plan.lacking))

    def _build(self, buffers: Buffers, again: _Again) -> ak.Array:
        events = ak.Array(
            assemble(self.plan.parsed_form, self.partition.entries, buffers),
            behavior=self.plan.schema.behavior(),
            attrs={"@events_factory": again},
        )
        again.remember(events)
        return events

    def _read(self, names: list[str], known: Arrays) -> None:
        """Add some branches to those that were read."""
        known.update(
            read_branches(
                self.partition,
                names,
                self.plan.branches,
                self.options,
                self,
                dict(self.plan.lacking),
            )
        )
        self._check_counts(names, known)

    def _check_counts(self, names: list[str], known: Arrays) -> None:
        news = {
            branch: counter
            for branch, counter in self.plan.counters.items()
            if branch in names or counter in names
        }
        found = disagreement(known, news)
        if found is None:
            return
        span, entry = located(self.partition, found.event)
        msg = (
            f"Branches {found.branch!r} and {found.counter!r}, {span.where}, do not fit together: "
            f"entry {entry} is a list of {found.length} of {found.count}. The file is damaged: "
            "copy it again."
        )
        raise SpanError(msg, span)


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

    @property
    def reading(self) -> Reading:
        """What is read, and of which partition."""
        return self._reading

    def remember(self, events: ak.Array) -> None:
        # Every array of these events leads here: holding them would keep all alive to the end.
        self._layout = weakref.ref(events.layout)

    def events(self) -> ak.Array:
        layout, reading = self._layout(), self._reading
        if layout is None:
            return reading._build(reading._buffers(frozenset()), self)
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


@lru_cache(maxsize=64)
def blueprint_of(
    layout: Layout, schema: type[BaseSchema], gaps: tuple[Gap, ...] = (), fill: bool = False
) -> Blueprint:
    """The blueprint of a layout; what is derived from it is derived once in a process."""
    return Blueprint(layout, schema, gaps, fill)


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
