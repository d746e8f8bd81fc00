"""What CoffeaRunner's configurations may say: the keys of its ``cfg`` dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from lazyana.analysis.coffearunner.collected import Collected
from lazyana.analysis.schema import DatasetsSection, Section
from lazyana.errors import InputError


def is_coffearunner(cfg: Mapping[str, Any]) -> bool:
    """Whether a dictionary is a configuration of CoffeaRunner, right or wrong."""
    typical = {"dataset", "run_options", "userconfig", "systematic"}
    return "datasets" not in cfg and bool(typical & cfg.keys())


_SPELLINGS = {"systematics": "systematic", "isJERC": "JERC"}
"""Other spellings of keys, those of the README of CoffeaRunner."""


def _renamed(given: Any, spelling: str) -> Any:
    """A mapping with another spelling of a key replaced; of both the usual one counts."""
    key = _SPELLINGS[spelling]
    if not isinstance(given, Mapping) or spelling not in given:
        return given
    if key in given:
        return {name: value for name, value in given.items() if name != spelling}
    return {key if name == spelling else name: value for name, value in given.items()}


def _spelt_twice(cfg: Mapping[str, Any]) -> list[str]:
    """Keys that are there in two spellings."""
    inside = cfg.get("systematic", cfg.get("systematics"))
    return [
        f"{where} has {key!r} and {other!r}, two spellings of the same: keep {key!r}."
        for where, given in (("cfg", cfg), ("cfg['systematic']", inside))
        if isinstance(given, Mapping)
        for other, key in _SPELLINGS.items()
        if {other, key} <= given.keys()
    ]


class Dataset(DatasetsSection):
    """``dataset``: the fileset files and the campaign they are of."""

    campaign: str
    year: str

    @field_validator("year", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value


class RunOptions(Section):
    """``run_options``: how to run."""

    executor: str = "iterative"
    limit: PositiveInt | None = None
    max: PositiveInt | None = None
    chunk: PositiveInt | None = None
    workers: PositiveInt | None = None
    scaleout: PositiveInt | None = None
    retries: NonNegativeInt | None = None
    skipbadfiles: bool | None = None
    voms: str | None = None
    mem_per_worker: Any = None
    walltime: Any = None
    splitjobs: Any = None
    compression: Any = None
    requirements: Any = None
    index: str | None = None
    sample_size: Any = None


class WeightsPart(Section):
    """Weights of all categories and of some, by the names of CoffeaRunner."""

    inclusive: Mapping[str, Any] = Field(default_factory=dict)
    bycategory: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)

    @field_validator("inclusive", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return dict.fromkeys(value) if isinstance(value, list | tuple) else value or {}

    @field_validator("bycategory", mode="before")
    @classmethod
    def _names_by_category(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value or {}
        return {name: cls._names(one) for name, one in value.items()}


class Weights(Section):
    """``weights``: for all samples and for some."""

    common: WeightsPart = WeightsPart()
    bysample: Mapping[str, WeightsPart] = Field(default_factory=dict)


class Systematic(Section):
    """``systematic``: which uncertainties to follow."""

    JERC: bool | Literal["split"] = False
    weights: bool = False
    roccor: bool = False

    @field_validator("JERC", mode="before")
    @classmethod
    def _choice(cls, value: Any) -> Any:
        if not isinstance(value, bool) and value != "split":
            msg = "give False, True or 'split'"
            raise ValueError(msg)
        return value

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        return _renamed(value, "isJERC")


class Configuration(Section):
    """The whole dictionary: the keys of CoffeaRunner, then those of ours it may also have."""

    dataset: Dataset
    workflow: Any
    output: str | None = None
    only: str | None = None
    run_options: RunOptions = RunOptions()
    categories: Any = Field(default_factory=dict)
    preselections: Any = ()
    weights: Weights = Weights()
    systematic: Systematic = Systematic()
    userconfig: Mapping[str, Any] = Field(default_factory=dict)
    export_array: bool | str | None = None

    parameters: Any = None
    skim: Any = ()
    variables: Any = None
    columns: Any = None
    weights_classes: Any = None
    calibrators: Any = None
    variations: Any = None
    workflow_options: Mapping[str, Any] = Field(default_factory=dict)
    save_skimmed_files: Any = None
    do_postprocessing: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        return _renamed(value, "systematics")

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Self:
        """A configuration; no key is there in two spellings.

        Raises
        ------
        InputError
            All that is wrong with it.
        """
        wrong, found = Collected(), None
        for line in _spelt_twice(given):
            wrong.errors.append(InputError(line))
        with wrong.each():
            found = super().checked(given)
        wrong.check()
        assert found is not None  # or something was wrong
        return found

    @classmethod
    def without_mistakes(cls, given: Mapping[str, Any]) -> Self | None:
        """A configuration without the sections that are wrong.

        Returns
        -------
        Configuration or None
            None where ``dataset`` or ``workflow`` is wrong, without which nothing can be said.
        """
        left = {key: given[key] for key in ("dataset", "workflow") if key in given}
        for key in (None, *given):
            tried = left if key is None else {**left, key: given[key]}
            try:
                cls.checked(tried)
            except InputError:
                if key is None:
                    return None
            else:
                left = tried
        return cls.checked(left)
