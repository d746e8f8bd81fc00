"""What a configuration may say: its sections, their keys and types."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lazyana.errors import InputError, did_you_mean
from lazyana.options import ErrorPolicy
from lazyana.sinks.skimfile import COMPRESSION

Names: TypeAlias = tuple[str, ...]

SkimMode: TypeAlias = Literal["skim", "presel_any_variation"]
"""Whether a skim has the events that pass the skim cuts, or those that also pass the preselections
in any shape variation."""


class Section(BaseModel):
    """A part of a configuration; keys it does not know are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, strict=False
    )

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Self:
        """A configuration, or the part of one.

        Raises
        ------
        InputError
            All that is wrong with it: each with its place and what was meant, as far as that can
            be guessed.
        """
        settled = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(**settled)
        except ValidationError as error:
            said = [_said(cls, one) for one in error.errors()]
        msg = "The configuration cannot be used:\n" + "\n".join(f"- {line}" for line in said)
        raise InputError(msg)


class FilterSection(Section):
    """Which datasets to run over, by exact name or pattern."""

    samples: Names | None = None
    samples_exclude: Names = ()
    year: Names | None = None
    datasets: Names | None = None

    @field_validator("samples", "samples_exclude", "year", "datasets", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if isinstance(value, str | int):
            return (str(value),)
        if isinstance(value, Iterable):
            return tuple(map(str, value))
        return value


class DatasetsSection(Section):
    """The filesets, and what is selected of them."""

    jsons: tuple[Any, ...]
    filter: FilterSection = FilterSection()
    subsamples: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("jsons", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list | tuple) else (value,)


class Applied(Section):
    """Things for all categories, and for some."""

    inclusive: tuple[Any, ...] = ()
    bycategory: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)

    def items(self) -> Iterator[tuple[str | None, Any]]:
        """Each thing with the category it is for, None for all."""
        for item in self.inclusive:
            yield None, item
        for category, several in self.bycategory.items():
            for item in several:
                yield category, item


class AppliedSection(Section):
    """Things for all samples, and for some."""

    common: Applied = Applied()
    bysample: Mapping[str, Applied] = Field(default_factory=dict)

    def of(self, samples: Iterable[str], category: str) -> tuple[Any, ...]:
        """What applies to a category of samples and subsamples, each thing once.

        The order is: common, then the sample, then the subsample; in each what is inclusive before
        what is for the category.
        """
        parts = [self.common, *(self.bysample[name] for name in samples if name in self.bysample)]
        found: list[Any] = []
        for part in parts:
            for item in (*part.inclusive, *part.bycategory.get(category, ())):
                if item not in found:
                    found.append(item)
        return tuple(found)

    def entries(self) -> Iterator[tuple[str, str | None, Any]]:
        """Each thing with the place it is written at and the category it is for."""
        for category, item in self.common.items():
            yield _place("common", category), category, item
        for sample, applied in self.bysample.items():
            for category, item in applied.items():
                yield _place(f"bysample[{sample!r}]", category), category, item


class VariationsSection(Section):
    """The variations that are kept: those of weights, and of calibrators, by their names."""

    weights: AppliedSection = AppliedSection()
    shape: AppliedSection = AppliedSection()


class SkimSection(Section):
    """Which events are written to files, instead of filling histograms."""

    path: str
    mode: SkimMode | None = None
    keep: Names | None = None
    drop: Names = ()
    compression: str = COMPRESSION
    overwrite: bool = False

    @field_validator("path", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("keep", "drop", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def __str__(self) -> str:
        """Where to, and which events."""
        return f"{self.path} ({self.mode})"

    def inside(self, name: str) -> SkimSection:
        """The same, written to a folder inside."""
        return self.model_copy(update={"path": f"{self.path.rstrip('/')}/{name}"})


class RunSection(Section):
    """How to run, where `lazyana.analysis.run.run` is not told otherwise."""

    executor: str | None = None
    workers: int | None = None
    limit_files: int | None = None
    limit_partitions: int | None = None
    partition_size: int | str | None = None
    on_error: ErrorPolicy | None = None
    retries: int | None = None


class Sections(Section):
    """A whole configuration."""

    workflow: Any
    parameters: Any
    datasets: DatasetsSection
    skim: tuple[Any, ...] = ()
    preselections: tuple[Any, ...] = ()
    categories: Any = Field(default_factory=dict)
    weights: AppliedSection = AppliedSection()
    variations: VariationsSection = VariationsSection()
    variables: Mapping[str, Any] = Field(default_factory=dict)
    columns: AppliedSection = AppliedSection()
    weights_classes: tuple[Any, ...] | None = None
    calibrators: tuple[Any, ...] | None = None
    workflow_options: Mapping[str, Any] = Field(default_factory=dict)
    save_skimmed_files: SkimSection | None = None
    do_postprocessing: bool = True
    run_options: RunSection = RunSection()
    output: Path | None = None

    @field_validator("save_skimmed_files", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | os.PathLike) else value


_LONGEST = 100
"""Letters of what is wrong that are shown."""

_INSTEAD = {
    "tuple_type": "give a list, [...]",
    **dict.fromkeys(("dict_type", "mapping_type"), "give a dictionary, {'<name>': ...}"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "give True or False"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "give a whole number"),
    "string_type": "give text, '...'",
}
"""What to write instead, by the kind of mistake."""


def _place(section: str, category: str | None) -> str:
    return f"{section}.inclusive" if category is None else f"{section}.bycategory[{category!r}]"


def _said(top: type[Section], error: Any) -> str:
    """What is wrong, where, and what could have been meant."""
    where = [str(part) for part in error["loc"]]
    path = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = _keys(top, where[:-1])
        inside = f" in {'.'.join(where[:-1])}" if where[:-1] else ""
        hint = did_you_mean(where[-1], known)
        return f"{where[-1]!r} is no key{inside}.{hint} Keys are: {', '.join(known)}."
    if error["type"] == "missing":
        return f"{path} is missing."
    given = error.get("input")
    shown = repr(given)
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    what = f"{path} is {shown} ({type(given).__name__})"
    if error["type"] == "model_type":
        return f"{what}: give a dictionary, with the keys {', '.join(_keys(top, where))}."
    if error["type"] == "value_error":
        return f"{what}: {error['ctx']['error']}."
    return f"{what}: {_INSTEAD.get(error['type'], error['msg'].lower())}."


def _keys(section: Any, path: Iterable[str]) -> list[str]:
    """The keys a section has at a path."""
    for name in path:
        fields = getattr(section, "model_fields", {})
        section = _element(fields[name].annotation if name in fields else section)
    return list(getattr(section, "model_fields", {}))


def _element(annotation: Any) -> Any:
    """What a key holds; of a mapping by name, what each name does."""
    return next(
        (one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, Section)),
        annotation,
    )
