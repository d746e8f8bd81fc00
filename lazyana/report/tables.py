"""Tables of cutflows and yields, as text, Markdown, LaTeX, CSV or for rich."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import hist
import numpy as np
import numpy.typing as npt

from lazyana.errors import InputError
from lazyana.report import lookup
from lazyana.report.lookup import NOMINAL, Groups
from lazyana.report.stack import check_scale

if TYPE_CHECKING:
    import rich.table

_MISSING = "-"


class CutflowLike(Protocol):
    """What a cutflow is made of."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets."""
        ...

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the cuts, in order."""
        ...

    @property
    def variations(self) -> tuple[str, ...]:
        """Labels of the variations."""
        ...

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Events, shape ``(datasets, variations, stages)``."""
        ...

    @property
    def sumw(self) -> npt.NDArray[np.float64]:
        """Sums of weights, shape ``(datasets, variations, stages)``."""
        ...

    @property
    def sumw2(self) -> npt.NDArray[np.float64]:
        """Sums of squared weights, shape ``(datasets, variations, stages)``."""
        ...


@dataclass(frozen=True)
class Yield:
    """A yield with its statistical uncertainty, shown with two digits of the latter."""

    value: float
    error: float

    def text(self, plus_minus: str = "±") -> str:
        """``"1234.5 ± 1.2"``."""
        if not (math.isfinite(self.value) and math.isfinite(self.error)):
            return f"{self.value} {plus_minus} {self.error}"
        decimals = 1 - math.floor(math.log10(self.error)) if self.error > 0 else 0
        decimals = min(max(decimals, 0), 12)
        if self.error <= 0 and self.value != round(self.value):
            return f"{self.value:g} {plus_minus} 0"
        return f"{self.value:,.{decimals}f} {plus_minus} {self.error:,.{decimals}f}"


@dataclass(frozen=True)
class Efficiency:
    """A fraction, shown in per cent; None where it is not defined."""

    value: float | None

    def text(self) -> str:
        """``"12.3 %"``, with three digits for small fractions."""
        if self.value is None:
            return _MISSING
        percent = 100 * self.value
        return f"{percent:.1f} %" if abs(percent) >= 1 or percent == 0 else f"{percent:.3g} %"


Cell = str | int | Yield | Efficiency


