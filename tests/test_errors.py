"""Errors: ours, and at the same time the standard ones."""

from __future__ import annotations

import inspect
import json
import pickle
import sysconfig
from pathlib import Path

import awkward as ak
import pytest
from omegaconf import OmegaConf

from lazyana import errors
from lazyana.analysis.cuts import Cut
from lazyana.errors import LazyanaError, did_you_mean, is_of_users, place_of, type_text
from lazyana.options import RunOptions
from lazyana.physics.kinematics import get_dilepton

KINDS = {
    "ColumnError": (AttributeError, KeyError),
    "FrameMismatchError": (ValueError,),
    "InputError": (ValueError,),
    "InputTypeError": (TypeError,),
    "LazyValueError": (TypeError,),
    "FileError": (OSError,),
    "OutputExistsError": (FileExistsError,),
    "OutputError": (KeyError, IndexError),
    "ExecutorError": (ValueError,),
    "RunError": (RuntimeError,),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_is_the_matching_standard_error(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, LazyanaError)
    for standard in KINDS[name]:
        with pytest.raises(standard, match="wrong thing"):
            raise kind("the wrong thing")


def all_errors() -> list[type[LazyanaError]]:
    found = vars(errors).values()
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, LazyanaError)]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_message_is_shown_as_written_and_survives_pickling(kind: type[LazyanaError]) -> None:
    error = kind("There is no 'x'.")
    assert str(error) == "There is no 'x'."
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_tree_on_top_of_the_module_is_complete() -> None:
    for kind in all_errors():
        assert kind.__name__ in str(errors.__doc__)


def test_missing_column_is_a_missing_attribute() -> None:
    class Collection:
        def __getattr__(self, name: str) -> None:
            raise errors.ColumnError(name)

    assert not hasattr(Collection(), "pt")
    assert getattr(Collection(), "pt", 3) == 3


@pytest.mark.parametrize(
    ("word", "choices", "suggestion"),
    [
        ("ptt", ["eta", "pt"], " Did you mean 'pt'?"),
        ("pT", ["pt"], " Did you mean 'pt'?"),
        ("met", ["Jet", "MET"], " Did you mean 'MET' or 'Jet'?"),
        ("Muons", ["Electron", "Muon"], " Did you mean 'Muon'?"),
        ("file", ["files", "files"], " Did you mean 'files'?"),
        ("x", ["pt", "eta"], ""),
        ("pt", [], ""),
        ("", ["pt"], ""),
    ],
)
def test_suggestion(word: str, choices: list[str], suggestion: str) -> None:
    assert did_you_mean(word, iter(choices)) == suggestion


def test_at_most_three_suggestions() -> None:
    text = did_you_mean("HLT_IsoMu", [f"HLT_IsoMu{i}" for i in range(20, 30)])
    assert text.count("HLT_") == 3


def test_names_that_differ_in_case_only_are_both_suggested() -> None:
    assert did_you_mean("DYjets", ["DYJets", "dyjets"]) == " Did you mean 'DYJets' or 'dyjets'?"


def test_types_are_shown_without_parameters_on_one_line() -> None:
    kind = '## * var * bool[parameters={"__doc__": "pt", "typename": "float[]"}]'
    assert type_text(kind) == "## * var * bool"
    assert type_text("{\n    x: int64,\n    y: bool\n}") == "{ x: int64, y: bool }"
    assert type_text("a" * 200) == "a" * 79 + "…"


def test_the_place_is_that_of_users_and_not_of_us_or_libraries() -> None:
    with pytest.raises(LazyanaError) as ours:
        RunOptions(0)
    assert place_of(ours.value) is None  # who called us is not where the mistake is
    assert not is_of_users(ours.value)
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads("{")
    assert str(place_of(theirs.value)).startswith(f"{__file__}, line ")
    assert is_of_users(theirs.value)
    assert place_of(ValueError()) is None
    assert not is_of_users(ValueError())


def test_we_are_no_library_where_we_are_installed_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours_too = Path(errors.__file__).parent  # not what is around it: these tests are there too
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(ours_too))
    with pytest.raises(LazyanaError) as ours:
        RunOptions(0)
    assert place_of(ours.value) is None
    assert not is_of_users(ours.value)


def test_what_users_give_to_object_functions_is_theirs() -> None:
    wrong = Cut("wrong", {}, lambda events, params, **rest: get_dilepton(events, 1))
    with pytest.raises(AttributeError, match="'int' object") as theirs:
        wrong.mask(ak.Array([]), OmegaConf.create({}), "2018", "DY", True)
    assert is_of_users(theirs.value)
    line = inspect.getsourcelines(wrong.function)[1]
    assert place_of(theirs.value) == f"{__file__}, line {line}"
