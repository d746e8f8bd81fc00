from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console

from lazyana.errors import InputError
from lazyana.report.tables import (
    CutflowLike,
    Efficiency,
    Table,
    Yield,
    cutflow_table,
    yields_table,
)


@dataclass(frozen=True)
class Counts:
    datasets: tuple[str, ...]
    stages: tuple[str, ...]
    variations: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    sumw: npt.NDArray[np.float64]
    sumw2: npt.NDArray[np.float64]


@pytest.fixture
def cutflow() -> CutflowLike:
    counts = np.array([[[1000, 500, 100], [1000, 400, 80]], [[0, 0, 0], [0, 0, 0]]])
    return Counts(
        ("dy_50", "empty"),
        ("all", "two muons", "Z window"),
        ("nominal", "jesUp"),
        counts,
        counts * 0.5,
        counts * 0.25,
    )


def test_cutflow_counts_and_efficiencies(cutflow: CutflowLike) -> None:
    table = cutflow_table(cutflow)
    assert table.columns == ("Dataset", "Cut", "Events", "Relative", "Cumulative")
    assert table.rows[:3] == (
        ("dy_50", "all", 1000, Efficiency(1.0), Efficiency(1.0)),
        ("dy_50", "two muons", 500, Efficiency(0.5), Efficiency(0.5)),
        ("dy_50", "Z window", 100, Efficiency(0.2), Efficiency(0.1)),
    )
    assert table.rows[5] == ("empty", "Z window", 0, Efficiency(None), Efficiency(None))


def test_cutflow_with_weights(cutflow: CutflowLike) -> None:
    table = cutflow_table(cutflow, variation="jesUp", weighted=True, scale={"dy_50": 2.0})
    assert table.title == "Cutflow (jesUp)"
    stage, events, relative, cumulative, total = table.rows[2][1:]
    assert (stage, events) == ("Z window", 80)
    assert (relative, cumulative) == (Efficiency(0.2), Efficiency(0.08))
    assert isinstance(total, Yield)
    assert total.value == pytest.approx(2 * 40)
    assert total.error == pytest.approx(2 * math.sqrt(20))


def test_cutflow_of_wrong_names(cutflow: CutflowLike) -> None:
    with pytest.raises(
        InputError, match=r"the cutflow has no variation 'jesup'. Did you mean 'jes"
    ):
        cutflow_table(cutflow, variation="jesup")
    with pytest.raises(InputError, match=r"no dataset 'dy'.*'dy_50', 'empty'"):
        cutflow_table(cutflow, weighted=True, scale={"dy": 1.0})
    with pytest.raises(InputError, match=r"add weighted=True"):
        cutflow_table(cutflow, scale={"dy_50": 1.0})


def test_yields_by_hand(mass: hist.Hist[Any]) -> None:
    groups = {"Z": "dy", "Other": ["tt", "zz"]}
    table = yields_table(mass, datasets=groups, scale={"tt": 3.0}, variation="jesUp")
    assert table.columns == ("Dataset", "all", "signal")
    assert [row[0] for row in table.rows] == ["Z", "Other"]
    cell = table.rows[1][2]
    assert isinstance(cell, Yield)
    tt, zz = (mass[name, "signal", "jesUp", :] for name in ("tt", "zz"))
    values = 3 * tt.values(flow=True) + zz.values(flow=True)
    variances = 9 * tt.variances(flow=True) + zz.variances(flow=True)
    assert cell.value == pytest.approx(values.sum())
    assert cell.error == pytest.approx(math.sqrt(variances.sum()))


def test_yields_of_everything(mass: hist.Hist[Any]) -> None:
    table = yields_table(mass)
    assert [row[0] for row in table.rows] == ["data", "dy", "tt", "zz"]
    # Data has no jesUp and shows its nominal yield.
    assert yields_table(mass, variation="jesUp").rows[0] == table.rows[0]
    assert yields_table(mass, categories="signal").columns == ("Dataset", "signal")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datasets": ["dyy"]}, "no dataset 'dyy'"),
        ({"datasets": {"a": "dy", "b": "dy"}}, "twice"),
        ({"categories": ["sinal"]}, "no category 'sinal'. Did you mean 'signal'"),
        ({"variation": "up"}, "no variation 'up'"),
        ({"scale": {"x": 1.0}}, "no dataset 'x'"),
    ],
)
def test_yields_of_wrong_names(mass: hist.Hist[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        yields_table(mass, **options)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1234.5678, 1.2345, "1,234.6 ± 1.2"),
        (0.0123456, 0.000321, "0.01235 ± 0.00032"),
        (1234567.8, 4321.0, "1,234,568 ± 4,321"),
        (12.0, 0.0, "12 ± 0"),
        (1.5, 0.0, "1.5 ± 0"),
        (-3.0, 1.0, "-3.0 ± 1.0"),
        (math.nan, 1.0, "nan ± 1.0"),
    ],
)
def test_yield_is_shown_with_two_digits_of_its_error(value: float, error: float, text: str) -> None:
    assert Yield(value, error).text() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "12.3 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (0.000123, "0.0123 %"), (None, "-")],
)
def test_efficiency_is_shown_in_per_cent(value: float | None, text: str) -> None:
    assert Efficiency(value).text() == text


@pytest.fixture
def table() -> Table:
    return Table(
        "A [title]",
        ("Name", "Cut", "Events", "Yield"),
        (
            ("t_1", "a|b & c", 12345, Yield(10.0, 1.5)),
            ("t_1", r"$p_T$ > 5 [GeV]", 7, Yield(2.25, 0.25)),
        ),
    )


def test_text_is_aligned(table: Table) -> None:
    assert str(table).splitlines() == [
        "A [title]",
        "Name  Cut              Events        Yield",
        "----  ---------------  ------  -----------",
        "t_1   a|b & c          12,345   10.0 ± 1.5",
        "      $p_T$ > 5 [GeV]       7  2.25 ± 0.25",
    ]


def test_markdown(table: Table) -> None:
    lines = table.markdown().splitlines()
    assert lines[:4] == [
        "**A [title]**",
        "",
        "| Name | Cut | Events | Yield |",
        "| --- | --- | ---: | ---: |",
    ]
    assert lines[4] == r"| t_1 | a\|b & c | 12,345 | 10.0 ± 1.5 |"


def test_latex(table: Table) -> None:
    lines = table.latex().splitlines()
    assert lines[1] == r"\begin{tabular}{llrr}"
    assert r"t\_1 & a|b \& c & $12\,345$ & $10.0 \pm 1.5$ \\" in lines
    assert r"t\_1 & $p_T$ > 5 [GeV] & $7$ & $2.25 \pm 0.25$ \\" in lines
    assert lines[-1] == r"\end{tabular}"


def test_csv_reads_back_in_full_precision(cutflow: CutflowLike) -> None:
    text = cutflow_table(cutflow, weighted=True).csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[2]["Cut"] == "Z window"
    assert int(rows[2]["Events"]) == 100
    assert float(rows[2]["Cumulative"]) == 0.1
    assert float(rows[2]["Yield error"]) == 5.0
    assert rows[5]["Relative"] == ""


def test_rich_shows_the_same_words(table: Table) -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(table)
    shown = console.export_text()
    for text in ("A [title]", "a|b & c", "$p_T$ > 5 [GeV]", "12,345", "10.0 ± 1.5"):
        assert text in shown


def test_table_without_rows() -> None:
    empty = Table("", ("Dataset", "Events"), ())
    assert empty.text().splitlines() == ["Dataset  Events", "-------  ------"]
    assert empty.csv() == "Dataset,Events\n"
    assert "Dataset & Events" in empty.latex()
