"""A child is ended with everything it started, also what its launcher left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from FractureSegmentationPanel.run.command import MARK_VARIABLE, child_environment
from FractureSegmentationPanel.run.tree import ask_tree_to_end, kill_tree
from Testing.gui.fake_child import PIDS_VARIABLE, fake_command

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc"
)
PATIENCE_SECONDS = 20.0


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_until(is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


@pytest.fixture
def launched(pids: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []

    def launch(steps: str, count: int, launcher: str = "", mark: str = "a-mark") -> object:
        environment = {**os.environ, **child_environment(os.environ, mark)}
        environment[PIDS_VARIABLE] = str(pids)
        child = subprocess.Popen(
            fake_command(steps, launcher=launcher),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        children.append(child)
        assert wait_until(lambda: len(list(pids.iterdir())) == count)
        return child

    yield launch  # type: ignore[misc]
    for child in children:
        kill_tree(child.pid, "a-mark")
        child.wait()


def all_of(pids: Path) -> list[int]:
    return [int(path.name) for path in pids.iterdir()]


def test_a_launcher_its_child_and_a_helper_are_all_killed(
    launched: Callable[..., subprocess.Popen[bytes]], pids: Path
) -> None:
    child = launched("helper,deaf,hang", count=3, launcher="keeps")

    assert kill_tree(child.pid, "a-mark") == 3

    assert wait_until(lambda: all(is_gone(pid) for pid in all_of(pids)))


def test_what_a_dead_launcher_left_behind_is_found_by_its_mark(
    launched: Callable[..., subprocess.Popen[bytes]], pids: Path
) -> None:
    child = launched("helper,deaf,hang", count=3, launcher="forwards")
    child.kill()
    child.wait()

    assert kill_tree(0, "a-mark") == 2

    assert wait_until(lambda: all(is_gone(pid) for pid in all_of(pids)))
    assert kill_tree(0, "a-mark") == 0


def test_the_processes_of_another_run_live_on(
    launched: Callable[..., subprocess.Popen[bytes]], pids: Path
) -> None:
    child = launched("deaf,hang", count=1)

    assert kill_tree(0, "another-mark") == 0
    assert kill_tree(0, "a-mar") == 0

    assert child.poll() is None


def test_asking_lets_a_child_that_heeds_it_leave_by_itself(
    launched: Callable[..., subprocess.Popen[bytes]], pids: Path
) -> None:
    child = launched("hang", count=2, launcher="keeps")

    ask_tree_to_end(child.pid, "a-mark")

    assert wait_until(lambda: all(is_gone(pid) for pid in all_of(pids)))


def test_this_process_is_never_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it carries the mark itself, or is taken for the child."""
    code = (
        "import os, sys\n"
        "from FractureSegmentationPanel.run.tree import kill_tree\n"
        "print(kill_tree(os.getpid(), 'self'), flush=True)\n"
    )
    environment = {
        **os.environ,
        MARK_VARIABLE: "self",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }

    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )

    assert (told.returncode, told.stdout) == (0, "0\n"), told.stderr
