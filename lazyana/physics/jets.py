"""Selections of jets, their tagging and their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak

from lazyana.errors import InputError, did_you_mean
from lazyana.physics.inputs import field, has, number, section
from lazyana.physics.jet_id import compute_jetId, is_large, nano_version_of
from lazyana.physics.lazy import certain, with_fields
from lazyana.physics.matching import is_isolated

# Eras whose jets are of the CHS kind, with an identification of jets from pileup, and the bits of
# its working points. Source: PileupJetIDUL on the CMS TWiki.
_BITS_2016, _BITS = {"L": 1, "M": 3, "T": 7}, {"L": 4, "M": 6, "T": 7}
PILEUP_ID: Mapping[str, Mapping[str, int]] = {
    "2016_PreVFP": _BITS_2016,
    "2016_PostVFP": _BITS_2016,
    "2017": _BITS,
    "2018": _BITS,
}

# Words in the name of a tagger, and the fields of a jet it stands for.
TAGGERS: Mapping[str, Mapping[str, str]] = {
    "PNet": {"B": "btagPNetB", "CvL": "btagPNetCvL", "CvB": "btagPNetCvB"},
    "DeepFlav": {"B": "btagDeepFlavB", "CvL": "btagDeepFlavCvL", "CvB": "btagDeepFlavCvB"},
    "RobustParT": {
        "B": "btagRobustParTAK4B",
        "CvL": "btagRobustParTAK4CvL",
        "CvB": "btagRobustParTAK4CvB",
    },
    "UParT": {"B": "btagUParTAK4B", "CvL": "btagUParTAK4CvL", "CvB": "btagUParTAK4CvB"},
}
LARGE_TAGGERS: Mapping[str, Mapping[str, str]] = {
    "PNetMD": {"BB": "particleNet_XbbVsQCD", "CC": "particleNet_XccVsQCD"},
    "PNet": {"BB": "particleNetWithMass_HbbvsQCD", "CC": "particleNetWithMass_HccvsQCD"},
}


def jet_selection(
    events: Any,
    jet_type: str,
    params: Any,
    year: str,
    leptons_collection: str = "",
    jet_tagger: str = "",
) -> tuple[Any, Any]:
    """Jets that pass pT, η and identification and are away from leptons.

    Jets of Run 2 also pass the identification of jets from pileup, or have a pT of at least
    ``puId.maxpt``; PUPPI jets, those of NanoAOD 15 on, need none. Large jets pass ``msd``.

    Parameters
    ----------
    events
        The events.
    jet_type
        The collection, ``"Jet"`` or ``"FatJet"``.
    params
        Parameters with ``object_preselection.<jet_type>``: ``pt`` (GeV, larger than), ``eta``
        (absolute value smaller than), ``jetId`` (smallest value: 2 tight, 6 with lepton veto),
        ``dr_lepton`` with leptons, ``puId`` in Run 2 (``{wp: L, maxpt: 50}``, where ``wp`` is that
        of ``jet_scale_factors.jet_puId.<year>.working_point`` or of the UL recommendation, or
        ``value`` the smallest value instead of ``wp``), ``msd`` for large jets (GeV, soft-drop
        mass larger than); and what `lazyana.physics.jet_id.compute_jetId` takes.
    year
        The era, e.g. ``"2018"``.
    leptons_collection
        Jets are farther than ``dr_lepton`` from all leptons of this collection, if given.
    jet_tagger
        A tagger, e.g. ``"PNet"``, whose values the jets then have as ``btagB``, ``btagCvL`` and
        ``btagCvB``; large jets as ``btagBB`` and ``btagCC``.

    Returns
    -------
    tuple
        The jets that pass, shape ``(events, jets)``, with the identification that was used in
        their field ``jetId_corrected``, and the mask over all jets of the collection.

    Raises
    ------
    InputError, InputTypeError
        Parameters missing or of the wrong kind, an unknown tagger, a collection for the era.
    ColumnError
        The jets do not have a field that is asked for.
    """
    if year in events.fields:
        msg = (
            f"jet_selection is given the collection {year!r} where the era is wanted. Its "
            "arguments are events, jet_type, params, year, leptons_collection."
        )
        raise InputError(msg)
    jets, where = events[jet_type], f"object_preselection.{jet_type}"
    cuts = section(params, "object_preselection", jet_type)
    identification = compute_jetId(events, jet_type, params, year)
    # What does not depend on pT comes first: it is the same in all variations of the jet energy.
    mask = (abs(jets.eta) < number(cuts, "eta", where)) & (
        identification >= number(cuts, "jetId", where)
    )
    if leptons_collection:
        distance = number(cuts, "dr_lepton", where)
        mask = mask & is_isolated(jets, events[leptons_collection], distance)
    mask = mask & (jets.pt > number(cuts, "pt", where))
    if is_large(jet_type):
        mask = mask & (field(jets, "msoftdrop", where) > number(cuts, "msd", where))
    elif year in PILEUP_ID and nano_version_of(events, params, year) < 15:
        mask = mask & _not_from_pileup(jets, cuts, params, year, where)
    mask = certain(mask)
    added = {"jetId_corrected": identification}
    if jet_tagger:
        added |= _tags(jets, jet_tagger, large=is_large(jet_type))
    return with_fields(jets, added)[mask], mask


def with_tagger(jets: Any, jet_tagger: str, *, large: bool = False) -> Any:
    """Jets that have the values of a tagger in fields named the same for all taggers.

    Parameters
    ----------
    jets
        The jets, shape ``(events, jets)``.
    jet_tagger
        A name with one of the words of `TAGGERS` in it, e.g. ``"PNet"``; for large jets of
        `LARGE_TAGGERS`.
    large
        Whether they are large jets.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The jets with ``btagB``, ``btagCvL`` and ``btagCvB``; large ones with ``btagBB`` and
        ``btagCC``.

    Raises
    ------
    InputError
        An unknown tagger.
    ColumnError
        The jets do not have its values.
    """
    return with_fields(jets, _tags(jets, jet_tagger, large=large))


def btagging(Jet: Any, btag: Any, wp: str, veto: bool = False) -> Any:
    """Jets tagged by a working point.

    Parameters
    ----------
    Jet
        The jets, shape ``(events, jets)``.
    btag
        Parameters of the tagger, ``params.btagging.working_point[year]``: ``btagging_algorithm``,
        a field of the jets, and ``btagging_WP``, its smallest values by the name of the working
        point.
    wp
        Name of the working point, e.g. ``"M"``.
    veto
        Give the jets that are not tagged instead.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The jets with a value larger than the working point, or with a veto smaller.

    Raises
    ------
    InputError, InputTypeError
        No such working point, or one that is not a number.
    ColumnError
        The jets do not have the field.
    """
    algorithm = str(section(btag, "btagging_algorithm"))
    least = number(section(btag, "btagging_WP"), wp, "btagging_WP")
    values = field(Jet, algorithm, "btagging_algorithm")
    return Jet[certain(values < least if veto else values > least)]


def CvsLsorted(jets: Any, jet_tagger: str = "") -> Any:
    """Jets in the order of their c-against-light tag, highest first.

    Parameters
    ----------
    jets
        Jets, shape ``(events, jets)``, from `jet_selection` with a tagger.
    jet_tagger
        A tagger, for jets without that.

    Raises
    ------
    ColumnError, InputError
        The jets have no tag, no such tagger.
    """
    return _sorted(jets, "CvL", jet_tagger)


def ProbBsorted(jets: Any, jet_tagger: str = "") -> Any:
    """Jets in the order of their b tag, highest first; parameters as of `CvsLsorted`."""
    return _sorted(jets, "B", jet_tagger)


def CCsorted(jets: Any, jet_tagger: str = "") -> Any:
    """Large jets in the order of their cc tag, highest first; parameters as of `CvsLsorted`."""
    return _sorted(jets, "CC", jet_tagger)


def _sorted(jets: Any, tag: str, jet_tagger: str) -> Any:
    if jet_tagger:
        jets = with_tagger(jets, jet_tagger, large=tag == "CC")
    values = field(jets, f"btag{tag}", "Sorting jets (select them with a jet_tagger)")
    return jets[ak.argsort(values, axis=1, ascending=False)]


def _not_from_pileup(jets: Any, cuts: Any, params: Any, year: str, where: str) -> Any:
    """Mask of the jets that the identification of pileup leaves, or whose pT needs none."""
    names = [name for name in ("puId", "puid") if name in cuts]
    wanted, where = section(cuts, names[0] if names else "puId"), f"{where}.puId"
    if "wp" in wanted:
        least = _working_point(str(wanted["wp"]), params, year, where)
    else:
        least = number(wanted, "value", where)
    passed = field(jets, "puId", where) >= least
    return passed | (jets.pt >= number(wanted, "maxpt", where))


def _working_point(name: str, params: Any, year: str, where: str) -> float:
    given = "jet_scale_factors", "jet_puId", year, "working_point"
    known: Mapping[str, Any] = section(params, *given) if has(params, *given) else PILEUP_ID[year]
    if name not in known:
        hint = did_you_mean(name, map(str, known))
        msg = f"{where}.wp is {name!r}.{hint} In {year} there are: {', '.join(map(str, known))}."
        raise InputError(msg)
    return number(known, name, f"{where}.wp")


def _tags(jets: Any, jet_tagger: str, *, large: bool) -> dict[str, Any]:
    """The values of a tagger by the names they are given."""
    taggers = LARGE_TAGGERS if large else TAGGERS
    fields = next((taggers[word] for word in taggers if word in jet_tagger), None)
    if fields is None:
        hint = did_you_mean(jet_tagger, taggers)
        msg = f"There is no tagger {jet_tagger!r}.{hint} There are: {', '.join(taggers)}."
        raise InputError(msg)
    asked = f"jet_tagger={jet_tagger!r}"
    return {f"btag{name}": field(jets, stored, asked) for name, stored in fields.items()}
