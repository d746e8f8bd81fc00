"""The configuration of an analysis, checked before a file is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf

from lazyana.analysis.applied import Rules, check_options
from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.categories import Selection, selection_of
from lazyana.analysis.classes import by_name
from lazyana.analysis.columns import ColOut
from lazyana.analysis.common_weights import common_weights
from lazyana.analysis.cuts import cuts_of
from lazyana.analysis.datasets import Filter, kept, load_datasets, sample_of
from lazyana.analysis.histograms import HistConf
from lazyana.analysis.jets_calibration import default_calibrators_sequence
from lazyana.analysis.schema import Sections, SkimMode, SkimSection
from lazyana.analysis.weights import WeightWrapper
from lazyana.analysis.workflow import Workflow, check_hooks
from lazyana.errors import InputError, InputTypeError, did_you_mean
from lazyana.sinks.skimfile import codec

GENERATOR_SUMS = {"genWeight": "sum_genweights", "signOf_genWeight": "sum_signOf_genweights"}
"""The sums that simulation is divided by, by the weight that asks for it."""

STAGES = ("initial", "skim", "presel")
"""What the stages of the cutflow before the categories are called in the output."""


class Analysis:
    """A declarative configuration: what to select, weigh, vary and fill.

    Parameters
    ----------
    workflow
        A subclass of `Workflow`.
    parameters
        Parameters of the objects, corrections and eras: OmegaConf or a mapping, e.g.
        `lazyana.analysis.defaults.get_default_parameters` and what was merged into it.
    datasets
        ``jsons``: paths of fileset files; ``filter``: ``samples``, ``samples_exclude``, ``year``,
        ``datasets``; ``subsamples``: for each sample, cuts by the name of the subsample.
    skim, preselections
        Cuts, or expressions such as ``"nMuonGood == 2"``; all have to pass.
    categories
        Cuts for each category, a `StandardSelection` or a `CartesianSelection`; default: one
        category ``baseline`` of all events.
    weights
        Names of weights: ``common`` and ``bysample``, each ``inclusive`` and ``bycategory``.
    variations
        ``weights``: names of weights, ``shape``: names of calibrators, each arranged as `weights`:
        whose variations are kept.
    variables
        Histograms: a `HistConf` by name.
    columns
        Columns: lists of `ColOut`, arranged as `weights`.
    weights_classes
        The classes of the weights there are; default:
        `lazyana.analysis.common_weights.common_weights`.
    calibrators
        Classes of calibrators, in the order they are applied; default: those of
        `lazyana.analysis.jets_calibration.default_calibrators_sequence`, which smear jets, where
        the parameters have ``jets_calibration``.
    workflow_options
        What the workflow wants to know.
    save_skimmed_files
        Folder to write skimmed files to, instead of filling histograms; or a mapping with its
        ``path`` and ``mode``, ``keep`` and ``drop`` (names or patterns of branches),
        ``compression``, ``overwrite``. The mode is ``"skim"``, events that pass the skim cuts, or
        ``"presel_any_variation"``, events that pass the preselections, too, nominally or in a shape
        variation that is kept; it may be called ``skim_mode`` in `workflow_options` as well.
    do_postprocessing
        Whether simulation is divided by its sum of generator weights; default: True, unless
        ``donotscale_sumgenweights`` is among the `workflow_options`.
    run_options, output
        Options of `lazyana.analysis.run.run` and its folder, where those are not given.

    Raises
    ------
    InputError, InputTypeError
        Everything that contradicts itself or names something that does not exist, with its place in
        the configuration.
    """

    def __init__(self, **sections: Any) -> None:
        given = Sections.checked(sections)
        self._given, self._sections = given, sections
        self.workflow: type[Workflow] = _workflow(given.workflow)
        self.workflow_options: Mapping[str, Any] = dict(given.workflow_options)
        self.parameters: DictConfig = _parameters(given.parameters)
        self.save_skimmed_files = _skims(given)
        unscaled = self.workflow_options.get("donotscale_sumgenweights", False)
        self.do_postprocessing = given.do_postprocessing and not unscaled
        self.run_options: Mapping[str, Any] = given.run_options.model_dump(exclude_none=True)
        self.output = given.output
        chosen = Filter(**given.datasets.filter.model_dump())
        self._everything = load_datasets(given.datasets.jsons)
        self.fileset = kept(self._everything, chosen)
        self.skim = cuts_of("skim", given.skim)
        self.preselections = cuts_of("preselections", given.preselections)
        self.categories: Selection = selection_of("categories", given.categories)
        weights, calibrators = given.weights_classes, given.calibrators
        self.weights_classes = by_name(
            common_weights if weights is None else weights, WeightWrapper, "weight"
        )
        # Which jets there are is in the default parameters: without them nothing is calibrated.
        known = default_calibrators_sequence if "jets_calibration" in self.parameters else ()
        self.calibrators = by_name(
            known if calibrators is None else calibrators, Calibrator, "calibrator"
        )
        self.variables: Mapping[str, HistConf] = given.variables
        self._check()

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """The samples that are run over, in the order of the datasets."""
        return tuple(dict.fromkeys(map(sample_of, self.fileset.datasets)))

    @cached_property
    def years(self) -> tuple[str, ...]:
        """The eras that are run over, sorted: those of an axis ``bins=self.cfg.years``."""
        return tuple(sorted({str(one.metadata["year"]) for one in self.fileset.datasets}))

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that are run over."""
        return tuple(one.name for one in self.fileset.datasets)

    @cached_property
    def subsamples(self) -> Mapping[str, Selection]:
        """For each sample that is split, the cuts of its subsamples."""
        given = self._given.datasets.subsamples
        return {
            sample: selection_of(f"datasets.subsamples[{sample!r}]", cuts)
            for sample, cuts in given.items()
        }

    @cached_property
    def rules(self) -> Rules:
        """What applies where."""
        given = self._given
        return Rules(
            weights=given.weights,
            variations=given.variations,
            columns=given.columns,
            categories=self.categories.names,
            samples=tuple(dict.fromkeys(map(sample_of, self._everything.datasets))),
            subsamples={sample: one.names for sample, one in self.subsamples.items()},
            known_weights=self.weights_classes,
            known_calibrators=self.calibrators,
            data=frozenset(
                sample_of(one) for one in self._everything.datasets if not one.metadata["isMC"]
            ),
        )

    def filtered(
        self,
        *,
        samples: Iterable[str] | None = None,
        year: Iterable[str] | None = None,
        datasets: Iterable[str] | None = None,
    ) -> Analysis:
        """The same analysis of fewer datasets.

        Parameters
        ----------
        samples, year, datasets
            Names or patterns to keep, instead of those of the configuration; None: as there.

        Raises
        ------
        InputError
            A name that nothing has.
        """
        changes = {"samples": samples, "year": year, "datasets": datasets}
        wanted = self._given.datasets.filter.model_dump()
        wanted |= {key: tuple(value) for key, value in changes.items() if value is not None}
        section = {**self._sections["datasets"], "filter": wanted}
        return Analysis(**{**self._sections, "datasets": section})

    def _check(self) -> None:
        """Refuse what contradicts itself."""
        samples = self.rules.samples
        for sample in self.subsamples:
            if sample not in samples:
                msg = (
                    f"datasets.subsamples names {sample!r}, which is no sample."
                    f"{did_you_mean(sample, samples)} There are: {', '.join(samples)}."
                )
                raise InputError(msg)
        for name, variable in self._given.variables.items():
            if not isinstance(variable, HistConf):
                msg = (
                    f"variables[{name!r}] is a {type(variable).__name__}: give "
                    "HistConf([Axis(coll=..., field=..., bins=..., start=..., stop=...)])."
                )
                raise InputTypeError(msg)
        for place, _, column in self._given.columns.entries():
            if not isinstance(column, ColOut):
                msg = (
                    f"columns.{place} holds a {type(column).__name__}: give ColOut(collection, "
                    "columns)."
                )
                raise InputTypeError(msg)
        check_options(self.workflow_options)
        self.rules.check()
        self._check_categories()
        self._check_variables()

    def _check_categories(self) -> None:
        """Refuse categories named as the stages before them, beside which they are listed."""
        for name in STAGES:
            if name in self.categories:
                msg = (
                    f"categories has one called {name!r}, as a stage of the cutflow is: give it "
                    "another name."
                )
                raise InputError(msg)

    def _check_variables(self) -> None:
        """Refuse histograms that name samples, categories or variations that do not exist."""
        subsamples = (
            self.rules.names_of(sample, name)[-1]
            for sample, names in self.rules.subsamples.items()
            for name in names
        )
        samples = (*self.rules.samples, *subsamples)
        for name, variable in self.variables.items():
            variable.check(name, samples=samples, categories=self.categories.names)


