"""Ready histograms of the usual collections, to be put into a configuration.

Each function gives histograms by name: ``JetGood_pt`` for all objects of ``JetGood``,
``JetGood_pt_1`` for the first (``pos=0``). ``fields`` chooses among them, or asks for others of the
collection; ``axis_settings`` changes options of an axis, ``{"pt": {"bins": 20}}``; other options
are those of `HistConf`.

What NanoAOD calls the scores of taggers changed over the years: those of `jet_taggers_hists` and
`fatjet_taggers_hists` that a file lacks are left out, unless they are asked for by ``fields``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from lazyana.analysis.axes import METADATA, SIZES, Axis
from lazyana.analysis.columns import names_of
from lazyana.analysis.histograms import HistConf
from lazyana.errors import InputError, did_you_mean

__all__ = [
    "Axis",
    "HistConf",
    "count_hist",
    "ele_hists",
    "fatjet_hists",
    "fatjet_taggers_hists",
    "genjet_hists",
    "jet_hists",
    "jet_taggers_hists",
    "lepton_hists",
    "met_hists",
    "muon_hists",
    "parton_hists",
    "processing_metadata_hists",
    "sv_hists",
]

Histograms: TypeAlias = dict[str, HistConf]
Fields: TypeAlias = Iterable[str] | None
Settings: TypeAlias = Mapping[str, Mapping[str, Any]] | None
Options: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Histograms of one kind of object.

    Attributes
    ----------
    name
        Word for it in `axis_settings`, e.g. ``"jet"`` in ``"jet_pt"``.
    noun
        How labels call it.
    settings
        Options of the axis of each field.
    default
        The fields that are filled unless others are asked for.
    optional
        Whether those of `default` that do not exist are left out.
    """

    name: str
    noun: str
    settings: Mapping[str, Options]
    default: tuple[str, ...]
    optional: bool = False
    ordinals: tuple[str, ...] = field(default=("leading", "subleading", "third", "fourth"))

    def histograms(
        self,
        coll: str,
        pos: int | None,
        fields: Fields,
        name: str | None,
        axis_settings: Settings,
        options: Options,
    ) -> Histograms:
        """The histograms by name; parameters as in the functions of this module."""
        where = f"{self.name} histograms of {coll!r}"
        changed = self._changed(axis_settings or {}, where)
        if fields is None:
            wanted, optional = self.default, {"if_present": self.optional}
        else:
            wanted, optional = names_of(f"fields of {where}", fields), {}
        found: Histograms = {}
        for one in wanted:
            if one not in self.settings and one not in changed:
                hint, there = did_you_mean(one, self.settings), ", ".join(self.settings)
                msg = (
                    f"There are no settings for the field {one!r} of {where}.{hint} There are for: "
                    f"{there}. Give others as axis_settings={{{one!r}: {{'bins': …}}}}."
                )
                raise InputError(msg)
            settings = {
                "label": f"{{}} {one}",
                **self.settings.get(one, {}),
                **changed.get(one, {}),
            }
            settings["label"] = settings["label"].replace("{}", self._called(pos))
            axis = Axis(**{"field": one, "coll": coll, "pos": pos, **settings})
            key = f"{name or coll}_{one}"
            key = key if pos is None else f"{key}_{pos + 1}"
            found[key] = HistConf([axis], **{**optional, **options})
        return found

    def _changed(
        self, axis_settings: Mapping[str, Mapping[str, Any]], where: str
    ) -> dict[str, Any]:
        """Changed options by field: ``"pt"`` and ``"jet_pt"`` are the same."""
        found: dict[str, Any] = {}
        for key, settings in axis_settings.items():
            known = [*self.settings, *(f"{self.name}_{one}" for one in self.settings)]
            # Settings of a field that has none here name it as it is.
            if key not in known and not {"bins", "stop"} & set(settings):
                hint, there = did_you_mean(key, known), ", ".join(self.settings)
                msg = f"axis_settings of {where} have {key!r}.{hint} Fields are: {there}."
                raise InputError(msg)
            prefixed = key in known and key not in self.settings
            found[key.removeprefix(f"{self.name}_") if prefixed else key] = dict(settings)
        return found

    def _called(self, pos: int | None) -> str:
        if pos is None:
            return self.noun
        number = self.ordinals[pos] if pos < len(self.ordinals) else f"{pos + 1}th"
        return f"{number} {self.noun}"


def _bins(bins: int, start: float, stop: float, label: str) -> Options:
    return {"bins": bins, "start": start, "stop": stop, "label": label}


def _integers(start: int, stop: int, label: str) -> Options:
    return {"type": "integer", "start": start, "stop": stop, "label": label}


def _kinematics(pt: float, eta: float) -> dict[str, Options]:
    """Axes that every object has, up to a transverse momentum in GeV and a pseudorapidity."""
    return {
        "eta": _bins(50, -eta, eta, r"{} $\eta$"),
        "pt": _bins(50, 0, pt, "{} $p_{T}$ [GeV]"),
        "phi": _bins(32, -math.pi, math.pi, r"{} $\phi$ [rad]"),
    }


