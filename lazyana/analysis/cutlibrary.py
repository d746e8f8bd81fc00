"""Cuts that most analyses need: triggers, data certification, noise filters, numbers of objects."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from lazyana.analysis.cuts import Cut, passthrough
from lazyana.analysis.masks import every
from lazyana.analysis.triggers import fired_by_primary_dataset, fired_listed, listed, parameter
from lazyana.errors import ColumnError, FileError, InputError, did_you_mean
from lazyana.physics.corrections import evaluate, open_corrections
from lazyana.physics.jet_id import compute_jetId
from lazyana.physics.lumi import CertifiedSections, read_golden_json

__all__ = [
    "count_objects_eq",
    "count_objects_gt",
    "count_objects_lt",
    "eq_nObj",
    "eq_nObj_minPt",
    "eventFlags",
    "get_HLTsel",
    "get_HLTsel_custom",
    "get_JetVetoMap",
    "get_L1sel",
    "get_L1sel_custom",
    "get_nBtagEq",
    "get_nBtagMin",
    "get_nElectron",
    "get_nMuon",
    "get_nObj_eq",
    "get_nObj_less",
    "get_nObj_min",
    "get_nPVgood",
    "goldenJson",
    "less_nObj",
    "min_nObj",
    "min_nObj_minPt",
    "nBtagEq",
    "nBtagMin",
    "nElectron",
    "nMuon",
    "passthrough",
]

# -- triggers ----------------------------------------------------------------------------------


def get_HLTsel(primaryDatasets: Sequence[str] | str | None = None, invert: bool = False) -> Cut:
    """Events that fired one of the HLT paths in the parameters, ``HLT_triggers.<year>``.

    Data must fire a path of their own primary dataset, simulation one of any.

    Parameters
    ----------
    primaryDatasets
        Take the paths of these primary datasets, in data as in simulation.
    invert
        Take the events that did not.
    """
    return _trigger_cut("HLT", primaryDatasets, invert)


def get_HLTsel_custom(trigger_list: Sequence[str], invert: bool = False) -> Cut:
    """Events that fired one of some HLT paths, given with or without ``HLT_``."""
    return _custom_trigger_cut("HLT", trigger_list, invert)


def get_L1sel(primaryDatasets: Sequence[str] | str | None = None, invert: bool = False) -> Cut:
    """Events that fired one of the L1 seeds in ``L1_triggers.<year>``; as `get_HLTsel`."""
    return _trigger_cut("L1", primaryDatasets, invert)


def get_L1sel_custom(trigger_list: Sequence[str], invert: bool = False) -> Cut:
    """Events that fired one of some L1 seeds, given with or without ``L1_``."""
    return _custom_trigger_cut("L1", trigger_list, invert)


def _trigger_cut(kind: str, primary_datasets: Sequence[str] | str | None, invert: bool) -> Cut:
    wanted = listed(primary_datasets) if primary_datasets else None
    name = "_".join((f"{kind}_trigger", *(wanted or ()), *(("NOT",) if invert else ())))
    params = {"kind": kind, "primaryDatasets": wanted, "invert": bool(invert)}
    return Cut(name, params, fired_by_primary_dataset)


def _custom_trigger_cut(kind: str, paths: Sequence[str] | str, invert: bool) -> Cut:
    bare = [path.removeprefix(f"{kind}_") for path in listed(paths)]
    if not bare:
        msg = f"The list of {kind} paths is empty: name at least one."
        raise InputError(msg)
    name = "_".join((f"{kind}_trigger", *bare, *(("NOT",) if invert else ())))
    return Cut(name, {"kind": kind, "paths": bare, "invert": bool(invert)}, fired_listed)


# -- data quality ------------------------------------------------------------------------------


def _event_flags(events: Any, processor_params: Any, year: str, isMC: bool) -> Any:
    names = ("event_flags",) if isMC else ("event_flags", "event_flags_data")
    # A new list each time: that of the parameters is shared by data and simulation.
    flags = [
        (str(flag), name)
        for name in names
        for flag in listed(parameter(processor_params, name, year))
    ]
    masks = {}
    for flag, name in flags:
        bare = flag.removeprefix("Flag_")
        fields = ak.fields(events["Flag"])
        if bare not in fields:
            msg = (
                f"The files have no filter {bare!r}, which {name}.{year} names."
                f"{did_you_mean(bare, fields)} Take it out of the parameters, or see the filters "
                f"there are: {', '.join(sorted(fields))}."
            )
            raise ColumnError(msg)
        masks[bare] = events["Flag"][bare]
    return reduce(operator.and_, masks.values()) if masks else every(events)


def _golden_json(events: Any, processor_params: Any, year: str, isMC: bool) -> Any:
    if isMC:
        return every(events)
    path = Path(str(parameter(processor_params, "lumi.goldenJSON", year))).expanduser()
    try:
        stat = path.stat()
    except OSError as error:
        msg = (
            f"The golden JSON of {year} cannot be read: {path} ({error.strerror}). Give its place "
            f"as parameter lumi.goldenJSON.{year}."
        )
        raise FileError(msg) from error
    certified = _certified(str(path), stat.st_mtime_ns, stat.st_size)
    return certified.mask(events["run"], events["luminosityBlock"])


@cache
def _certified(path: str, modified: int, size: int) -> CertifiedSections:
    """The certified luminosity sections of a file, read once."""
    del modified, size
    return read_golden_json(path)


eventFlags = Cut("event_flags", {}, _event_flags)
"""Events that pass the filters in the parameters, ``event_flags``, data also those in
``event_flags_data``."""

goldenJson = Cut("golden_json_lumi", {}, _golden_json)
"""Data in certified luminosity sections, ``lumi.goldenJSON`` in the parameters; all simulation."""


def get_nPVgood(N: int, name: str | None = None) -> Cut:
    """Events with at least `N` good primary vertices."""
    return Cut(name or f"nPVgood_{N}", {"N": N}, _good_vertices)


def _good_vertices(events: Any, params: Mapping[str, Any]) -> Any:
    return events["PV"].npvsGood >= params["N"]


def get_JetVetoMap(name: str = "JetVetoMaps") -> Cut:
    """Events without a jet in a region of the detector that is vetoed.

    Looked at are jets of more than 15 GeV with tight identification and lepton veto whose energy is
    electromagnetic by less than 90 %, within ``abs(eta) < 5.19``. The map is that of
    ``jet_scale_factors.vetomaps.<year>`` in the parameters. Source: jet veto maps of the JME POG.
    """
    return Cut(name, {}, _no_vetoed_jet)


def _no_vetoed_jet(events: Any, processor_params: Any, year: str) -> Any:
    place = "jet_scale_factors.vetomaps"
    file = parameter(processor_params, place, year, "file")
    veto = open_corrections(str(file))[str(parameter(processor_params, place, year, "name"))]
    jets = events["Jet"]
    looked_at = (
        (compute_jetId(events, "Jet", processor_params, year) >= 6)
        & (abs(jets.eta) < 5.19)
        & (jets.pt > 15)
        & (jets.neEmEF + jets.chEmEF < 0.9)
    )
    jets = jets[looked_at]
    # In single precision pi is beyond the last edge of the map.
    phi = np.minimum(np.maximum(jets.phi, -3.14159), 3.14159)
    return ~ak.any(evaluate(veto, "jetvetomap", jets.eta, phi) != 0, axis=1)


# -- numbers of objects ------------------------------------------------------------------------


def get_nObj_min(
    N: int, minpt: float | None = None, coll: str = "JetGood", name: str | None = None
) -> Cut:
    """Events with at least `N` objects, of a pT of at least `minpt` (GeV) if given."""
    return _counted("min", min_nObj_minPt if minpt else min_nObj, N, minpt, coll, name)


def get_nObj_eq(
    N: int, minpt: float | None = None, coll: str = "JetGood", name: str | None = None
) -> Cut:
    """Events with exactly `N` objects, of a pT of at least `minpt` (GeV) if given."""
    return _counted("eq", eq_nObj_minPt if minpt else eq_nObj, N, minpt, coll, name)


def get_nObj_less(N: int, coll: str = "JetGood", name: str | None = None) -> Cut:
    """Events with fewer than `N` objects."""
    return _counted("less", less_nObj, N, None, coll, name)


def _counted(
    word: str,
    function: Callable[..., Any],
    number: int,
    minpt: float | None,
    coll: str,
    name: str | None,
) -> Cut:
    params: dict[str, Any] = {"N": number, "coll": coll}
    default = f"n{coll}_{word}{number}"
    if minpt:
        params["minpt"], default = minpt, f"{default}_pt{minpt}"
    return Cut(name or default, params, function)


def min_nObj(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """At least ``N`` objects of ``coll``."""
    return _number(events, params["coll"]) >= params["N"]


def less_nObj(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """Fewer than ``N`` objects of ``coll``."""
    return _number(events, params["coll"]) < params["N"]


def eq_nObj(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """Exactly ``N`` objects of ``coll``."""
    return _number(events, params["coll"]) == params["N"]


def min_nObj_minPt(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """At least ``N`` objects of ``coll`` with a pT of at least ``minpt`` (GeV)."""
    return ak.sum(events[params["coll"]].pt >= params["minpt"], axis=1) >= params["N"]


def eq_nObj_minPt(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """Exactly ``N`` objects of ``coll`` with a pT of at least ``minpt`` (GeV)."""
    return ak.sum(events[params["coll"]].pt >= params["minpt"], axis=1) == params["N"]


def count_objects_gt(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """More than ``value`` objects of ``object``."""
    return ak.num(events[params["object"]], axis=1) > params["value"]


def count_objects_lt(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """Fewer than ``value`` objects of ``object``."""
    return ak.num(events[params["object"]], axis=1) < params["value"]


def count_objects_eq(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """Exactly ``value`` objects of ``object``."""
    return ak.num(events[params["object"]], axis=1) == params["value"]


def get_nElectron(
    N: int, minpt: float = 0, coll: str = "ElectronGood", name: str | None = None
) -> Cut:
    """Events with at least `N` electrons with a pT above `minpt` (GeV)."""
    return Cut(name or f"n{coll}_{N}_pt{minpt}", {"N": N, "coll": coll, "minpt": minpt}, nElectron)


def get_nMuon(N: int, minpt: float = 0, coll: str = "MuonGood", name: str | None = None) -> Cut:
    """Events with at least `N` muons with a pT above `minpt` (GeV)."""
    return Cut(name or f"n{coll}_{N}_pt{minpt}", {"N": N, "coll": coll, "minpt": minpt}, nMuon)


def nElectron(events: Any, params: Mapping[str, Any], **_: Any) -> Any:
    """At least ``N`` objects of ``coll`` with a pT above ``minpt`` (GeV)."""
    minpt = params.get("minpt", 0)
    if not minpt:
        return _number(events, params["coll"]) >= params["N"]
    return ak.sum(events[params["coll"]].pt > minpt, axis=1) >= params["N"]


nMuon = nElectron


# -- b-tagged jets -----------------------------------------------------------------------------


def get_nBtagMin(
    N: int, minpt: float = 0, coll: str = "BJetGood", wp: str = "M", name: str | None = None
) -> Cut:
    """Events with at least `N` b-tagged jets, see `nBtagMin`."""
    params = {"N": N, "coll": coll, "minpt": minpt, "wp": wp}
    return Cut(name or f"n{coll}_btagMin{N}_pt{minpt}", params, nBtagMin)


def get_nBtagEq(
    N: int, minpt: float = 0, coll: str = "BJetGood", wp: str = "M", name: str | None = None
) -> Cut:
    """Events with exactly `N` b-tagged jets, see `nBtagMin`."""
    params = {"N": N, "coll": coll, "minpt": minpt, "wp": wp}
    return Cut(name or f"n{coll}_btagEq{N}_pt{minpt}", params, nBtagEq)


def nBtagMin(
    events: Any, params: Mapping[str, Any], year: str, processor_params: Any, **_: Any
) -> Any:
    """At least ``N`` b-tagged jets of ``coll`` with a pT of at least ``minpt`` (GeV).

    Jets of ``BJetGood`` are tagged already; others are if their tagger,
    ``btagging.working_point.<year>`` in the parameters, is above its working point ``wp``.
    """
    return _tagged(events, params, year, processor_params) >= params["N"]


def nBtagEq(
    events: Any, params: Mapping[str, Any], year: str, processor_params: Any, **_: Any
) -> Any:
    """Exactly ``N`` b-tagged jets, see `nBtagMin`."""
    return _tagged(events, params, year, processor_params) == params["N"]


def _tagged(events: Any, params: Mapping[str, Any], year: str, processor_params: Any) -> Any:
    coll, minpt = params["coll"], params["minpt"]
    if coll == "BJetGood":
        if not minpt:
            return _number(events, coll)
        return ak.sum(events[coll].pt >= minpt, axis=1)
    place, jets = ("btagging.working_point", year), events[coll]
    tagger = str(parameter(processor_params, *place, "btagging_algorithm"))
    least = parameter(processor_params, *place, "btagging_WP", params["wp"])
    if tagger not in ak.fields(jets):
        hint = did_you_mean(tagger, ak.fields(jets))
        msg = (
            f"{coll} has no field {tagger!r}, the b tagger of {year} in the parameters "
            f"(btagging.working_point.{year}.btagging_algorithm).{hint}"
        )
        raise ColumnError(msg)
    tagged = jets[tagger] > least
    return ak.sum(tagged & (jets.pt >= minpt) if minpt else tagged, axis=1)


# -- helpers -----------------------------------------------------------------------------------


def _number(events: Any, collection: str) -> Any:
    """Number of objects of each event: a column of that name if there is one."""
    name = f"n{collection}"
    return events[name] if name in events.fields else ak.num(events[collection], axis=1)
