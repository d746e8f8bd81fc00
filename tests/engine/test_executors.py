from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from lazyana.engine.cluster import Distributed
from lazyana.engine.executors import NAMES, find_executor
from lazyana.engine.local import Local
from lazyana.errors import ExecutorError

# -- which one ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sync", "threads", "processes"])
def test_executors_of_this_machine(name: str) -> None:
    assert find_executor(name) == Local(name)
    assert find_executor(name, workers=1) == Local(name, 1)


def test_executors_of_dask_distributed() -> None:
    assert find_executor("distributed", workers=3) == Distributed(None, 3)
    assert find_executor("tcp://host:8786") == Distributed("tcp://host:8786")
    report = Path("a/report.html")
    made = find_executor("distributed", performance_report=report)
    assert made == Distributed(None, None, "a/report.html")


def test_nothing_said_means_threads_unless_a_report_is_wanted() -> None:
    assert find_executor() == Local("threads")
    assert find_executor(workers=2) == Local("threads", 2)
    assert find_executor(performance_report="a.html") == Distributed(None, None, "a.html")


@pytest.fixture
def active() -> Iterator[Client]:
    """A client that is active in this process, of a cluster inside it."""
    with Client(processes=False, n_workers=1, dashboard_address=None) as client:
        yield client


def test_nothing_said_means_the_active_client(active: Client) -> None:
    assert find_executor() == Distributed(active)
    assert find_executor(active) == Distributed(active)
    assert find_executor("threads") == Local("threads")
    with pytest.raises(ExecutorError, match="Leave workers out"):
        find_executor(workers=2)


def test_no_client_left_after_it_is_closed() -> None:
    assert find_executor() == Local("threads")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("thread", "There is no executor 'thread'. Did you mean 'threads'?"),
        ("Sync", "Did you mean 'sync'?"),
        ("dask", "There is no executor 'dask'."),
        ("localhost:8786", "the address of a scheduler (tcp://host:8786)"),
        ("", "There is no executor ''."),
        (7, "7 is no executor"),
        (print, "is no executor"),
    ],
)
def test_no_such_executor(name: Any, message: str) -> None:
    with pytest.raises(ExecutorError) as caught:
        find_executor(name)
    assert message in str(caught.value)
    for choice in NAMES:
        assert choice in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"workers": -2, "executor": "distributed"}, "workers must be at least 1, not -2"),
        ({"workers": 2.0}, r"workers must be a whole number, not 2\.0"),
        ({"workers": True}, "workers must be a whole number, not True"),
        ({"workers": "2"}, "workers must be a whole number, not '2'"),
        ({"executor": "sync", "workers": 2}, "use 'threads' for 2 workers"),
        ({"executor": "threads", "performance_report": "a.html"}, "not by 'threads'"),
        ({"executor": "sync", "performance_report": "a.html"}, "not by 'sync'"),
        ({"executor": "distributed", "performance_report": "."}, "is a folder: name the file"),
        ({"executor": "tcp://a:1", "workers": 2}, "workers=2 is for executors made here"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExecutorError, match=message):
        find_executor(**options)


def test_distributed_is_not_imported_unless_it_is_used() -> None:
    program = (
        "import sys\n"
        "from lazyana.engine.executors import find_executor\n"
        "find_executor(), find_executor('processes')\n"
        "assert 'distributed' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


# -- Ctrl-C ---------------------------------------------------------------------------------------


def processes_of(group: int) -> list[str]:
    """Command lines of the processes of a group that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (OSError, ValueError):
            continue
    return found


def wait_for(condition: Callable[[], Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="lists processes as Linux does")
@pytest.mark.parametrize("executor", NAMES)
def test_ctrl_c_stops_all_and_leaves_nothing_that_looks_complete(
    toy_files: dict[str, Any], tmp_path: Path, executor: str
) -> None:
    mc, data = (next(iter(toy_files[name]["files"])) for name in ("DYJetsToLL", "SingleMuon"))
    words = ["demo", "--mc", mc, "--data", data, "--partition-size", "1"]
    words += ["--executor", executor, "--output", "out", "--no-progress"]
    program = "from lazyana.cli.main import main\nif __name__ == '__main__': main()"
    script = tmp_path / "script.py"
    script.write_text(program)
    with (tmp_path / "stderr").open("w") as stderr:
        running = subprocess.Popen(
            [sys.executable, str(script), *words],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    output = tmp_path / "out"
    try:
        began = wait_for(lambda: running.poll() is not None or any(output.rglob("*.parquet")), 120)
        assert began
        assert running.poll() is None, (tmp_path / "stderr").read_text()
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: all processes hear it
        assert running.wait(30) == 130
        assert wait_for(lambda: not processes_of(running.pid), 5), processes_of(running.pid)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    errors = (tmp_path / "stderr").read_text()
    assert errors.rstrip().endswith("Stopped.")
    assert "Traceback" not in errors
    # Parts of the columns, marked as such; no manifest, no result, no plots.
    left = {path.name for path in output.rglob("*") if path.is_file()}
    assert {name for name in left if not name.endswith(".parquet")} == {"_unfinished.json"}
