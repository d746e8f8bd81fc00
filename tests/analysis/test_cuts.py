"""Cuts: what they are told, what they select, and that equal ones are known as equal."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import cloudpickle
import pytest
from omegaconf import OmegaConf

import lazyana as la
from lazyana.analysis.cutlibrary import get_nObj_min
from lazyana.analysis.cuts import Context, Cut, Masks, cuts_of, from_expression, passthrough
from lazyana.errors import ColumnError, InputError, InputTypeError

MC = Context(OmegaConf.create({"a": 1}), "2018", "DY", True)


def two_muons(events: Any, params: Any, **_: Any) -> Any:
    return ak.num(events.Muon) == params["n"]


def dimuon(events: Any, params: Any, year: str, sample: str, **_: Any) -> Any:
    """The cut of the Z → μμ example, which pads None itself."""
    assert (year, sample) == ("2018", "DY")
    mask = (ak.num(events.Muon) == 2) & (ak.firsts(events.Muon.pt) > params["pt"])
    return ak.where(ak.is_none(mask), False, mask)


# -- what it selects -------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [True, False])
def test_mask_is_that_of_the_function(
    lazy: bool, dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    cut = Cut("dimuon", {"pt": 25}, dimuon)
    events = dy_frame if lazy else dy_events
    found = cut.mask(events, MC.params, "2018", "DY", True)
    found = value(dy_frame, found) if lazy else found
    leading = ak.fill_none(ak.firsts(dy_events.Muon.pt), 0)
    expected = (ak.num(dy_events.Muon) == 2) & (leading > 25)
    assert 0 < ak.sum(expected) < len(expected)
    assert found.tolist() == expected.tolist()


def test_none_does_not_pass(dy_events: ak.Array) -> None:
    cut = Cut("leading", {}, lambda events: ak.firsts(events.Muon.pt) > 25)
    mask = cut.mask_in(dy_events, MC)
    assert not ak.any(ak.is_none(mask))
    assert not ak.any(mask[ak.num(dy_events.Muon) == 0])


def test_objects_are_selected_one_by_one(
    dy_frame: la.Events, dy_events: ak.Array, value: Any
) -> None:
    cut = Cut("hard", {"pt": 40}, lambda events, params: events.Jet.pt > params["pt"], "Jet")
    expected = (dy_events.Jet.pt > 40).tolist()
    assert cut.mask_in(dy_events, MC).tolist() == expected
    assert value(dy_frame, cut.mask_in(dy_frame, MC)).tolist() == expected


def test_function_is_given_what_it_takes(dy_events: ak.Array) -> None:
    seen: list[dict[str, Any]] = []

    def everything(events: Any, params: Any, **given: Any) -> bool:
        seen.append({"params": params, **given})
        return True

    def some(events: Any, isMC: bool, year: str) -> bool:
        seen.append({"isMC": isMC, "year": year})
        return True

    Cut("everything", {"x": 1}, everything).mask_in(dy_events, MC)
    Cut("some", {}, some).mask_in(dy_events, MC)
    assert seen == [
        {
            "params": {"x": 1},
            "processor_params": MC.params,
            "year": "2018",
            "sample": "DY",
            "isMC": True,
        },
        {"isMC": True, "year": "2018"},
    ]


def test_get_mask_is_called_by_keyword_as_in_pocketcoffea(dy_events: ak.Array) -> None:
    given = {"processor_params": MC.params, "year": "2018", "sample": "DY", "isMC": True}
    assert ak.all(passthrough.get_mask(dy_events, **given))


def test_partial_functions_are_functions(dy_events: ak.Array) -> None:
    cut = Cut("two", {}, partial(two_muons, params={"n": 2}))
    assert ak.sum(cut.mask_in(dy_events, MC)) == ak.sum(ak.num(dy_events.Muon) == 2)


def test_function_that_does_not_say_what_it_takes_is_given_all(dy_events: ak.Array) -> None:
    class Odd:
        __signature__ = "none"

        def __call__(self, events: Any, **given: Any) -> bool:
            return sorted(given) == ["isMC", "params", "processor_params", "sample", "year"]

    assert ak.all(Cut("odd", {}, Odd()).mask_in(dy_events, MC))


def test_source_that_is_nowhere_is_none() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def made(events): return True", "<nowhere>", "exec"), namespace)
    record = Cut("made", {}, namespace["made"]).serialize(src_code=True)
    assert record["function"]["src_code"] is None


def test_function_that_asks_for_more_is_refused() -> None:
    with pytest.raises(InputError, match=r"'mine' asks for 'era', .*params, processor_params"):
        Cut("mine", {}, lambda events, params, era: True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", {}, two_muons), "name of a cut is ''"),
        ((3, {}, two_muons), "name of a cut is 3"),
        (("x", {}, "two_muons"), "function of cut 'x' is a str"),
        (("x", [1], two_muons), "parameters of cut 'x' are a list"),
        (("x", {}, two_muons, ""), "collection of cut 'x'"),
    ],
)
def test_what_is_no_cut_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        Cut(*arguments)


@pytest.mark.parametrize("lazy", [True, False])
def test_errors_name_the_cut(lazy: bool, dy_frame: la.Events, dy_events: ak.Array) -> None:
    cut = Cut("good_jets", {}, lambda events: ak.num(events["JetGood"]) > 1)
    with pytest.raises((ColumnError, ak.errors.FieldNotFoundError)) as caught:
        cut.mask_in(dy_frame if lazy else dy_events, MC)
    said = str(caught.value) if lazy else "".join(caught.value.__notes__)
    assert "Cut 'good_jets'" in said


def test_result_that_is_no_mask_is_refused_by_name(dy_frame: la.Events) -> None:
    with pytest.raises(InputTypeError, match=r"Cut 'pts': .*float32, several values an event"):
        Cut("pts", {}, lambda events: events.Jet.pt).mask_in(dy_frame, MC)


# -- that it does not change -----------------------------------------------------------------


def test_parameters_are_its_own(dy_events: ak.Array) -> None:
    def spoil(events: Any, params: Any) -> bool:
        params["list"].append(4)
        params["inner"]["x"] = 9
        return True

    given = {"list": [1], "inner": {"x": 1}}
    cut = Cut("spoil", given, spoil)
    before = cut.id
    given["list"].append(3)
    cut.mask_in(dy_events, MC)
    assert cut.params == {"list": [1], "inner": {"x": 1}}
    assert Cut("spoil", cut.params, spoil).id == before


def test_cuts_do_not_change() -> None:
    with pytest.raises(AttributeError):
        passthrough.name = "other"  # type: ignore[misc]


# -- which are equal -------------------------------------------------------------------------


def test_equal_cuts_are_equal() -> None:
    assert get_nObj_min(2, coll="Jet") == get_nObj_min(2, coll="Jet")
    assert len({get_nObj_min(2), get_nObj_min(2), get_nObj_min(3)}) == 2
    assert Cut("a", {"x": 1, "y": [2]}, two_muons) == Cut("a", {"y": [2], "x": 1}, two_muons)
    assert Cut("a", {"x": {"y": 1}}, two_muons) == Cut(
        "a", OmegaConf.create({"x": {"y": 1}}), two_muons
    )


@pytest.mark.parametrize(
    "other",
    [
        Cut("a", {"n": 3}, two_muons),
        Cut("a", {"n": 2.0}, two_muons),
        Cut("a", {"n": 2}, dimuon),
        Cut("a", {"n": 2}, lambda events, params: ak.num(events.Muon) == params["n"]),
        Cut("a", {"n": 2}, two_muons, "Muon"),
    ],
)
def test_content_is_function_parameters_and_collection(other: Cut) -> None:
    assert other.content_id != Cut("a", {"n": 2}, two_muons).content_id


def test_name_tells_cuts_apart_but_not_their_content() -> None:
    one, two = Cut("a", {"n": 2}, two_muons), Cut("b", {"n": 2}, two_muons)
    assert one != two
    assert one.content_id == two.content_id
    assert one.id.startswith("a__")
    assert one != "a"


def test_lambdas_of_other_code_have_other_content() -> None:
    cuts = [Cut("x", {}, lambda events, least=least: least) for least in (1, 2)]
    assert cuts[0].content_id != cuts[1].content_id


def test_function_that_cannot_be_hashed_is_equal_to_itself_only(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as one, (tmp_path / "y").open("w") as two:
        functions = [lambda events, file=file: file.closed for file in (one, two)]
        cuts = [Cut("x", {}, function) for function in functions]
        assert cuts[0] != cuts[1]
        assert cuts[0] == Cut("x", {}, functions[0])


def test_content_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from __future__ import annotations\n"
        "import awkward as ak\n"
        "from lazyana.analysis.cuts import Cut, from_expression\n"
        "def good(events, params, **_):\n"
        "    return ak.num(events.Muon) == params['n']\n"
        "cuts = [Cut('a', {'n': 2, 'names': {'x', 'y', 'z'}}, good), from_expression('nJet > 2'),\n"
        "        Cut('b', {}, lambda events: events.MET.pt > 20)]\n"
        "print([cut.id for cut in cuts])\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert "b__" in next(iter(seen))


def test_cuts_travel() -> None:
    cut = get_nObj_min(2, 30.0, "Jet")
    assert pickle.loads(pickle.dumps(cut)) == cut
    mine = Cut("mine", {"n": 2}, lambda events, params: events.nJet > params["n"])
    assert cloudpickle.loads(cloudpickle.dumps(mine)).params == mine.params


def test_serialized_cut_is_plain_data() -> None:
    cut = Cut("two", OmegaConf.create({"n": 2, "l": [1, 2]}), two_muons)
    record = cut.serialize(src_code=True)
    assert record["params"] == {"l": [1, 2], "n": 2}
    assert type(record["params"]["l"]) is list
    assert record["function"]["name"] == "two_muons"
    assert record["function"]["src_file"] == __file__
    assert "ak.num(events.Muon)" in record["function"]["src_code"]
    assert record["id"] == cut.id
    assert "src_code" not in cut.serialize()["function"]
    assert str(cut) == "Cut: two, f:two_muons"


# -- from what users write -------------------------------------------------------------------


def test_text_is_an_expression(dy_frame: la.Events, dy_events: ak.Array, value: Any) -> None:
    (cut,) = cuts_of("skim", "nMuon == 2 and isMC and year == '2018'")
    assert cut.name == "nMuon == 2 and isMC and year == '2018'"
    expected = (ak.num(dy_events.Muon) == 2).tolist()
    assert cut.mask_in(dy_events, MC).tolist() == expected
    assert value(dy_frame, cut.mask_in(dy_frame, MC)).tolist() == expected
    other = Context({}, "2017", "DY", True)
    assert not ak.any(cut.mask_in(dy_events, other))


def test_text_may_be_about_objects(dy_events: ak.Array) -> None:
    cut = from_expression("Jet.pt > 40 and MET.pt > 20", name="hard", collection="Jet")
    expected = (dy_events.Jet.pt > 40) & (dy_events.MET.pt > 20)
    assert cut.name == "hard"
    assert cut.mask_in(dy_events, MC).tolist() == expected.tolist()


def test_name_of_an_expression_is_one_a_frame_takes(dy_frame: la.Events) -> None:
    (cut,) = cuts_of("skim", "MET.pt / 2 > 10")
    assert cut.name == "MET.pt ÷ 2 > 10"
    assert dy_frame.filter(**{cut.name: cut.mask_in(dy_frame, MC)}).cuts == (cut.name,)


def test_lists_are_taken_apart() -> None:
    cuts = cuts_of("skim", [passthrough, ["nMuon == 2", (passthrough,)], None])
    assert [cut.name for cut in cuts] == ["passthrough", "nMuon == 2", "passthrough"]
    assert cuts_of("skim", None) == cuts_of("skim", []) == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([3], "preselections holds a int"),
        ([{"a": 1}], "preselections holds a dict"),
        (get_nObj_min, r"holds the function get_nObj_min .*write get_nObj_min\(\.\.\.\)"),
        ([two_muons], r"write Cut\('two_muons', \{\}, two_muons\)"),
    ],
)
def test_what_is_no_cut_is_named(given: Any, message: str) -> None:
    with pytest.raises(InputTypeError, match=message):
        cuts_of("preselections", given)


def test_text_that_is_no_expression_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"^preselections: Write 'and'.\n.*&&.*\n +\^\^"):
        cuts_of("preselections", ["nMuon == 2 && nJet > 1"])


# -- masks that are shared -------------------------------------------------------------------


def counting(events: Any) -> Any:
    counting.calls += 1  # type: ignore[attr-defined]
    return events.MET.pt > 20


def test_cuts_of_equal_content_are_called_once(dy_events: ak.Array) -> None:
    counting.calls = 0  # type: ignore[attr-defined]
    masks = Masks(dy_events, MC)
    one, two = Cut("a", {}, counting), Cut("b", {}, counting)
    assert masks.of(one) is masks.of(two)
    assert masks.all_of([one, two]) is masks.of(one)
    assert counting.calls == 1  # type: ignore[attr-defined]


def test_all_cuts_must_hold(dy_events: ak.Array) -> None:
    masks = Masks(dy_events, MC)
    first, second, third = cuts_of("", ["nMuon == 2", "MET.pt > 20", "nJet > 1"])
    expected = (ak.num(dy_events.Muon) == 2) & (dy_events.MET.pt > 20)
    assert masks.all_of([first, second]).tolist() == expected.tolist()
    both = masks.all_of([first, passthrough, second])
    assert both is masks.all_of([first, second])
    assert (
        masks.all_of([first, second, third]).tolist()
        == (expected & (ak.num(dy_events.Jet) > 1)).tolist()
    )
    assert ak.all(masks.all_of([]))
    assert ak.all(masks.all_of([passthrough, passthrough]))
    listed = masks.each_of([first, passthrough, second, first])
    assert [one is masks.of(cut) for one, cut in zip(listed, (first, second), strict=True)] == [
        True,
        True,
    ]
    assert len(masks.each_of([])) == 1


def test_cuts_on_events_hold_for_their_objects(dy_events: ak.Array) -> None:
    hard = from_expression("Jet.pt > 40", collection="Jet")
    (met,) = cuts_of("", "MET.pt > 20")
    masks = Masks(dy_events, MC)
    expected = ((dy_events.Jet.pt > 40) & (dy_events.MET.pt > 20)).tolist()
    assert masks.all_of([hard, met]).tolist() == expected
    assert masks.all_of([met, hard]).tolist() == expected
