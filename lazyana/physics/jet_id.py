"""The identification of jets, made good where NanoAOD stores it wrongly or not at all.

Sources: the recommendations of the JME group for 13.6 TeV (JetID13p6TeV on the CMS TWiki), whose
``jetid.json`` holds the same criteria.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lazyana.errors import InputError, InputTypeError
from lazyana.physics.corrections import evaluate, open_corrections
from lazyana.physics.inputs import field, has, number, section
from lazyana.physics.lazy import mapped

TIGHT, TIGHT_LEPTON_VETO = 2, 4
"""The bits of ``jetId``."""

MULTIPLICITY = "multiplicity"
"""What rules call the number of constituents: ``chMultiplicity`` + ``neMultiplicity``."""


@dataclass(frozen=True)
class Region:
    """What a jet has to fulfil in a region of η.

    Attributes
    ----------
    abseta_max
        Up to this absolute value of η, from that of the region before.
    below, above
        Fields of a jet, and what they are smaller and larger than.
    """

    abseta_max: float
    below: tuple[tuple[str, float], ...] = ()
    above: tuple[tuple[str, float], ...] = ()

    @property
    def fields(self) -> set[str]:
        """The fields of a jet that it takes."""
        return {name for name, _ in (*self.below, *self.above)}


@dataclass(frozen=True)
class Rules:
    """An identification.

    Attributes
    ----------
    tight
        What a tight jet fulfils; beyond the last region none is tight.
    veto
        What it fulfils besides for the lepton veto; empty where there is no veto.
    corrects
        Whether a tight jet also is one by the bits that are stored.
    """

    tight: tuple[Region, ...]
    veto: tuple[Region, ...]
    corrects: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a jet that it takes, in the order in which it is called with them."""
        used: set[str] = set().union(*(region.fields for region in (*self.tight, *self.veto)))
        if MULTIPLICITY in used:
            used = (used - {MULTIPLICITY}) | {"chMultiplicity", "neMultiplicity"}
        return ("eta", *(("jetId",) if self.corrects else ()), *sorted(used))

    def __call__(self, *columns: Any) -> Any:
        """The bits, shape ``(events, jets)``, for columns of the fields."""
        jets = dict(zip(self.fields, columns, strict=True))
        if "chMultiplicity" in jets and "neMultiplicity" in jets:
            jets[MULTIPLICITY] = jets["chMultiplicity"] + jets["neMultiplicity"]
        tight = _fulfilled(jets, self.tight)
        if self.corrects:
            tight = tight & ((jets["jetId"] & TIGHT) > 0)
        if not self.veto:
            return TIGHT * tight
        return _bits(tight, tight & _fulfilled(jets, self.veto))


_ALL = np.inf
_VETO = (Region(2.7, below=(("chEmEF", 0.8), ("muEF", 0.8))), Region(_ALL))
CORRECTED = Rules(
    tight=(
        Region(2.7),
        Region(3.0, below=(("neHEF", 0.99),)),
        Region(_ALL, below=(("neEmEF", 0.4),)),
    ),
    veto=_VETO,
    corrects=True,
)
"""Jets of NanoAOD 12: beyond abs(η) = 2.7 what is stored did not look at the energy fractions."""

LARGE_CORRECTED = Rules(tight=(Region(2.7),), veto=(), corrects=True)
"""Large jets of NanoAOD 12: what is stored holds within the tracker, and has no lepton veto."""

FROM_SCRATCH = Rules(
    tight=(
        Region(
            2.6,
            below=(("neEmEF", 0.9), ("neHEF", 0.99)),
            above=(("chHEF", 0.01), ("chMultiplicity", 0), (MULTIPLICITY, 1)),
        ),
        Region(2.7, below=(("neEmEF", 0.99), ("neHEF", 0.9))),
        Region(3.0, below=(("neHEF", 0.99),)),
        Region(_ALL, below=(("neEmEF", 0.4),), above=(("neMultiplicity", 1),)),
    ),
    veto=_VETO,
)
"""PUPPI jets where nothing is stored."""


def compute_jetId(
    events: Any, jet_type: str, params: Any, year: str | None = None, nano_version: Any = None
) -> Any:
    """Identification of jets as the bits 2 (tight) and 4 (tight with lepton veto).

    Below NanoAOD 12 that is what is stored. In version 12 what is stored is wrong at abs(η) > 2.7
    and is made good. Later versions store nothing: it is computed with the file that the parameters
    name in ``jet_scale_factors.jet_id`` for the year, or from the criteria where there is no such
    file.

    Parameters
    ----------
    events
        The events.
    jet_type
        The collection, ``"Jet"`` or ``"FatJet"``.
    params
        Parameters: ``default_nano_version`` for the year, unless the version is given or in the
        metadata of the events; if wanted ``jet_scale_factors.jet_id``, and ``jet_id_rules`` with
        other criteria than those of this module.
    year
        The era, e.g. ``"2022_postEE"``.
    nano_version
        Version of NanoAOD, a number or ``"12"``.

    Returns
    -------
    awkward.Array or dask_awkward.Array
        The bits, shape ``(events, jets)``; larger is better: 0, 2 (tight), 6 (with lepton veto).

    Raises
    ------
    InputError, InputTypeError
        The version is not known, or not a number; criteria that are none.
    ColumnError
        The jets do not have the fields it takes.
    """
    if nano_version is None:
        nano_version = nano_version_of(events, params, year)
    version = _whole(nano_version)
    jets = events[jet_type]
    asked = f"The identification of {jet_type} in NanoAOD {version}"
    if version < 12:
        return field(jets, "jetId", asked)
    path = _file(params, year) if version > 12 else None
    if path is not None:
        return _from_file(jets, path, "AK8PUPPI" if is_large(jet_type) else "AK4PUPPI", asked)
    rules = rules_of(params, version, large=is_large(jet_type))
    columns = [field(jets, name, asked) for name in rules.fields]
    return mapped(rules, *columns, label="jet-id")


