from __future__ import annotations

from typing import Any

import pytest

from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.classes import by_name
from lazyana.analysis.weights import WeightLambda, WeightWrapper
from lazyana.errors import InputError, InputTypeError

MINE, OTHER = (WeightLambda.wrap_func(name, lambda *_: 1.0) for name in ("mine", "other"))
TWIN = WeightLambda.wrap_func("mine", lambda *_: 2.0)


class Scale(Calibrator):
    name = "scale"


def test_classes_keep_their_order() -> None:
    assert by_name([OTHER, MINE], WeightWrapper, "weight") == {"other": OTHER, "mine": MINE}
    assert by_name((), Calibrator, "calibrator") == {}


def test_two_analyses_may_have_classes_of_one_name() -> None:
    assert by_name([MINE], WeightWrapper, "weight")["mine"] is MINE
    assert by_name([TWIN], WeightWrapper, "weight")["mine"] is TWIN


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([MINE({}, {})], InputTypeError, "is no weight: give subclasses of WeightWrapper, not"),
        (["pileup"], InputTypeError, "'pileup' is no weight"),
        ([Scale], InputTypeError, "Scale.* is no weight"),
        ([type("Nameless", (WeightWrapper,), {})], InputError, "Weight Nameless has no name"),
        ([MINE, TWIN], InputError, r"Two weights are called 'mine': .*test_classes\.mine and"),
        ([MINE, MINE], InputError, "List each once"),
    ],
)
def test_other_things_are_refused(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        by_name(given, WeightWrapper, "weight")


def test_messages_use_the_word_for_them() -> None:
    with pytest.raises(InputError, match="Two calibrators are called 'scale'"):
        by_name([Scale, Scale], Calibrator, "calibrator")