def _scores(names: Iterable[str], bins: int = 50) -> dict[str, Options]:
    return {name: _bins(bins, 0, 1, f"{{}} {name}") for name in names}


_JET_TAGGERS = (
    *("btagDeepFlavB", "btagDeepFlavCvL", "btagDeepFlavCvB"),
    *("btagPNetB", "btagPNetCvL", "btagPNetCvB"),
    *("btagRobustParTAK4B", "btagRobustParTAK4CvL", "btagRobustParTAK4CvB"),
    *("btagUParTAK4B", "btagUParTAK4CvL", "btagUParTAK4CvB"),
)
_FATJET_TAGGERS = (
    *("btagDDBvLV2", "btagDDCvLV2", "btagDDCvBV2", "btagHbb"),
    *("deepTagMD_ZHbbvsQCD", "deepTagMD_ZHccvsQCD"),
    *("particleNetMD_Xbb", "particleNetMD_Xcc", "particleNetMD_Xbb_QCD", "particleNetMD_Xcc_QCD"),
    *("particleNet_HbbvsQCD", "particleNet_HccvsQCD", "particleNet_TvsQCD"),
    *("particleNet_WvsQCD", "particleNet_ZvsQCD", "particleNet_XbbVsQCD", "particleNet_XccVsQCD"),
    *("particleNetWithMass_HbbvsQCD", "particleNetWithMass_HccvsQCD"),
    *("globalParT3_Xbb", "globalParT3_Xcc"),
)
_MASS = "{} mass [GeV]"
_KINEMATIC = ("eta", "pt", "phi")

JET = Kind(
    "jet",
    "jet",
    {
        **_kinematics(300, 5),
        "mass": _bins(50, 0, 100, _MASS),
        "hadronFlavour": _integers(0, 6, "{} hadron flavour"),
        "partonFlavour": _integers(-5, 22, "{} parton flavour"),
        **_scores(_JET_TAGGERS),
    },
    _KINEMATIC,
)
JET_TAGGERS = replace(JET, default=_JET_TAGGERS, optional=True)
FATJET = Kind(
    "fatjet",
    "AK8 jet",
    {
        **_kinematics(1000, 2.5),
        "mass": _bins(60, 0, 300, _MASS),
        "msoftdrop": _bins(60, 0, 300, "{} $m_{SD}$ [GeV]"),
        "rho": _bins(50, -8, 0, r"{} $\rho$"),
        "tau21": _bins(50, 0, 1, r"{} $\tau_{21}$"),
        "tau32": _bins(50, 0, 1, r"{} $\tau_{32}$"),
        "n2b1": _bins(50, 0, 0.5, r"{} $N_{2}^{\beta=1}$"),
        **_scores(_FATJET_TAGGERS),
    },
    (*_KINEMATIC, "mass", "msoftdrop"),
)
FATJET_TAGGERS = replace(FATJET, default=_FATJET_TAGGERS, optional=True)
GENJET = Kind(
    "genjet",
    "generator jet",
    {
        **_kinematics(300, 5),
        "mass": _bins(50, 0, 100, _MASS),
        "hadronFlavour": _integers(0, 6, "{} hadron flavour"),
        "partonFlavour": _integers(-5, 22, "{} parton flavour"),
    },
    (*_KINEMATIC, "hadronFlavour", "partonFlavour"),
)
_GAP_EDGES = [1.4442, 1.566]
_SC_EDGES = [
    *(0.2 * step for step in range(8)),
    *_GAP_EDGES,
    *(1.7, 1.9, 2.1, 2.3, 2.5),
]
ELECTRON = Kind(
    "electron",
    "electron",
    {
        **_kinematics(200, 2.5),
        "etaSC": {
            # The gap between barrel and endcaps of the calorimeter has a bin of its own.
            "bins": [-edge for edge in reversed(_SC_EDGES[1:])] + _SC_EDGES,
            "label": r"{} supercluster $\eta$",
        },
        "pfRelIso03_all": _bins(50, 0, 0.5, "{} relative isolation"),
    },
    (*_KINEMATIC, "etaSC"),
)
MUON = Kind(
    "muon",
    "muon",
    {
        **_kinematics(200, 2.5),
        "pfRelIso04_all": _bins(50, 0, 0.5, "{} relative isolation"),
    },
    _KINEMATIC,
)
LEPTON = Kind(
    "lepton",
    "lepton",
    {**_kinematics(200, 2.5), "pdgId": _integers(-16, 17, "{} PDG id")},
    (*_KINEMATIC, "pdgId"),
)
PARTON = Kind(
    "parton",
    "parton",
    {
        **_kinematics(500, 5),
        "dRMatchedJet": _bins(50, 0, 1, r"{} $\Delta R$ to its jet"),
        "pdgId": _integers(-25, 26, "{} PDG id"),
    },
    (*_KINEMATIC, "dRMatchedJet", "pdgId"),
)
MET = Kind(
    "met",
    "missing",
    {
        "pt": _bins(50, 0, 250, "{} $p_{T}$ [GeV]"),
        "phi": _bins(32, -math.pi, math.pi, r"{} $p_{T}$ $\phi$ [rad]"),
    },
    ("pt", "phi"),
)
SV = Kind(
    "sv",
    "secondary vertices",
    {
        "summass": _bins(50, 0, 50, r"{} $\sum m$ [GeV]"),
        "logsummass": _bins(50, -2.5, 5, r"{} $\log(\sum m)$"),
        "projmass": _bins(50, 0, 50, "{} projected mass [GeV]"),
        "logprojmass": _bins(50, -2.5, 5, r"{} $\log$(projected mass)"),
        "sv1mass": _bins(50, 0, 20, "{} mass of the first [GeV]"),
        "logsv1mass": _bins(50, -2.5, 5, r"{} $\log$(mass of the first)"),
        "sumcorrmass": _bins(50, 0, 50, r"{} $\sum m^{corr}$ [GeV]"),
        "logsumcorrmass": _bins(50, -2.5, 5, r"{} $\log(\sum m^{corr})$"),
    },
    ("summass", "logsummass", "sv1mass", "logsv1mass", "sumcorrmass", "logsumcorrmass"),
)