@dataclass(frozen=True)
class Table:
    """A table of typed cells.

    ``print(table)`` shows it aligned; rich and its consoles draw it with borders.

    Attributes
    ----------
    title
        What the table shows.
    columns
        Headings.
    rows
        Cells: names, counts, `Yield` and `Efficiency`.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __str__(self) -> str:
        """The aligned text."""
        return self.text()

    def __rich__(self) -> rich.table.Table:
        """What rich draws."""
        return self.to_rich()

    def text(self) -> str:
        """Aligned plain text: names to the left, numbers to the right."""
        cells = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        numbers = self._numeric()

        def line(texts: Sequence[str]) -> str:
            padded = [
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(texts, widths, numbers, strict=True)
            ]
            return "  ".join(padded).rstrip()

        rule = "  ".join("-" * width for width in widths)
        lines = [line(self.columns), rule, *map(line, self._without_repeats(cells))]
        return "\n".join([self.title, *lines] if self.title else lines)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown."""

        def line(texts: Sequence[str]) -> str:
            return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

        rule = "|" + "|".join(" ---: " if number else " --- " for number in self._numeric()) + "|"
        body = [line([_text(cell) for cell in row]) for row in self.rows]
        heading = [f"**{self.title}**", ""] if self.title else []
        return "\n".join([*heading, line(self.columns), rule, *body])

    def latex(self) -> str:
        r"""A ``tabular`` with ``\hline``, needing no packages.

        Names that contain a pair of ``$`` are taken as TeX, all others are escaped.
        """
        layout = "".join("r" if number else "l" for number in self._numeric())
        lines = [" & ".join(_tex(column) for column in self.columns) + r" \\"]
        lines += [" & ".join(_latex(cell) for cell in row) + r" \\" for row in self.rows]
        head, *body = lines
        return "\n".join(
            [
                *([f"% {self.title}"] if self.title else []),
                rf"\begin{{tabular}}{{{layout}}}",
                r"\hline",
                head,
                r"\hline",
                *body,
                r"\hline",
                r"\end{tabular}",
            ]
        )

    def csv(self) -> str:
        """Comma-separated values in full precision; a yield takes two columns, value and error."""
        split = [any(isinstance(cell, Yield) for cell in column) for column in self._columns()]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        headings = [
            (name, f"{name} error") if two else (name,)
            for name, two in zip(self.columns, split, strict=True)
        ]
        writer.writerow([name for heading in headings for name in heading])
        for row in self.rows:
            pairs = [_raw(cell, two) for cell, two in zip(row, split, strict=True)]
            writer.writerow([value for pair in pairs for value in pair])
        return buffer.getvalue()

    def to_rich(self) -> rich.table.Table:
        """The table for rich, imported only here."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=Text(self.title) if self.title else None)
        for name, number in zip(self.columns, self._numeric(), strict=True):
            table.add_column(Text(name), justify="right" if number else "left")
        # Text, because rich would take square brackets in a plain string for markup.
        for row in self._without_repeats([[_text(cell) for cell in row] for row in self.rows]):
            table.add_row(*map(Text, row))
        return table

    def _columns(self) -> list[list[Cell]]:
        """Cells by column."""
        return [[row[number] for row in self.rows] for number in range(len(self.columns))]

    def _numeric(self) -> list[bool]:
        """Which columns hold numbers."""
        return [
            bool(column) and not any(isinstance(cell, str) for cell in column)
            for column in self._columns()
        ]

    def _without_repeats(self, cells: Sequence[Sequence[str]]) -> list[list[str]]:
        """The cells, with the name in the first column only where it changes."""
        if not self.columns or self._numeric()[0]:
            return [list(row) for row in cells]
        before = [None, *(row[0] for row in cells)]
        return [
            ["" if row[0] == last else row[0], *row[1:]]
            for row, last in zip(cells, before, strict=False)
        ]


def cutflow_table(
    cutflow: CutflowLike,
    *,
    variation: str = NOMINAL,
    weighted: bool = False,
    scale: Mapping[str, float] | None = None,
) -> Table:
    """Events and efficiencies after each cut, for each dataset.

    Parameters
    ----------
    cutflow
        The cutflow of a run.
    variation
        Label of the variation.
    weighted
        Show also sums of weights, with the square root of the sum of squared weights as error, and
        take efficiencies from sums of weights instead of numbers of events.
    scale
        Factor for the sums of weights by dataset (cross section x luminosity / sum of weights).

    Returns
    -------
    Table
        One row for each dataset and cut: events, the efficiency relative to the cut before and to
        the first, and the weighted yield if asked for.

    Raises
    ------
    InputError
        A variation or a dataset that does not exist, or a scale for a table without weights.
    """
    if variation not in cutflow.variations:
        raise lookup.unknown(variation, cutflow.variations, what="variation", where="the cutflow")
    factors = dict(scale or {})
    for name in factors:
        if name not in cutflow.datasets:
            raise lookup.unknown(name, cutflow.datasets, what="dataset", where="the cutflow")
    if factors and not weighted:
        message = "scale= applies to sums of weights only; add weighted=True"
        raise InputError(message)
    shift = cutflow.variations.index(variation)
    rows = [
        (dataset, *row)
        for number, dataset in enumerate(cutflow.datasets)
        for row in _cutflow_rows(
            cutflow, number, shift, factors.get(dataset, 1.0) if weighted else None
        )
    ]
    columns = ("Dataset", "Cut", "Events", "Relative", "Cumulative")
    title = "Cutflow" if variation == NOMINAL else f"Cutflow ({variation})"
    return Table(title, (*columns, "Yield") if weighted else columns, tuple(rows))


def yields_table(
    h: hist.Hist[Any],
    *,
    datasets: Groups | None = None,
    categories: str | Sequence[str] | None = None,
    variation: str = NOMINAL,
    scale: Mapping[str, float] | None = None,
) -> Table:
    """Yields of datasets (rows) in categories (columns), with statistical uncertainty.

    Parameters
    ----------
    h
        Histogram of a run; integrated over all axes of the user, flow bins included.
    datasets
        Names, or lists of names by the label they are shown under; None means all.
    categories
        Names; None means all.
    variation
        Label of the variation; a dataset that does not have it shows its nominal yield.
    scale
        Factor by dataset; 1 where not named.

    Returns
    -------
    Table
        One row for each dataset or label.

    Raises
    ------
    InputError
        A name that does not exist, or a dataset asked for twice.
    """
    lookup.check(h)
    groups = lookup.as_groups(lookup.names(h, "dataset") if datasets is None else datasets)
    lookup.check_datasets(h, [name for members in groups.values() for name in members])
    lookup.position(h, "variation", variation)
    known = lookup.names(h, "category")
    chosen = known if categories is None else lookup.as_names(categories)
    for category in chosen:
        lookup.position(h, "category", category)
    factors = check_scale(h, scale)
    rows: list[tuple[Cell, ...]] = [
        (label, *(_integral(h, members, category, variation, factors) for category in chosen))
        for label, members in groups.items()
    ]
    title = "Yields" if variation == NOMINAL else f"Yields ({variation})"
    return Table(title, ("Dataset", *chosen), tuple(rows))


def _integral(
    h: hist.Hist[Any],
    datasets: Sequence[str],
    category: str,
    variation: str,
    factors: Mapping[str, float],
) -> Yield:
    """Sum of weights over datasets and all bins, flow included."""
    value = variance = 0.0
    for dataset in datasets:
        factor = factors.get(dataset, 1.0)
        present = variation if lookup.was_filled(h, dataset, variation) else NOMINAL
        values, variances = lookup.content(h, dataset, category, present, ())
        value += factor * float(values)
        variance += factor**2 * float(variances)
    return Yield(value, math.sqrt(variance))


def _cutflow_rows(
    cutflow: CutflowLike, dataset: int, variation: int, factor: float | None
) -> list[tuple[Cell, ...]]:
    """Rows of one dataset without its name; no factor: without sums of weights."""
    counts = cutflow.counts[dataset, variation]
    sumw = cutflow.sumw[dataset, variation]
    errors = np.sqrt(cutflow.sumw2[dataset, variation])
    basis = counts if factor is None else sumw
    rows: list[tuple[Cell, ...]] = []
    parts = tuple(getattr(cutflow, "categories", ()))
    last = max((i for i, stage in enumerate(cutflow.stages) if stage not in parts), default=0)
    for number, stage in enumerate(cutflow.stages):
        # A category is a part of what the last cut left; it does not follow another category.
        before = last if stage in parts else max(number - 1, 0)
        row = (
            stage,
            int(counts[number]),
            _efficiency(basis[number], basis[before]),
            _efficiency(basis[number], basis[0]),
        )
        if factor is None:
            rows.append(row)
        else:
            total = Yield(factor * float(sumw[number]), abs(factor) * float(errors[number]))
            rows.append((*row, total))
    return rows


def _efficiency(passed: Any, of: Any) -> Efficiency:
    """Fraction that passed; not defined where there was nothing."""
    return Efficiency(float(passed) / float(of) if of != 0 else None)


def _text(cell: Cell) -> str:
    """A cell as plain text."""
    if isinstance(cell, Yield | Efficiency):
        return cell.text()
    return cell if isinstance(cell, str) else f"{cell:,}"


def _raw(cell: Cell, two: bool) -> tuple[Any, ...]:
    """A cell for machines: one value, or two in a column of yields."""
    if isinstance(cell, Yield):
        return cell.value, cell.error
    value = ("" if cell.value is None else cell.value) if isinstance(cell, Efficiency) else cell
    return (value, "") if two else (value,)


def _latex(cell: Cell) -> str:
    """A cell in LaTeX."""
    if isinstance(cell, str):
        return _tex(cell)
    if isinstance(cell, Yield):
        return "$" + cell.text(r"\pm").replace(",", r"\,") + "$"
    if isinstance(cell, Efficiency):
        return cell.text().replace(" %", r"\,\%")
    return f"${cell:,}$".replace(",", r"\,")


_TEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
)


def _tex(text: str) -> str:
    """Text with TeX's special characters escaped, unless it is TeX already."""
    dollars = text.count("$")
    return text if dollars >= 2 and dollars % 2 == 0 else text.translate(_TEX_ESCAPES)
