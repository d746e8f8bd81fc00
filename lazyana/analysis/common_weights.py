"""The weights every analysis may name: generator, luminosity, pileup, efficiencies of muons."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from lazyana.analysis.defaults import find_parameter
from lazyana.analysis.weights import WeightData, WeightWrapper
from lazyana.physics.corrections import open_corrections
from lazyana.physics.scale_factors import (
    Shifts,
    event_scale_factor,
    muon_scale_factor,
    pileup_weight,
)


class GeneratorWeight(WeightWrapper):
    """Weight of the generator; divide by its sum over all events, see `Analysis`."""

    name = "genWeight"

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The weight as it is in the files."""
        del size, shape_variation
        return WeightData(self.name, events.genWeight)


class GeneratorSign(WeightWrapper):
    """Sign of the weight of the generator: 1, -1, or 0 where that is 0."""

    name = "signOf_genWeight"

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The sign of the weight in the files."""
        del size, shape_variation
        return WeightData(self.name, np.sign(events.genWeight))


class Luminosity(WeightWrapper):
    """Integrated luminosity of the year, pb⁻¹: ``lumi.picobarns.<year>.tot``."""

    name = "lumi"

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The number in the parameters."""
        del events, size, shape_variation
        year = str(self._metadata["year"])
        return WeightData(
            self.name, float(find_parameter(self._params, "lumi.picobarns", year, "tot"))
        )


class CrossSection(WeightWrapper):
    """Cross section of the dataset, pb: ``xsec`` of its metadata."""

    name = "XS"

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The number in the metadata; a column where datasets have different ones."""
        del size, shape_variation
        known = self._metadata if "xsec" in self._metadata else events.metadata
        value = known["xsec"]
        return WeightData(self.name, float(value) if isinstance(value, str | int) else value)


class Pileup(WeightWrapper):
    """Pileup of the data over that of the simulation: ``pileupJSONfiles.<year>``."""

    name = "pileup"
    has_variations = True

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The weight for the true number of interactions of each event."""
        del size, shape_variation
        year = str(self._metadata["year"])
        path = find_parameter(self._params, "pileupJSONfiles", year, "file")
        name = find_parameter(self._params, "pileupJSONfiles", year, "name")
        correction = open_corrections(path)[name]
        return WeightData(self.name, *pileup_weight(correction, events.Pileup.nTrueInt))


class _MuonScaleFactor(WeightWrapper):
    """Efficiency of muons in data over that in simulation: ``lepton_scale_factors.muon_sf``."""

    has_variations = True
    kind: ClassVar[str]

    def compute(self, events: Any, size: Any, shape_variation: str) -> WeightData:
        """The product over the muons of the collection in the parameters."""
        del size, shape_variation
        return WeightData(self.name, *event_scale_factor(self._of_each(events)))

    def _of_each(self, events: Any) -> Shifts:
        year = str(self._metadata["year"])
        given = find_parameter(self._params, "lepton_scale_factors.muon_sf")
        path, name, collection = (
            find_parameter(self._params, "lepton_scale_factors.muon_sf", *where)
            for where in (
                ("JSONfiles", year, "file"),
                ("sf_name", year, self.kind),
                ("collection",),
            )
        )
        eras = given.get("era_mapping") or {}
        return muon_scale_factor(
            open_corrections(path)[name],
            events[collection],
            year=eras.get(year),
            out_of_range=given.get("out_of_range", "error"),
        )


class MuonId(_MuonScaleFactor):
    """Scale factor of the muon identification."""

    name = "sf_mu_id"
    kind = "id"


class MuonIso(_MuonScaleFactor):
    """Scale factor of the muon isolation."""

    name = "sf_mu_iso"
    kind = "iso"


common_weights: list[type[WeightWrapper]] = [
    GeneratorWeight,
    GeneratorSign,
    Luminosity,
    CrossSection,
    Pileup,
    MuonId,
    MuonIso,
]
"""The weights every analysis may name; a list, to which configurations add their own."""