def jet_hists(
    coll: str = "JetGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of jets: direction and momentum."""
    return JET.histograms(coll, pos, fields, name, axis_settings, options)


def jet_taggers_hists(
    coll: str = "JetGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of jets: scores of b and c taggers."""
    return JET_TAGGERS.histograms(coll, pos, fields, name, axis_settings, options)


def fatjet_hists(
    coll: str = "FatJetGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of AK8 jets: direction, momentum and masses."""
    return FATJET.histograms(coll, pos, fields, name, axis_settings, options)


def fatjet_taggers_hists(
    coll: str = "FatJetGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of AK8 jets: scores of taggers."""
    return FATJET_TAGGERS.histograms(coll, pos, fields, name, axis_settings, options)


def genjet_hists(
    coll: str = "MyGenJets",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of generator jets: direction, momentum and flavours."""
    return GENJET.histograms(coll, pos, fields, name, axis_settings, options)


def ele_hists(
    coll: str = "ElectronGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of electrons: direction, also of the supercluster (``etaSC``), and momentum."""
    return ELECTRON.histograms(coll, pos, fields, name, axis_settings, options)


def muon_hists(
    coll: str = "MuonGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of muons: direction and momentum."""
    return MUON.histograms(coll, pos, fields, name, axis_settings, options)


def lepton_hists(
    coll: str = "LeptonGood",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of leptons: direction, momentum and PDG id."""
    return LEPTON.histograms(coll, pos, fields, name, axis_settings, options)


def parton_hists(
    coll: str = "PartonMatched",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of partons: direction, momentum, PDG id and distance of their jet."""
    return PARTON.histograms(coll, pos, fields, name, axis_settings, options)


def met_hists(
    coll: str = "MET",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of missing transverse momentum."""
    return MET.histograms(coll, pos, fields, name, axis_settings, options)


def sv_hists(
    coll: str = "SV",
    pos: int | None = None,
    fields: Fields = None,
    name: str | None = None,
    axis_settings: Settings = None,
    **options: Any,
) -> Histograms:
    """Histograms of masses of secondary vertices, as defined by the workflow."""
    return SV.histograms(coll, pos, fields, name, axis_settings, options)


def count_hist(
    coll: str,
    bins: int = 10,
    start: float = 0,
    stop: float | None = None,
    label: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Histograms:
    """A histogram of the number of objects of a collection.

    Parameters
    ----------
    coll
        The collection; the column is ``n<coll>``.
    bins, start, stop
        Bins and their range; default: one for each number from `start` on.
    label
        Label of the axis.
    name
        Name of the histogram; default ``n<coll>``.
    **options
        Of `HistConf`.

    Examples
    --------
    >>> list(count_hist("JetGood", bins=8))
    ['nJetGood']
    """
    column = f"n{coll}"
    text = rf"$N_{{\mathrm{{{coll}}}}}$" if label is None else label
    axis = Axis(column, text, bins, start, start + bins if stop is None else stop)
    return {name or column: HistConf([axis], **options)}


def processing_metadata_hists(only_cats: Iterable[str], chunk_size: int) -> Histograms:
    """Histograms of how many events partitions have: of all, after the skim and the preselections.

    How fast they are processed is not in the output, which is the same however it is computed: see
    the task stream of the dashboard, or the performance report.

    Parameters
    ----------
    only_cats
        Names of the categories.
    chunk_size
        The most events a partition has.
    """
    binning = ("events in the partition", max(chunk_size // 500, 30), 0, chunk_size, METADATA)
    return {
        f"events_per_chunk_{stage}": HistConf(
            [Axis(size, *binning, name="nevents")],
            storage="int64",
            metadata_hist=True,
            no_weights=True,
            only_categories=tuple(only_cats),
            variations=False,
        )
        for stage, size in zip(("initial", "skim", "presel"), SIZES, strict=True)
    }
