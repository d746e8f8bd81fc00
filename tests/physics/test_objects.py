"""That the names of `lazyana.physics.objects` are those of the modules it gathers."""

from __future__ import annotations

import pytest

from lazyana.physics import jets, kinematics, leptons, met, objects


@pytest.mark.parametrize("module", [jets, kinematics, leptons, met])
def test_everything_that_takes_objects_is_there(module: object) -> None:
    own = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__  # type: ignore[attr-defined]
        and not name.startswith("_")
    }
    helpers = {"with_tagger", "supercluster_eta", "met_z"}

    for name in own.keys() - helpers:
        assert getattr(objects, name) is own[name]
        assert name in objects.__all__
