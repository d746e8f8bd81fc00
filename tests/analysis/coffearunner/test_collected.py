from __future__ import annotations

import pytest

from lazyana.analysis.coffearunner.collected import HEADING, Collected, Keeping
from lazyana.errors import FileError, InputError


def test_mistakes_are_kept_until_all_are_known() -> None:
    wrong, after = Collected(), []
    for error in (FileError("no a"), InputError(HEADING + "b\n- c"), FileError("no a")):
        with wrong.each():
            raise error
        after.append(error)
    assert after == wrong.errors
    with pytest.raises(InputError) as told:
        wrong.check()
    assert str(told.value) == HEADING + "no a\n- b\n- c"


def test_one_mistake_is_raised_as_it_is() -> None:
    wrong = Collected()
    wrong.check()
    for _ in range(2):
        with wrong.each():
            raise FileError("no a")
    with pytest.raises(FileError, match=r"^no a$"):
        wrong.check()


def test_what_is_no_mistake_of_the_configuration_is_raised_at_once() -> None:
    with pytest.raises(ZeroDivisionError), Collected().each():
        raise ZeroDivisionError
    with pytest.raises(InputError), Keeping():
        raise InputError("a")
