from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lazyana.engine.progress import Silent, watch


class Terminal(io.StringIO):
    """Standard error of somebody who looks."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")


def test_silent_counts_whoever_calls() -> None:
    silent = Silent()
    start = threading.Barrier(8)

    def call(_: int) -> None:
        start.wait()
        for _ in range(200):
            silent.done(3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    assert (silent.partitions, silent.events) == (1600, 4800)


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with watch("zmumu", 2, show=None) as watcher:
        watcher.done(10)
        watcher.done(10)
    assert isinstance(watcher, Silent)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_on_a_terminal_if_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with watch("zmumu", 2, show=False) as watcher:
        watcher.done(10)
    assert terminal.getvalue() == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with watch("zmumu", 3, show=None) as watcher:
        for _ in range(3):
            watcher.done(123_456)
    shown = terminal.getvalue()
    assert "zmumu" in shown
    assert "3/3" in shown
    assert "370,368 events" in shown


def test_a_bar_if_wanted_shows_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        with watch("DY [bold]", 4, show=True) as watcher:
            watcher.done(1000)
            watcher.done(500)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    out, err = capsys.readouterr()
    assert out == ""
    assert "DY [bold]" in err
    assert "2/4" in err
    assert "1,500 events" in err


def test_no_partitions(capsys: pytest.CaptureFixture[str]) -> None:
    with watch("empty", 0, show=True):
        pass
    assert "0/0" in capsys.readouterr().err


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_what_is_soon_done_needs_no_bar(patience: float, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with watch("plan", 3, show=None, unit="groups", patience=patience) as watcher:
        for _ in range(3):
            watcher.done(10)
    assert ("3/3" in terminal.getvalue()) == (patience == 0)
    assert bool(terminal.getvalue()) == (patience == 0)


def test_a_bar_is_shown_once_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with watch("record", 2, show=None, unit="groups", patience=0.2) as watcher:
        watcher.done(10)
        assert terminal.getvalue() == ""
        time.sleep(0.2)
        watcher.done(10)
        assert "record" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "groups 20 events" in terminal.getvalue()
