"""Workflows: what an analysis computes beyond its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lazyana.analysis.view import EventsView
from lazyana.errors import InputError

if TYPE_CHECKING:
    from lazyana.analysis.config import Analysis
    from lazyana.frame.events import Events


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
    5. categories, weights (`compute_weights_extra`), histograms (`define_histograms_extra`),
       columns (`define_column_accumulators_extra`) and counts (`count_events_extra`)

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
    """

    def __init__(self, cfg: Analysis) -> None:
        self.cfg = cfg
        self.params = cfg.parameters
        self.workflow_options = cfg.workflow_options
        self.events: Any = None
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
        return str(self._metadata.get("era", ""))

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
        """Axes that every histogram has besides its own."""
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