Configurator = Analysis


def _skims(given: Sections) -> SkimSection | None:
    """Which events are written to files; the mode may be among the options of the workflow."""
    skims, option = given.save_skimmed_files, given.workflow_options.get("skim_mode")
    modes = get_args(SkimMode)
    if option is not None and option not in modes:
        msg = (
            f"workflow_options['skim_mode'] is {option!r}.{did_you_mean(str(option), modes)} "
            f"Choose from {', '.join(modes)}."
        )
        raise InputError(msg)
    if skims is None:
        return None
    codec(skims.compression)
    if skims.mode is not None and option not in (None, skims.mode):
        msg = (
            f"workflow_options['skim_mode'] is {option!r}, save_skimmed_files has the mode "
            f"{skims.mode!r}: say it in one place only."
        )
        raise InputError(msg)
    return skims.model_copy(update={"mode": skims.mode or option or "skim"})


def _workflow(given: Any) -> type[Workflow]:
    if isinstance(given, type) and issubclass(given, Workflow):
        check_hooks(given)
        return given
    shown = given.__name__ if isinstance(given, type) else repr(given)
    msg = f"The workflow is {shown}: give a subclass of lazyana.analysis.workflow.Workflow."
    raise InputTypeError(msg)


def _parameters(given: Any) -> DictConfig:
    if not isinstance(given, DictConfig | dict):
        msg = (
            f"The parameters are a {type(given).__name__}: give those of "
            "lazyana.analysis.defaults.get_default_parameters(), or a mapping."
        )
        raise InputTypeError(msg)
    return given if isinstance(given, DictConfig) else OmegaConf.create(given)
