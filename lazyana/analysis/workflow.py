"""Workflows: what an analysis computes beyond its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import dask_awkward as dak

from lazyana.analysis.axes import Axis
from lazyana.analysis.classes import check_methods
from lazyana.analysis.columns import ColOut
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.view import EventsView
from lazyana.analysis.weights import Weight, mapped
from lazyana.errors import ColumnError, InputError, InputTypeError
from lazyana.sinks.base import NOMINAL

if TYPE_CHECKING:
    from lazyana.analysis.config import Analysis
    from lazyana.frame.events import Events


@dataclass(frozen=True, eq=False)
class Extras:
    """What a workflow adds to a configuration.

    Attributes
    ----------
    axes
        Axes of every histogram.
    variables
        Histograms by name.
    columns
        Columns of every category.
    weights
        Weights of all events.
    counts
        Columns to sum by name; None sums the weight.
    fields
        Columns of axes with ``coll="custom"``, by field.
    """

    axes: tuple[Any, ...]
    variables: Mapping[str, Any]
    columns: tuple[Any, ...]
    weights: tuple[Any, ...]
    counts: Mapping[str, Any]
    fields: Mapping[str, Any]

    def inside(self, frame: Events, name: str, mask: Any) -> tuple[Events, Extras]:
        """Of events that a mask selects.

        Parameters
        ----------
        frame
            The events.
        name, mask
            What they are selected by, shape ``(events,)``.

        Returns
        -------
        Events, Extras
            The selected events, and what is added to them.
        """
        columns: dict[str, Any] = {}

        def noted(value: Any) -> Any:
            if isinstance(value, dak.Array):
                columns.setdefault(f"extra.{value.name}", value)
            return value

        self._mapped(noted)
        kept = frame.define(**columns).filter(**{name: mask})

        def taken(value: Any) -> Any:
            return kept[f"extra.{value.name}"] if isinstance(value, dak.Array) else value

        return kept, self._mapped(taken)

    def _mapped(self, function: Callable[[Any], Any]) -> Extras:
        """With what a function makes of each value."""
        return replace(
            self,
            weights=tuple(mapped(function, weight) for weight in self.weights),
            counts={name: function(value) for name, value in self.counts.items()},
            fields={name: function(value) for name, value in self.fields.items()},
        )


class Workflow:
    """Selects objects and computes variables, with lazy events.

    A subclass says what the good objects are (`apply_object_preselection`) and counts them
    (`count_objects`); every other method may be left as it is. They are called once for each group
    of like files, while the analysis is recorded, in this order; `variation` is always
    ``"nominal"``, since what the shape variations change is found out from the recording:

    1. `process_extra_before_skim`, the skim cuts, `process_extra_after_skim`
    2. the calibrators, `process_extra_after_calibrators`
    3. `apply_object_preselection`, `count_objects`, `define_common_variables_before_presel`,
       `process_extra_before_presel`, the preselections
    4. `define_common_variables_after_presel`, `process_extra_after_presel`
    5. categories, weights (`compute_weights_extra`), histograms (`define_custom_axes_extra`,
       `define_histograms_extra`), columns (`define_column_accumulators_extra`) and counts
       (`count_events_extra`); where a sample is split, with the events of all its subsamples

    Parameters
    ----------
    cfg
        The analysis.

    Attributes
    ----------
    events
        The lazy events. Columns are put in by assignment: ``self.events["MuonGood"] = muons``.
    params, workflow_options
        Parameters and options of the analysis.
    custom_axes
        Axes that every histogram has besides its own.
    custom_histogram_fields
        Columns of axes with ``coll="custom"``, by field.
    """

    def __init__(self, cfg: Analysis) -> None:
        self.cfg = cfg
        self.params = cfg.parameters
        self.workflow_options = cfg.workflow_options
        self.events: Any = None
        self.custom_axes: list[Any] = []
        self.custom_histogram_fields: dict[str, Any] = {}
        self._metadata: Mapping[str, Any] = {}

    def begin(self, frame: Events, metadata: Mapping[str, Any]) -> None:
        """Take the events of a group of files.

        Parameters
        ----------
        frame
            The events.
        metadata
            What their datasets have in common.
        """
        self.events = EventsView(frame)
        self._metadata = metadata
        self.load_metadata_extra()

    def extras(self) -> Extras:
        """What it adds to the configuration, for the events it has now."""
        axes = self._list("define_custom_axes_extra", "Axis(…)", Axis)
        weights = self._list(
            "compute_weights_extra", "WeightData(name, nominal, up, down)", Weight, NOMINAL
        )
        return Extras(
            (*self.custom_axes, *axes),
            self._by_name("define_histograms_extra", "HistConf([Axis(…)])", HistConf),
            self._list("define_column_accumulators_extra", "ColOut(collection, columns)", ColOut),
            weights,
            self._by_name("count_events_extra", "a column, or None", object, NOMINAL),
            self.custom_histogram_fields,
        )

    def _list(self, hook: str, each: str, kind: Any, *given: Any) -> tuple[Any, ...]:
        """What a hook returned, a list."""
        found = getattr(self, hook)(*given) or ()
        several = isinstance(found, Iterable) and not isinstance(found, str | Mapping)
        items = tuple(found) if several else (found,)
        for one in items:
            if not (several and isinstance(one, kind)):
                self._refuse(hook, one, f"a list of {each}")
        return items

    def _by_name(self, hook: str, each: str, kind: Any, *given: Any) -> Mapping[str, Any]:
        """What a hook returned, a mapping by name."""
        found = getattr(self, hook)(*given) or {}
        for one in found.values() if isinstance(found, Mapping) else (found,):
            if not (isinstance(found, Mapping) and isinstance(one, kind)):
                self._refuse(hook, one, f"{{'<name>': {each}}}")
        return found

    def _refuse(self, hook: str, one: Any, instead: str) -> NoReturn:
        what = f"{hook} of {type(self).__name__} returned"
        msg = f"{what} {type(one).__name__}: return {instead}."
        raise InputTypeError(msg)

    # -- what the files are ------------------------------------------------------------------

    @property
    def _sample(self) -> str:
        return str(self._metadata["sample"])

    @property
    def _year(self) -> str:
        return str(self._metadata["year"])

    @property
    def _isMC(self) -> bool:
        return bool(self._metadata["isMC"])

    @property
    def _era(self) -> str:
        return "MC" if self._isMC else str(self._metadata.get("era", ""))

    @property
    def _primaryDataset(self) -> str:
        return str(self._metadata.get("primaryDataset", ""))

    @property
    def _isSkim(self) -> bool:
        return bool(self._metadata.get("isSkim", False))

    @property
    def _nano_version(self) -> int:
        given = self._metadata.get("nano_version")
        if given:
            return int(given)
        versions = self.params.get("default_nano_version", {})
        return int(versions.get(self._year, 9))

    def __getattr__(self, name: str) -> Any:
        """Refused: of what other frameworks have the error says what takes its place."""
        what = f"Workflow {type(self).__name__} has no {name!r}"
        raise ColumnError(f"{what}: {NOT_HERE[name]}." if name in NOT_HERE else f"{what}.")

    # -- hooks -------------------------------------------------------------------------------

    def load_metadata_extra(self) -> None:
        """Look at the metadata."""

    def process_extra_before_skim(self) -> None:
        """Work on all events, before any cut."""

    def process_extra_after_skim(self) -> None:
        """Work on the events that pass the skim."""

    def process_extra_after_calibrators(self, variation: str) -> None:
        """Work on calibrated objects."""

    def apply_object_preselection(self, variation: str) -> None:
        """Put the good objects into the events. A workflow must say how."""
        del variation
        msg = (
            f"Workflow {type(self).__name__} does not say what the good objects are: write "
            "def apply_object_preselection(self, variation) that puts them into self.events."
        )
        raise InputError(msg)

    def count_objects(self, variation: str) -> None:
        """Put numbers of good objects into the events; ``nMuonGood`` is there in any case."""

    def define_common_variables_before_presel(self, variation: str) -> None:
        """Put variables into the events that the preselections use."""

    def process_extra_before_presel(self, variation: str) -> None:
        """Work on the events before the preselections."""

    def define_common_variables_after_presel(self, variation: str) -> None:
        """Put variables into the events that pass the preselections."""

    def process_extra_after_presel(self, variation: str) -> None:
        """Work on the events that pass the preselections, e.g. evaluate models."""

    def define_custom_axes_extra(self) -> Iterable[Any]:
        """Axes that every histogram has besides its own: returned, or put into `custom_axes`."""
        return ()

    def define_histograms_extra(self) -> Mapping[str, Any]:
        """Histograms besides those of the configuration: a `HistConf` by name."""
        return {}

    def define_column_accumulators_extra(self) -> Iterable[Any]:
        """Columns besides those of the configuration: `ColOut` of every category."""
        return ()

    def compute_weights_extra(self, variation: str) -> Iterable[Any]:
        """Weights besides those of the configuration: `WeightData`, applied everywhere."""
        del variation
        return ()

    def count_events_extra(self, variation: str) -> Mapping[str, Any]:
        """Numbers to sum over the selected events: a column, or None to sum the weight, by name."""
        del variation
        return {}


BaseProcessorABC = Workflow

HOOKS = tuple(
    name for name, one in vars(Workflow).items() if callable(one) and not name.startswith("_")
)
ELSEWHERE = {
    "skim_events": "put the condition into skim",
    "apply_preselections": "put the condition into preselections",
    "define_categories": "put the condition into categories",
    "define_weights": "name the weights in weights, or return WeightData in compute_weights_extra",
    "compute_weights": "name the weights in weights, or return WeightData in compute_weights_extra",
    "define_histograms": "put them into variables, or return them in define_histograms_extra",
    "fill_histograms": "put them into variables, or return them in define_histograms_extra",
    "fill_histograms_extra": "return HistConf by name in define_histograms_extra",
    "define_column_accumulators": "put them into columns",
    "fill_column_accumulators": "put them into columns",
    "fill_column_accumulators_extra": "return ColOut in define_column_accumulators_extra",
    "count_events": "return columns to sum by name in count_events_extra",
    "load_metadata": "write load_metadata_extra",
    "initialize_calibrators": "list the classes in calibrators",
    "process": "write the hooks, which it would call",
    "postprocess": "work on the output, which lazyana.analysis.run.run returns",
}
"""Methods of other frameworks that nothing calls here, and what takes their place."""

_COUNTED = "how many events there are is known after running, and then in the cutflow"
NOT_HERE = {
    "_dataset": "hooks are called once for all datasets of a sample; its name is self._sample, and "
    "Axis('dataset', coll='metadata') tells datasets apart",
    "_lumi": "it is in self.params.lumi",
    "_xsec": "weight XS multiplies by it",
    "delayed_branches": "put the column in with self.events[name] = …: it is computed where "
    "something uses it",
    "output": "return what is to be in it from count_events_extra, define_histograms_extra or "
    "define_column_accumulators_extra",
    "hists_managers": "put histograms into variables, or return them in define_histograms_extra",
    "column_managers": "put columns into columns, or return them in "
    "define_column_accumulators_extra",
    "weights_manager": "name weights in weights, or return WeightData in compute_weights_extra",
    "weights_managers": "name weights in weights, or return WeightData in compute_weights_extra",
    "nevents": _COUNTED,
    "nEvents_initial": _COUNTED,
    "nEvents_after_skim": _COUNTED,
    "nEvents_after_presel": _COUNTED,
}
"""Attributes of other frameworks' workflows that there are not here, and what takes their place."""


def check_hooks(workflow: type[Workflow]) -> None:
    """Refuse methods that look like hooks and would never be called, or could not be.

    Raises
    ------
    InputError
        Naming the method and what to write instead.
    """
    check_methods(workflow, Workflow, f"workflow {workflow.__name__}")
    own = [
        (name, base)
        for base in workflow.__mro__
        if issubclass(base, Workflow) and base is not Workflow
        for name, one in vars(base).items()
        if callable(one) and name not in HOOKS
    ]
    for name, base in own:
        what = f"Workflow {workflow.__name__} has a method {name}, which nothing calls"
        if name in ELSEWHERE:
            msg = f"{what}: {ELSEWHERE[name]}."
            raise InputError(msg)
        for hook in get_close_matches(name, HOOKS, cutoff=0.93):
            if hook not in vars(base):
                msg = f"{what}. Did you mean {hook!r}? Otherwise give it a less similar name."
                raise InputError(msg)
