"""Computing: what a plot shows, as numbers.

Nothing here draws; `StackData` and `VariationData` are what the drawing functions are given, and
what one would publish as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import hist
import numpy as np
import scipy.special

from lazyana.errors import InputError
from lazyana.report import lookup
from lazyana.report.binning import Binning, binning_of
from lazyana.report.lookup import NOMINAL, Array, Groups

Flow = Literal["note", "add", "hide"]
Systematics = Mapping[str, str | Sequence[str]] | Sequence[str] | str | None

# One-sided probability outside of one standard deviation of a Gaussian.
_TAIL = 0.15865525393145707


@dataclass(frozen=True)
class Outside:
    """Content outside of the range of the axis: below and above, of data and of simulation.

    ``added`` tells whether it is part of the first and the last bin.
    """

    data_below: float = 0.0
    data_above: float = 0.0
    mc_below: float = 0.0
    mc_above: float = 0.0
    added: bool = False


@dataclass(frozen=True, eq=False)
class StackData:
    """Data and a stack of simulated contributions with uncertainties.

    Contents are those of bins, never divided by their widths. Arrays have the shape
    ``(bins,)``, ``edges`` one more.

    Attributes
    ----------
    binning
        The axis.
    category
        Name of the category.
    data
        Sums of weights and of squared weights of data; None where there is none.
    stack
        Sum of weights by label, in the order asked for.
    total
        Sum of the stack.
    stat
        Statistical uncertainty of the total: square root of the sum of squared weights.
    syst_up, syst_down
        Systematic uncertainty of the total upwards and downwards, both positive: quadratic sum over
        ``systematics``.
    systematics
        Upward and downward contribution of each systematic.
    outside
        Content of the flow bins.
    """

    binning: Binning
    category: str
    data: tuple[Array, Array] | None
    stack: Mapping[str, Array]
    total: Array
    stat: Array
    syst_up: Array
    syst_down: Array
    systematics: Mapping[str, tuple[Array, Array]]
    outside: Outside

    @property
    def edges(self) -> Array:
        """Edges of the bins, shape ``(bins + 1,)``."""
        return self.binning.edges

    @property
    def label(self) -> str:
        """Text of the axis."""
        return self.binning.label

    @property
    def uncertainty(self) -> tuple[Array, Array]:
        """Upward and downward uncertainty of the total: statistical + systematic, in quadrature."""
        return np.hypot(self.stat, self.syst_up), np.hypot(self.stat, self.syst_down)


@dataclass(frozen=True, eq=False)
class Ratio:
    """Data over simulation, shape ``(bins,)`` each; NaN where nothing is expected.

    Attributes
    ----------
    values
        Data / total.
    up, down
        Lengths of the error bars: of data only.
    band_up, band_down
        Relative uncertainty of the total.
    """

    values: Array
    up: Array
    down: Array
    band_up: Array
    band_down: Array


@dataclass(frozen=True, eq=False)
class VariationData:
    """One sum of datasets under systematic variations: contents per bin, never divided.

    Attributes
    ----------
    binning
        The axis.
    title
        The datasets in words.
    category
        Name of the category.
    nominal
        Sum of weights, shape ``(bins,)``.
    stat
        Its statistical uncertainty, shape ``(bins,)``.
    shifted
        By systematic, by variation label: sum of weights, shape ``(bins,)``.
    """

    binning: Binning
    title: str
    category: str
    nominal: Array
    stat: Array
    shifted: Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class _View:
    """What is looked at: one category and axis of a histogram, and how it is scaled."""

    h: hist.Hist[Any]
    category: str
    axis: str
    scale: Mapping[str, float]

    def of(self, dataset: str, variation: str = NOMINAL) -> tuple[Array, Array]:
        """Scaled sums of weights and of squared weights, shape ``(1 + bins + 1,)``."""
        factor = self.scale.get(dataset, 1.0)
        values, variances = lookup.content(self.h, dataset, self.category, variation, (self.axis,))
        return values * factor, variances * factor**2

    def sum(self, datasets: Sequence[str]) -> tuple[Array, Array]:
        """Sums over datasets."""
        zero = np.zeros(len(self.h.axes[self.axis]) + 2)
        parts = [self.of(dataset) for dataset in datasets]
        return sum((p[0] for p in parts), zero), sum((p[1] for p in parts), zero)

    def shift(self, datasets: Sequence[str], variation: str) -> Array:
        """Shifted minus nominal, summed over datasets; a dataset without the variation adds 0."""
        total = np.zeros(len(self.h.axes[self.axis]) + 2)
        for dataset in datasets:
            if lookup.was_filled(self.h, dataset, variation):
                total += self.of(dataset, variation)[0] - self.of(dataset)[0]
        return total


def stack(
    h: hist.Hist[Any],
    *,
    data: str | Sequence[str] = (),
    mc: Groups = (),
    category: str | None = None,
    scale: Mapping[str, float] | None = None,
    systematics: Systematics = None,
    axis: str | None = None,
    flow: Flow = "note",
) -> StackData:
    """Data, stack of simulation, and its statistical and systematic uncertainty.

    Each systematic is correlated across datasets: its shifts are summed over datasets first. Its
    contribution is the envelope: upwards the largest positive shift, downwards the largest negative
    one, in each bin. So a one-sided systematic (only up, or up and down on the same side) widens
    the band on one side only, and is not made symmetric. Contributions of different systematics
    are added in quadrature. A dataset without a variation counts as not shifted by it.

    Parameters
    ----------
    h
        Histogram of a run: axes ``dataset``, ``category``, ``variation`` and those of the user.
    data
        Datasets that are data (their nominal variation is used).
    mc
        Simulated datasets, or lists of them by the label they are shown under.
    category
        Name of the category; may be left out where there is only one.
    scale
        Factor by dataset (cross section x luminosity / sum of weights, for instance); 1 where not
        named.
    systematics
        None: all in the histogram. Names: only these; ``()`` for none. A mapping from a name to
        variation labels: these envelopes (each label under its own name adds labels in quadrature,
        as Hessian PDF members want).
    axis
        Axis of the user to show; may be left out where there is only one. Others are summed over.
    flow
        ``"add"``: underflow and overflow go into the first and last bin. ``"note"`` and ``"hide"``:
        they stay outside, and are written on the plot or not.

    Returns
    -------
    StackData
        The numbers of the plot.

    Raises
    ------
    InputError
        A name that does not exist, a dataset asked for twice, nothing asked for, no variances, an
        infinite edge.
    InputTypeError
        Not a histogram.

    Examples
    --------
    >>> import hist
    >>> h = hist.Hist(
    ...     hist.axis.StrCategory(["data", "dy"], name="dataset"),
    ...     hist.axis.StrCategory(["all"], name="category"),
    ...     hist.axis.StrCategory(["nominal"], name="variation"),
    ...     hist.axis.Regular(2, 60, 120, name="mass", label="Dimuon mass [GeV]"),
    ...     storage=hist.storage.Weight(),
    ... )
    >>> h.fill("dy", "all", "nominal", [80, 91, 92], weight=0.5) is h
    True
    >>> stack(h, data=["data"], mc={"Drell-Yan": ["dy"]}).total
    array([0.5, 1. ])
    """
    lookup.check(h)
    _check_flow(flow)
    groups = lookup.as_groups(mc)
    simulated = [dataset for datasets in groups.values() for dataset in datasets]
    observed = lookup.as_names(data)
    if not simulated and not observed:
        message = f"data= or mc= is needed; datasets: {lookup.listing(lookup.names(h, 'dataset'))}"
        raise InputError(message)
    lookup.check_datasets(h, [*observed, *simulated])
    shown = lookup.user_axes(h, None if axis is None else [axis], 1)[0]
    view = _View(h, lookup.one_category(h, category), shown, check_scale(h, scale))
    labels = lookup.systematics_of(h, systematics)
    return _compute(view, observed, groups, labels, flow)


def ratio(numbers: StackData) -> Ratio:
    """Data over simulation.

    Parameters
    ----------
    numbers
        With data and simulation.

    Returns
    -------
    Ratio
        Error bars are those of data, the band is that of simulation.

    Raises
    ------
    InputError
        No data.
    """
    if numbers.data is None:
        message = "a ratio needs data: name its datasets with data="
        raise InputError(message)
    values, variances = numbers.data
    up, down = poisson_errors(values, variances)
    band_up, band_down = numbers.uncertainty
    expected = np.where(numbers.total > 0, numbers.total, np.nan)
    return Ratio(
        values / expected, up / expected, down / expected, band_up / expected, band_down / expected
    )


def variations(
    h: hist.Hist[Any],
    dataset: str | Sequence[str],
    category: str | None = None,
    systematics: Systematics = None,
    *,
    scale: Mapping[str, float] | None = None,
    axis: str | None = None,
    flow: Flow = "note",
) -> VariationData:
    """A dataset (or a sum of them) under its systematic variations.

    Parameters
    ----------
    h
        Histogram of a run.
    dataset
        Name or names; shifts are summed over datasets, one without the variation is not shifted.
    category, systematics, scale, axis, flow
        As for `stack`.

    Returns
    -------
    VariationData
        The numbers of the plot.

    Raises
    ------
    InputError
        A name that does not exist, or a histogram without systematics.
    """
    lookup.check(h)
    _check_flow(flow)
    datasets = lookup.as_names(dataset)
    lookup.check_datasets(h, datasets)
    shown = lookup.user_axes(h, None if axis is None else [axis], 1)[0]
    view = _View(h, lookup.one_category(h, category), shown, check_scale(h, scale))
    chosen = lookup.systematics_of(h, systematics)
    if not datasets or not chosen:
        message = "nothing to compare: the histogram has no variation but 'nominal'"
        raise InputError(message if datasets else "name at least one dataset")
    nominal, variances = view.sum(datasets)
    shown_axis = h.axes[shown]
    shifted = {
        name: {
            label: _inside(nominal + view.shift(datasets, label), shown_axis, flow)
            for label in labels
        }
        for name, labels in chosen.items()
    }
    return VariationData(
        binning=binning_of(shown_axis),
        title=" + ".join(datasets),
        category=view.category,
        nominal=_inside(nominal, shown_axis, flow),
        stat=np.sqrt(_inside(variances, shown_axis, flow)),
        shifted=shifted,
    )


def poisson_errors(values: Array, variances: Array) -> tuple[Array, Array]:
    """Central 68.3 % intervals of counts, after Garwood (Biometrika 28 (1936) 437).

    Weighted contents are taken as a count of ``values**2 / variances`` times a common weight
    ``variances / values``, as usual; an empty bin takes the average weight of the others.

    Parameters
    ----------
    values, variances
        Sums of weights and of squared weights, shape ``(bins,)``.

    Returns
    -------
    up, down
        Lengths of the error bars, shape ``(bins,)``. Negative contents get the Gaussian error.
    """
    positive = values > 0
    average = variances[positive].sum() / values[positive].sum() if positive.any() else 1.0
    weight = np.full_like(values, average)
    np.divide(variances, values, out=weight, where=positive & (variances > 0))
    count = np.where(positive, values / weight, 0.0)
    upper = scipy.special.gammainccinv(count + 1.0, _TAIL)
    # gammaincinv(0, p) is not defined; the lower limit of nothing is 0.
    lower = np.where(positive, scipy.special.gammaincinv(np.where(positive, count, 1.0), _TAIL), 0)
    gaussian = np.sqrt(variances)
    negative = values < 0
    return (
        np.where(negative, gaussian, (upper - count) * weight),
        np.where(negative, gaussian, (count - lower) * weight),
    )


def check_scale(h: hist.Hist[Any], scale: Mapping[str, float] | None) -> dict[str, float]:
    """Scale factors by dataset, all of them finite and of datasets that exist."""
    factors = {name: float(factor) for name, factor in (scale or {}).items()}
    for name, factor in factors.items():
        lookup.position(h, "dataset", name)
        if not np.isfinite(factor):
            message = f"scale of dataset {name!r} is {factor}; it must be a finite number"
            raise InputError(message)
    return factors


def _compute(
    view: _View,
    observed: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    labels: Mapping[str, Sequence[str]],
    flow: Flow,
) -> StackData:
    """The sums behind `stack`, from names that are known to exist."""
    axis = view.h.axes[view.axis]

    def inside(array: Array) -> Array:
        return _inside(array, axis, flow)

    simulated = [dataset for datasets in groups.values() for dataset in datasets]
    total, variances = view.sum(simulated)
    data, data_variances = view.sum(observed)
    systematics = {
        name: _envelope([inside(view.shift(simulated, label)) for label in variation_labels])
        for name, variation_labels in labels.items()
    }
    zero = np.zeros(len(axis))
    squares_up = sum((up**2 for up, _ in systematics.values()), zero)
    squares_down = sum((down**2 for _, down in systematics.values()), zero)
    return StackData(
        binning=binning_of(axis),
        category=view.category,
        data=(inside(data), inside(data_variances)) if observed else None,
        stack={label: inside(view.sum(datasets)[0]) for label, datasets in groups.items()},
        total=inside(total),
        stat=np.sqrt(inside(variances)),
        syst_up=np.sqrt(squares_up),
        syst_down=np.sqrt(squares_down),
        systematics=systematics,
        outside=Outside(
            float(data[0]), float(data[-1]), float(total[0]), float(total[-1]), _folds(axis, flow)
        ),
    )


def _envelope(shifts: Sequence[Array]) -> tuple[Array, Array]:
    """Largest shift upwards and downwards in each bin, both positive, 0 where there is none."""
    array = np.stack(shifts)
    return np.maximum(array.max(axis=0), 0.0), np.maximum(-array.min(axis=0), 0.0)


def _inside(array: Array, axis: Any, flow: Flow) -> Array:
    """Contents of the bins proper, shape ``(bins,)``, with the flow bins added if asked for."""
    inside = array[1:-1].copy()
    if _folds(axis, flow):
        inside[0] += array[0]
        inside[-1] += array[-1]
    return inside


def _folds(axis: Any, flow: Flow) -> bool:
    """Whether flow bins are added to the edge bins: only where edge bins are their neighbours."""
    return flow == "add" and bool(axis.traits.ordered) and not axis.traits.circular


def _check_flow(flow: str) -> None:
    """Refuse an unknown treatment of flow bins."""
    if flow not in ("note", "add", "hide"):
        message = f"flow={flow!r} does not exist; choose 'note', 'add' or 'hide'"
        raise InputError(message)
