"""Weights of this analysis."""

from __future__ import annotations

import awkward as ak
import numpy as np

from lazyana.analysis.weights import WeightData, WeightLambda, WeightWrapper

TOP, LAST_COPY = 6, 1 << 13
BOTTOM, CHARM = 5, 4


class TopPt(WeightWrapper):
    """Weight that corrects the momentum of top quarks; varied: applied not at all, and twice."""

    name = "top_pt"
    has_variations = True

    def compute(self, events, size, shape_variation):
        """The weight of each event."""
        particles = events.GenPart
        is_last = (particles.statusFlags & LAST_COPY) > 0
        tops = particles[(abs(particles.pdgId) == TOP) & is_last]
        given = self._params.top_pt
        each = np.exp(given.a + given.b * np.minimum(tops.pt, given.pt_max))
        weight = np.sqrt(ak.prod(each, axis=1))
        return WeightData(self.name, weight, up=weight**2, down=ak.ones_like(weight))


def btag_efficiency(params, metadata, events, size, shape_variation):
    """Efficiency of b tagging, data over simulation, of the tagged jets of an event.

    Tagged jets of b and c quarks and tagged light jets are varied one kind at a time.
    """
    flavour = events.BJetGood.hadronFlavour
    known = params.btag_efficiency
    sources = {
        "heavy": ((flavour == BOTTOM) | (flavour == CHARM), known.heavy),
        "light": (flavour == 0, known.light),
    }

    def product(shifts):
        each = 1.0
        for source, (jets, given) in sources.items():
            factor = given.value + shifts.get(source, 0) * given.uncertainty
            each = each * ak.where(jets, factor, 1.0)
        return ak.prod(each, axis=1)

    ups = [product({source: 1}) for source in sources]
    downs = [product({source: -1}) for source in sources]
    return product({}), list(sources), ups, downs


BtagEfficiency = WeightLambda.wrap_func(
    "btag_efficiency", btag_efficiency, has_variations=True, variations=["heavy", "light"]
)