def nano_version_of(events: Any, params: Any, year: str | None) -> int:
    """Version of NanoAOD of some events: what their metadata say, else that of the era.

    Raises
    ------
    InputError
        Neither says it.
    InputTypeError
        What they say is not a number.
    """
    metadata = getattr(events, "metadata", None)
    if isinstance(metadata, Mapping) and metadata.get("nano_version") is not None:
        return _whole(metadata["nano_version"])
    if year is not None and has(params, "default_nano_version", year):
        return _whole(section(params, "default_nano_version", year))
    msg = (
        "Which version of NanoAOD the events are is not known: give nano_version in the metadata "
        f"of the dataset, or default_nano_version for {year!r} in the parameters."
    )
    raise InputError(msg)


def is_large(jet_type: str) -> bool:
    """Whether a collection is one of large jets."""
    return jet_type.startswith("FatJet") or "AK8" in jet_type


def rules_of(params: Any, version: int, *, large: bool) -> Rules:
    """The criteria for jets of NanoAOD 12 or later: those of the parameters, else those above.

    Parameters
    ----------
    params
        Parameters, with ``jet_id_rules`` if these are to be used.
    version
        Version of NanoAOD.
    large
        Whether the jets are large ones.

    Raises
    ------
    InputError, InputTypeError
        Criteria that are none.
    """
    key = "12" if version == 12 else "15"
    place = "jet_id_rules", "AK8PFPuppi" if large else "AK4PFPuppi", key
    if has(params, *place):
        given, where = section(params, *place), ".".join(place)
        return Rules(
            _regions(section(given, "tight"), f"{where}.tight"),
            _regions(given.get("tight_lepton_veto", ()), f"{where}.tight_lepton_veto"),
            corrects=version == 12,
        )
    if version > 12:
        return FROM_SCRATCH
    return LARGE_CORRECTED if large else CORRECTED


def _whole(version: Any) -> int:
    try:
        return int(version)
    except (TypeError, ValueError) as error:
        msg = f"nano_version={version!r} is not a version of NanoAOD: give a number such as 12."
        raise InputTypeError(msg) from error


def _regions(given: Sequence[Any], where: str) -> tuple[Region, ...]:
    regions = []
    for each in given:
        cuts = {
            side: tuple(
                (str(name), number(each[side], name, f"{where}.{side}")) for name in each[side]
            )
            for side in ("below", "above")
            if side in each
        }
        regions.append(Region(number(each, "abseta_max", where), **cuts))
    return tuple(regions)


def _fulfilled(jets: Mapping[str, Any], regions: Sequence[Region]) -> Any:
    """Mask of the jets that fulfil what the region they are in asks for."""
    eta = abs(jets["eta"])
    found = eta < 0
    begin = -1.0
    for region in regions:
        mask = (eta > begin) & (eta <= region.abseta_max)
        for name, most in region.below:
            mask = mask & (jets[name] < most)
        for name, least in region.above:
            mask = mask & (jets[name] > least)
        found = found | mask
        begin = region.abseta_max
    return found


def _bits(tight: Any, with_veto: Any) -> Any:
    return TIGHT * tight + TIGHT_LEPTON_VETO * with_veto


def _file(params: Any, year: str | None) -> Path | None:
    """The file of the identification, if the parameters name one that is there."""
    if year is None or not has(params, "jet_scale_factors", "jet_id", year):
        return None
    try:
        path = Path(str(section(params, "jet_scale_factors", "jet_id", year)))
    except (OSError, ValueError) as error:
        # Parameters may look for the file, and say so in an error of their own if it is nowhere.
        if _is_of_a_file(error):
            return None
        raise
    return path if path.is_file() else None


def _is_of_a_file(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _from_file(jets: Any, path: Path, algorithm: str, asked: str) -> Any:
    """What the file of the JME group says."""
    corrections = open_corrections(path)
    passed = []
    for name in (f"{algorithm}_Tight", f"{algorithm}_TightLeptonVeto"):
        correction = corrections[name]
        inputs = [_input(jets, one.name, asked) for one in correction.inputs]
        passed.append(evaluate(correction, *inputs) > 0.5)
    return _bits(*passed)


def _input(jets: Any, name: str, asked: str) -> Any:
    if name == MULTIPLICITY:
        return field(jets, "chMultiplicity", asked) + field(jets, "neMultiplicity", asked)
    # The criteria are the same at both ends of the detector.
    return abs(jets.eta) if name == "eta" else field(jets, name, asked)
