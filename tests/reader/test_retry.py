"""What is tried again, what goes to the next place at once, and what is told of it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyana.errors import FileError, InputError
from lazyana.options import ReadOptions
from lazyana.reader.retry import attempt, is_passing, pause, reason

QUICK = ReadOptions(retries=2, backoff=0.001)
RESET = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
GONE = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
SECRET = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
DAMAGED = FileError("the basket at byte 7 is damaged. Copy it again.")


class Script:
    """An action that does what it is told, one call after the other, and keeps count."""

    def __init__(self, **steps: list[Exception | str]) -> None:
        self.steps = steps
        self.calls: list[str] = []

    def __call__(self, url: str) -> str:
        self.calls.append(url)
        step = self.steps[url].pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def caused(message: str, error: Exception) -> FileError:
    raised = FileError(message)
    raised.__cause__ = error
    return raised


def aiohttp_error(name: str, status: int | None = None) -> Exception:
    """One of aiohttp's, which are told by the name of their library."""
    kind = type(name, (Exception,), {"__module__": "aiohttp.client_exceptions", "status": status})
    error: Exception = kind(f"{name} {status or ''}".strip())
    return error


def test_what_works_is_done_once_and_nothing_is_told() -> None:
    notes: list[str] = []
    action = Script(at_a=["fine"])
    assert attempt(["at_a", "at_b"], action, QUICK, notes.append) == "fine"
    assert (action.calls, notes) == (["at_a"], [])


def test_broken_connection_is_tried_again() -> None:
    notes: list[str] = []
    action = Script(at_a=[RESET, TimeoutError(), "fine"])
    assert attempt(["at_a", "at_b"], action, QUICK, notes.append) == "fine"
    assert action.calls == ["at_a"] * 3
    assert notes == ["at_a: no answer in time; read after 2 retries"]
    attempt(["at_a"], Script(at_a=[RESET, "fine"]), QUICK, notes.append)
    assert notes[1] == "at_a: Connection reset by peer; read after 1 retry"


def test_next_place_after_the_retries() -> None:
    notes: list[str] = []
    action = Script(at_a=[RESET] * 3, at_b=[RESET, "fine"])
    assert attempt(["at_a", "at_b", "at_c"], action, QUICK, notes.append) == "fine"
    assert action.calls == ["at_a", "at_a", "at_a", "at_b", "at_b"]
    assert notes == ["at_a: Connection reset by peer (3 tries); read from at_b instead"]


@pytest.mark.parametrize("error", [GONE, SECRET, DAMAGED], ids=lambda e: type(e).__name__)
def test_next_place_at_once_where_the_file_is_at_fault(error: Exception) -> None:
    notes: list[str] = []
    action = Script(at_a=[error], at_b=["fine"])
    assert attempt(["at_a", "at_b"], action, QUICK, notes.append) == "fine"
    assert action.calls == ["at_a", "at_b"]
    assert notes == [f"at_a: {reason(error)}; read from at_b instead"]


def test_all_places_are_named_when_none_works() -> None:
    notes: list[str] = []
    action = Script(at_a=[GONE], at_b=[RESET] * 3, at_c=[DAMAGED])
    with pytest.raises(FileError) as caught:
        attempt(["at_a", "at_b", "at_c"], action, QUICK, notes.append)
    assert str(caught.value).splitlines() == [
        "at_a cannot be read at any of its 3 places:",
        "  at_a: No such file or directory",
        "  at_b: Connection reset by peer (3 tries)",
        "  at_c: a: the basket at byte 7 is damaged. Copy it again",
    ] or str(caught.value).splitlines()[-1].endswith(
        "the basket at byte 7 is damaged. Copy it again"
    )
    assert caught.value.__cause__ is DAMAGED
    assert notes == []


def test_single_place_keeps_its_own_message() -> None:
    with pytest.raises(FileError) as caught:
        attempt(["at_a"], Script(at_a=[DAMAGED]), QUICK)
    assert caught.value is DAMAGED


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GONE, "There is no file at_a (any more)."),
        (SECRET, "at_a cannot be read: Permission denied."),
        (RESET, "at_a cannot be read: Connection reset by peer (tried 3 times)."),
        (TimeoutError(), "at_a cannot be read: no answer in time (tried 3 times)."),
        (OSError("Invalid session.\nmore"), "at_a cannot be read: Invalid session (tried"),
        (
            OSError("Failed to submit <function> request: [FATAL] Connection error"),
            "at_a cannot be read: Connection error (tried 3 times).",
        ),
        (
            OSError("not open: [ERROR] Server responded with an error: [3011] No such file a\n"),
            "at_a cannot be read: No such file a.",
        ),
    ],
)
def test_errors_of_the_system_say_which_file(error: Exception, message: str) -> None:
    with pytest.raises(FileError) as caught:
        attempt(["at_a"], Script(at_a=[error] * 3), QUICK)
    assert str(caught.value).startswith(message)
    assert caught.value.__cause__ is error


