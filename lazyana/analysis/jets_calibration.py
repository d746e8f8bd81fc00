"""Calibration of jets: smearing to the resolution of data, and uncertainties of their energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

from omegaconf import OmegaConf

from lazyana.analysis.calibrators import Calibrator, Columns
from lazyana.analysis.defaults import find_parameter
from lazyana.errors import InputError, LazyanaError, did_you_mean
from lazyana.physics.corrections import CorrectionFile, open_corrections
from lazyana.physics.energy import jer_factors, jer_of, jes_factors, jes_source, jet_radius
from lazyana.physics.scale_factors import Shifts
from lazyana.sinks.base import NOMINAL

JER = "JER"
_GEN_JETS = {0.4: "GenJet", 0.8: "GenJetAK8"}
_SIDES = ("Up", "Down")


@dataclass(frozen=True)
class Shift:
    """One shift of the energy of jets.

    Attributes
    ----------
    jet_type
        The jets.
    source
        Source of uncertainty of the scale; ``"JER"`` for the resolution.
    place
        0 for up, 1 for down.
    """

    jet_type: str
    source: str
    place: int


class JetsCalibrator(Calibrator):
    """Smears simulated jets to the resolution of data, and varies their energy.

    For each jet type of ``jets_calibration.collection.<year>``:

    - Momentum and mass are smeared by `lazyana.physics.energy.jer_factors` where
      ``jets_calibration.apply_jer_MC.<year>.<jet type>`` is true, else they are those of the files.
    - Of ``jets_calibration.variations.<jet type>.<year>``, ``JES_<source>`` multiplies these with
      one plus or minus the uncertainty of the energy scale, and ``JER`` smears by the varied scale
      factor; jets that are not smeared have no ``JER``.

    Corrections are looked up under ``jets_calibration.jet_types.<jet type>.<year>``: ``json_path``,
    and the tags ``jec_mc`` and ``jer`` in that file. Jets keep the order of the files.

    Variations are called ``<jet type>_JES_<source>Up``, ``<jet type>_JERUp`` and ``…Down``.
    """

    name = "jet_calibration"
    has_variations = True
    isMC_only = True

    def initialize(self, events: Any) -> None:
        """Find out what is smeared and varied in the year."""
        del events
        self._year = str(self.metadata["year"])
        self._factors: dict[str, Shifts] = {}
        found = find_parameter(self.params, "jets_calibration.collection", self._year)
        self._collections = {str(jet_type): str(name) for jet_type, name in found.items()}
        self._refuse_sorting()
        self._smeared = [jet_type for jet_type in self._collections if self._is_smeared(jet_type)]
        self.calibrated_collections = [
            f"{name}.{field}" for name in self._collections.values() for field in ("pt", "mass")
        ]
        self._shifts = {
            f"{jet_type}_{name}{side}": Shift(jet_type, name.removeprefix("JES_"), place)
            for jet_type in self._collections
            for name in (self._varied(jet_type) if self.do_variations else ())
            for place, side in enumerate(_SIDES)
        }
        self._variations = tuple(self._shifts)

    def calibrate(
        self,
        events: Any,
        orig_colls: Mapping[str, Any],
        variation: str,
        already_applied_calibrators: Sequence[str] | None = None,
    ) -> Columns:
        """Momentum and mass of the jets in one world."""
        del orig_colls, already_applied_calibrators
        columns: Columns = {}
        if variation == NOMINAL:
            for jet_type in self._smeared:
                columns |= self._scaled(events, jet_type, self._jer(events, jet_type)[0])
            return columns
        shift = self._shifts[variation]
        jet_type = shift.jet_type
        if shift.source == JER:
            return self._scaled(events, jet_type, self._jer(events, jet_type)[1 + shift.place])
        jets = events[self._collections[jet_type]]
        smearing = [self._jer(events, jet_type)[0]] if jet_type in self._smeared else []
        tag = self._parameter(jet_type, "jec_mc")
        source = jes_source(self._file(jet_type), tag, shift.source, jet_type)
        pt = reduce(mul, [jets.pt, *smearing])
        factor = jes_factors(source, pt, jets.eta)[shift.place]
        return self._scaled(events, jet_type, *smearing, factor)

    def _scaled(self, events: Any, jet_type: str, *factors: Any) -> Columns:
        """Momentum and mass of jets times some factors, one after the other."""
        name = self._collections[jet_type]
        return {
            f"{name}.{field}": reduce(mul, [events[name][field], *factors])
            for field in ("pt", "mass")
        }

    def _jer(self, events: Any, jet_type: str) -> Shifts:
        """Factors that smear jets: nominal, up and down; worked out once."""
        if jet_type not in self._factors:
            jets = events[self._collections[jet_type]]
            gen_jets = events[_GEN_JETS.get(jet_radius(jet_type), "GenJet")]
            try:
                resolution = jer_of(
                    self._file(jet_type), self._parameter(jet_type, "jer"), jet_type
                )
            except LazyanaError as error:
                msg = (
                    f"Jets {jet_type} of {self._year} cannot be smeared: {error} To leave them as "
                    f"they are in the files, set jets_calibration.apply_jer_MC.{self._year}."
                    f"{jet_type} to false, or calibrators=[] in the configuration."
                )
                raise type(error)(msg) from error
            self._factors[jet_type] = jer_factors(resolution, jets, gen_jets, _rho(events), events)
        return self._factors[jet_type]

    def _refuse_sorting(self) -> None:
        place = f"jets_calibration.sort_by_pt.{self._year}"
        for jet_type, name in self._collections.items():
            if OmegaConf.select(self.params, f"{place}.{jet_type}"):
                msg = (
                    f"{place}.{jet_type} is true, but calibrated jets keep the order they have in "
                    "the files. Set it to false, and sort them in apply_object_preselection: "
                    f'self.events["{name}"] = self.events.{name}['
                    f"ak.argsort(self.events.{name}.pt, ascending=False)]."
                )
                raise InputError(msg)

    def _is_smeared(self, jet_type: str) -> bool:
        place = ("jets_calibration.apply_jer_MC", self._year, jet_type)
        return bool(find_parameter(self.params, *place))

    def _varied(self, jet_type: str) -> list[str]:
        """The variations of jets in the parameters."""
        place = ("jets_calibration.variations", jet_type, self._year)
        names = [str(name) for name in find_parameter(self.params, *place)]
        for name in names:
            if name != JER and not name.startswith("JES_"):
                msg = (
                    f"{'.'.join(place)} lists {name!r}: variations of jets are JER and "
                    f"JES_<source>, e.g. JES_Total.{did_you_mean(name, ['JES_Total', JER])}"
                )
                raise InputError(msg)
        return [name for name in names if name != JER or jet_type in self._smeared]

    def _parameter(self, jet_type: str, name: str) -> str:
        place = ("jets_calibration.jet_types", jet_type, self._year, name)
        return str(find_parameter(self.params, *place))

    def _file(self, jet_type: str) -> CorrectionFile:
        return open_corrections(self._parameter(jet_type, "json_path"))


def _rho(events: Any) -> Any:
    """Density of the energy of pileup; NanoAOD has it in a collection from version 10 on."""
    name = "fixedGridRhoFastjetAll"
    return events["Rho"][name] if "Rho" in events.fields else events[name]


default_calibrators_sequence: list[type[Calibrator]] = [JetsCalibrator]
"""The calibrators of an analysis that lists none, in the order they are applied; a list, to which
configurations add their own."""
