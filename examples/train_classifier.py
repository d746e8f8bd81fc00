"""Train a classifier on saved columns, batch by batch.

Training needs pyarrow and numpy only. The directory is one that ``events.columns(path, {...})``
wrote; it is never held in memory as a whole, so it may be larger than that::

    lazyana demo --output zmumu
    python examples/train_classifier.py zmumu/columns

Without the directory ``zmumu/columns`` and without an argument, a small one is made first.

The classifier is a logistic regression on the columns and their squares and products. Its
likelihood is maximised with Newton steps; each step sums gradient and curvature over all batches,
so the result depends neither on the order of the rows nor on a learning rate. Event weights are
used as they are, negative ones too, after both samples are scaled to the same sum of weights.
Every third row is kept apart and tells how well it works.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as pads

Array = npt.NDArray[np.float64]

# not the mass, so that a cut on the score leaves the shape of the Z peak alone
FEATURES = "ptll,muon1_pt,muon2_pt,njets,met"
KEPT_APART = 3  # every third row
DEFAULT = Path("zmumu/columns")


@dataclass(frozen=True)
class Batch:
    """Rows of one dataset: x of shape (rows, features), weight and test of shape (rows,)."""

    x: Array
    weight: Array
    signal: bool
    test: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """Two datasets in a directory of columns."""

    table: pads.Dataset
    signal: str
    background: str
    features: list[str]
    weight: str | None
    batch_size: int

    def __iter__(self) -> Iterator[Batch]:
        """Read through both datasets, in an order that does not change."""
        for dataset in (self.signal, self.background):
            chosen = (pads.field("dataset") == dataset) & (pads.field("variation") == "nominal")
            names = self.features + ([self.weight] if self.weight else [])
            row = 0
            for batch in self.table.to_batches(
                columns=names, filter=chosen, batch_size=self.batch_size
            ):
                columns = [batch.column(n).to_numpy(zero_copy_only=False) for n in names]
                values = np.column_stack([column.astype(np.float64) for column in columns])
                test = np.arange(row, row + len(values)) % KEPT_APART == 0
                row += len(values)
                good = np.isfinite(values).all(axis=1)
                values, test = values[good], test[good]
                weight = values[:, -1] if self.weight else np.ones(len(values))
                x = values[:, : len(self.features)]
                yield Batch(x, weight, dataset == self.signal, test)


@dataclass(frozen=True)
class Scale:
    """What brings features to mean 0 and width 1, and samples to the same sum of weights."""

    mean: Array
    width: Array
    sumw: dict[bool, float]

    def terms(self, x: Array) -> Array:
        """Constant, features, and their products, shape (rows, terms)."""
        z = np.clip((x - self.mean) / self.width, -5.0, 5.0)
        i, j = np.triu_indices(z.shape[1])
        return np.hstack([np.ones((len(z), 1)), z, z[:, i] * z[:, j]])


def measure(columns: Columns) -> Scale:
    """Scale of the rows that are trained on."""
    size = len(columns.features)
    rows, total, squares = {True: 0, False: 0}, np.zeros(size), np.zeros(size)
    sumw = {True: 0.0, False: 0.0}
    for batch in columns:
        x, weight = batch.x[~batch.test], batch.weight[~batch.test]
        rows[batch.signal] += len(x)
        sumw[batch.signal] += float(weight.sum())
        total += x.sum(axis=0)
        squares += (x**2).sum(axis=0)
    for signal, name in ((True, columns.signal), (False, columns.background)):
        if rows[signal] == 0 or sumw[signal] <= 0:
            sys.exit(
                f"{name}: {rows[signal]} rows to train on with a sum of weights of "
                f"{sumw[signal]:g}; both must be positive."
            )
    mean = total / sum(rows.values())
    width = np.sqrt(np.maximum(squares / sum(rows.values()) - mean**2, 0.0))
    return Scale(mean, np.where(width > 0, width, 1.0), sumw)


def probability(terms: Array, coefficients: Array) -> Array:
    """Probability to be signal, shape (rows,)."""
    return 1.0 / (1.0 + np.exp(-np.clip(terms @ coefficients, -30.0, 30.0)))


def train(columns: Columns, scale: Scale, passes: int, penalty: float = 1e-3) -> Array:
    """Coefficients of the terms, after so many passes through the data."""
    size = len(columns.features)
    coefficients = np.zeros(1 + size + size * (size + 1) // 2)
    ridge = np.full(len(coefficients), penalty)
    ridge[0] = 1e-9  # the constant is free
    for number in range(1, passes + 1):
        gradient = -ridge * coefficients
        curvature = np.diag(ridge)
        loss = 0.0
        for batch in columns:
            terms = scale.terms(batch.x[~batch.test])
            weight = batch.weight[~batch.test] / scale.sumw[batch.signal]
            p = probability(terms, coefficients)
            gradient += terms.T @ (weight * (batch.signal - p))
            curvature += terms.T @ (terms * (np.abs(weight) * p * (1 - p))[:, None])
            loss -= float(np.sum(weight * np.log(p if batch.signal else 1 - p)))
        step = np.linalg.solve(curvature, gradient)
        # a step is no longer than what the clipped terms can make sense of
        coefficients = coefficients + step * min(1.0, 3.0 / float(np.abs(step).max() + 1e-12))
        print(f"pass {number}: loss {loss / 2:.5f}")
        if np.abs(step).max() < 1e-4:
            break
    return coefficients


def scores(columns: Columns, scale: Scale, coefficients: Array) -> tuple[Array, Array, Array]:
    """Score, weight and truth of the rows kept apart."""
    score, weight, truth = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for batch in columns:
        x = batch.x[batch.test]
        score.append(probability(scale.terms(x), coefficients))
        weight.append(batch.weight[batch.test])
        truth.append(np.full(len(x), float(batch.signal)))
    return np.concatenate(score), np.concatenate(weight), np.concatenate(truth)


def roc_auc(score: Array, weight: Array, truth: Array) -> float:
    """Area under the ROC curve: the weighted chance that signal scores above background.

    Equal scores count half. Not a number if there is no signal or no background.
    """
    _, where = np.unique(score, return_inverse=True)
    size = int(where.max(initial=-1)) + 1
    signal = np.bincount(where, weight * truth, size)
    background = np.bincount(where, weight * (1 - truth), size)
    below = np.cumsum(background) - background / 2
    norm = signal.sum() * background.sum()
    return float(np.sum(signal * below) / norm) if norm > 0 else float("nan")


def make_columns(path: Path) -> None:
    """A small directory of columns: two muons in simulation, the names those of the demo."""
    import awkward as ak

    import lazyana as la
    from lazyana.toy.sample import write_sample

    print(f"There is no {path}: making a sample and columns in {path.parent} first.")
    fileset = write_sample(path.parent / "sample", events=10_000, overwrite=True)
    events = la.open({name: fileset[name] for name in ("DYJetsToLL", "TTTo2L2Nu")})
    events = events.weight("genWeight", events.genWeight)
    events = events.filter(two_muons=ak.num(events.Muon) == 2)
    first, second = events.Muon[:, 0], events.Muon[:, 1]
    features = {
        "ptll": (first + second).pt,
        "muon1_pt": first.pt,
        "muon2_pt": second.pt,
        "njets": ak.sum(events.Jet.pt > 30, axis=1),
        "met": events.MET.pt,
    }
    la.compute(events.columns(path, features))


def open_directory(arguments: argparse.Namespace) -> Columns:
    """Find the columns, or say what is missing."""
    path = arguments.directory
    if not (path / "_manifest.json").is_file():
        sys.exit(f"{path} holds no finished columns (no _manifest.json). Run `lazyana demo` first.")
    table = pads.dataset(path, partitioning="hive")
    features = [name for name in arguments.features.split(",") if name]
    missing = [name for name in features if name not in table.schema.names]
    if missing or not features:
        sys.exit(f"no columns {missing}; there are: {', '.join(table.schema.names)}")
    weight = "weight" if "weight" in table.schema.names else None
    signal, background = arguments.signal, arguments.background
    return Columns(table, signal, background, features, weight, arguments.batch_size)


def main() -> None:
    """Train, and print how well the two datasets are told apart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--signal", default="DYJetsToLL", help="dataset to select")
    parser.add_argument("--background", default="TTTo2L2Nu", help="dataset to reject")
    parser.add_argument("--features", default=FEATURES, help="columns, separated by commas")
    parser.add_argument("--batch-size", type=int, default=65_536, help="rows held at a time")
    parser.add_argument("--passes", type=int, default=10, help="most passes through the data")
    arguments = parser.parse_args()

    if arguments.directory == DEFAULT and not DEFAULT.exists():
        make_columns(DEFAULT)
    columns = open_directory(arguments)
    scale = measure(columns)
    coefficients = train(columns, scale, arguments.passes)
    score, weight, truth = scores(columns, scale, coefficients)
    print(f"{columns.signal} against {columns.background}, {len(score)} rows kept apart")
    print(f"ROC AUC = {roc_auc(score, weight, truth):.4f}")


if __name__ == "__main__":
    main()
