from __future__ import annotations

from typing import Any

import pytest

from lazyana.analysis.calibrators import Calibrator
from lazyana.analysis.classes import by_name, check_arguments
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


def test_methods_take_what_they_are_called_with() -> None:
    def old(self: Any, events: Any) -> None:
        del self, events

    def more(self: Any, *given: Any, extra: int = 1) -> None:
        del self, given, extra

    wrong = type("Wrong", (WeightWrapper,), {"name": "old", "compute": old})
    words = (
        r"Method compute of weight 'old' cannot be called \(too many positional arguments\): its "
        r"arguments are \(self, events, size, shape_variation\)\."
    )
    with pytest.raises(InputError, match=words):
        by_name([wrong], WeightWrapper, "weight")
    with pytest.raises(InputError, match="Method calibrate of calibrator 'old'"):
        by_name(
            [type("Wrong", (Calibrator,), {"name": "old", "calibrate": old})],
            Calibrator,
            "calibrator",
        )
    members = {"name": "right", "compute": more, "_compute": old, "help": old}
    right = type("Right", (WeightWrapper,), members)
    assert by_name([right], WeightWrapper, "weight") == {"right": right}


def test_arguments_of_functions_that_do_not_tell_are_not_checked() -> None:
    check_arguments(max, ("one", "other"), "The function")
    with pytest.raises(InputError, match=r"The function cannot be called \(missing a required"):
        check_arguments(lambda one, other: None, ("one",), "The function")


def test_messages_use_the_word_for_them() -> None:
    with pytest.raises(InputError, match="Two calibrators are called 'scale'"):
        by_name([Scale, Scale], Calibrator, "calibrator")