def test_mistakes_in_the_program_are_not_hidden() -> None:
    action = Script(at_a=[InputError("no such branch")], at_b=["fine"])
    with pytest.raises(InputError, match="no such branch"):
        attempt(["at_a", "at_b"], action, QUICK)
    assert action.calls == ["at_a"]


def test_no_retries() -> None:
    action = Script(at_a=[RESET], at_b=["fine"])
    assert attempt(["at_a", "at_b"], action, ReadOptions(retries=0)) == "fine"
    assert action.calls == ["at_a", "at_b"]


PASSING: list[Exception] = [
    RESET,
    OSError("Failed to open file: [FATAL] Connection error"),
    OSError("File did not vector_read properly: [ERROR] Operation expired"),
    OSError("Server responded with an error: [3012] internal"),
    TimeoutError(),
    asyncio.IncompleteReadError(b"", 5),
    aiohttp_error("ServerDisconnectedError"),
    aiohttp_error("ClientPayloadError"),
    aiohttp_error("ClientResponseError", 503),
    aiohttp_error("ClientResponseError", 429),
    caused("at_a cannot be opened as a ROOT file: reset", RESET),
]
LASTING: list[Exception] = [
    GONE,
    SECRET,
    IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)),
    OSError(errno.ELOOP, os.strerror(errno.ELOOP)),
    OSError("Failed to open file: [ERROR] Server responded with an error: [3011] No such file"),
    OSError("Failed to open file: [ERROR] Server responded with an error: [3010] not allowed"),
    OSError("Failed to open file: [FATAL] Auth failed"),
    aiohttp_error("ClientResponseError", 403),
    aiohttp_error("ClientResponseError", 416),
    DAMAGED,
    caused("a is no ROOT file", ValueError("magic")),
    caused("There is no file at_a", GONE),
    ValueError("magic"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_errors_of_the_connection(error: Exception) -> None:
    assert is_passing(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_errors_of_the_file(error: Exception) -> None:
    assert not is_passing(error)


NO_X509 = (
    "the server asks for a certificate (X.509), and none is sent over https: read the file through "
    "root://, or with a token"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (aiohttp_error("ClientPayloadError"), "the connection was cut off"),
        (aiohttp_error("ClientResponseError", 503), "HTTP status 503"),
        (FileNotFoundError("http://host/f.root"), "no such file"),
        (PermissionError("not yours.\nAsk."), "not yours"),
        (OSError(), "OSError"),
        (OSError("submit: [ERROR] Operation expired"), "Operation expired"),
        (OSError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"), NO_X509),
    ],
)
def test_reasons_are_short(error: Exception, said: str) -> None:
    assert reason(error) == said


@pytest.mark.parametrize("status", [403, 404])
def test_refusals_over_http_go_to_the_next_place(status: int) -> None:
    action = Script(at_a=[aiohttp_error("ClientResponseError", status)], at_b=["fine"])
    assert attempt(["at_a", "at_b"], action, QUICK) == "fine"
    assert action.calls == ["at_a", "at_b"]


@given(st.integers(1, 2000), st.floats(1e-3, 100))
def test_pauses_double_up_to_a_minute(failures: int, backoff: float) -> None:
    options = ReadOptions(backoff=backoff)
    expected = min(backoff * 2.0 ** min(failures - 1, 100), 60.0)
    assert 0.75 * expected <= pause(failures, options) <= 1.25 * expected


def test_pauses_differ() -> None:
    assert len({pause(1, QUICK) for _ in range(20)}) > 1


# What a place may do: fail with an error of the connection or of the file, or work.
OUTCOMES: dict[str, Callable[[], Any]] = {
    "reset": lambda: RESET,
    "gone": lambda: GONE,
    "fine": lambda: "fine",
}


@given(
    st.lists(
        st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=3, max_size=3), min_size=1, max_size=4
    )
)
def test_places_in_order_and_no_further_than_needed(scripts: list[list[str]]) -> None:
    options = ReadOptions(retries=2, backoff=1e-6)
    names = [f"place{i}" for i in range(len(scripts))]
    steps = {n: [OUTCOMES[one]() for one in s] for n, s in zip(names, scripts, strict=True)}
    action, notes, expected, works = Script(**steps), list[str](), list[str](), False
    for name, script in zip(names, scripts, strict=True):
        for outcome in script:
            expected.append(name)
            works = outcome == "fine"
            if outcome != "reset":
                break
        if works:
            break
    if works:
        assert attempt(names, action, options, notes.append) == "fine"
        assert len(notes) == (len(expected) > 1)
    else:
        with pytest.raises(FileError):
            attempt(names, action, options, notes.append)
        assert notes == []
    assert action.calls == expected
