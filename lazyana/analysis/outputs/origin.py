"""Where the events of several outputs come from: no event may be in two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lazyana.engine.provenance import Provenance
from lazyana.errors import InputError

Files: TypeAlias = Mapping[str, Sequence[Sequence[Any]]]
"""URL, uuid and number of events of the files read, by dataset."""


@dataclass
class Origin:
    """The files that the events of several outputs come from.

    Attributes
    ----------
    different_files
        Whether outputs that do not say what files they are of are taken for different ones.
    """

    different_files: bool = False
    datasets: dict[str, Path] = field(default_factory=dict)
    files: dict[str, list[Any]] = field(default_factory=dict)
    analyses: dict[str, Path] = field(default_factory=dict)
    incomplete: list[Path] = field(default_factory=list)
    _seen: dict[tuple[str, str], Path] = field(default_factory=dict)

    def add(self, path: Path, datasets: Iterable[str], files: Files | None) -> set[str]:
        """Note an output.

        Parameters
        ----------
        path
            Its file.
        datasets
            What it is of.
        files
            What was read, as far as that is recorded.

        Returns
        -------
        set of str
            The datasets that an earlier output is of too.

        Raises
        ------
        InputError
            A file that an earlier output is of too, or may be.
        """
        again = {name for name in datasets if name in self.datasets}
        for name in datasets:
            if name in again and not self.different_files and not (files or {}).get(name):
                msg = (
                    f"Dataset {name!r} is in {self.datasets[name]} and in {path}, which does not "
                    "record of what files: its events may be in both. If they are of different "
                    "files, and not divided by sums of weights yet, say so with "
                    "different_files=True (--different-files)."
                )
                raise InputError(msg)
            for file in (files or {}).get(name, ()):
                self._once(path, name, file)
            self.datasets.setdefault(name, path)
        return again

    def _once(self, path: Path, dataset: str, file: Sequence[Any]) -> None:
        url, uuid, _ = file
        # A file may go by several URLs, but not every format has a uuid.
        key = dataset, str(uuid or url)
        if key in self._seen:
            msg = (
                f"Events of dataset {dataset!r} are twice in these outputs: both {self._seen[key]} "
                f"and {path} are of {url}."
            )
            raise InputError(msg)
        self._seen[key] = path
        self.files.setdefault(dataset, []).append(list(file))

    def notices(self) -> list[str]:
        """What should be known of the outputs together."""
        found = []
        if len(self.analyses) > 1:
            paths = ", ".join(map(str, self.analyses.values()))
            found.append(f"made by different configurations: {paths}")
        if self.incomplete:
            found.append(f"incomplete: {', '.join(map(str, self.incomplete))}")
        return found

    @property
    def analysis(self) -> str:
        """Hash of the analysis that made all outputs; empty if there are several."""
        return next(iter(self.analyses)) if len(self.analyses) == 1 else ""

    def record(self) -> dict[str, Any]:
        """What the merged output says of its origin."""
        made = Provenance.collect()
        return {
            "lazyana": made.lazyana,
            "time": made.time,
            "analysis": self.analysis,
            "configuration": "",
            "files": self.files,
            "complete": not self.incomplete,
        }

    def made_by(self, analysis: str, path: Path, *, complete: bool) -> None:
        """Note the analysis that made an output, and whether all of its events are in it."""
        self.analyses.setdefault(analysis, path)
        if not complete:
            self.incomplete.append(path)
