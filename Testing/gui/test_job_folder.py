"""The working folder of a run: the user's alone, and never left for long."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from FractureSegmentationPanel.run import folder as job_folder
from FractureSegmentationPanel.run.folder import JobFolder, clear_dead_sessions, spellings


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.skipif(os.name == "nt", reason="folders of a user are private on Windows anyway")
def test_only_the_user_may_look_into_it(scratch: Path) -> None:
    folder = JobFolder()

    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.path.parent == scratch


def test_its_names_tell_nothing(scratch: Path) -> None:
    folder = JobFolder()

    names = [folder.ct.name, folder.bones.name, folder.result.name]

    assert names == ["ct.nrrd", "bones.nrrd", "result"]
    assert {path.parent for path in (folder.ct, folder.bones, folder.result)} == {folder.path}


def test_a_path_of_windows_is_known_as_a_traceback_spells_it() -> None:
    path = PureWindowsPath(r"C:\Users\Jane\Temp\.slicer")

    assert set(spellings(path)) == {
        r"C:\Users\Jane\Temp\.slicer",
        "C:/Users/Jane/Temp/.slicer",
        r"C:\\Users\\Jane\\Temp\\.slicer",
    }
    assert spellings(PurePosixPath("/tmp/.slicer")) == ("/tmp/.slicer",)  # noqa: S108


def test_it_goes_with_all_it_holds(scratch: Path) -> None:
    folder = JobFolder()
    folder.result.mkdir()
    (folder.result / "report.json").write_text("{}")

    folder.remove()
    folder.remove()

    assert list(scratch.iterdir()) == []


def test_two_runs_have_folders_of_their_own(scratch: Path) -> None:
    first, second = JobFolder(), JobFolder()

    assert first.path != second.path
    assert first.path.is_dir(), "the second one did not take the first for a dead session's"
    assert second.path.is_dir()


def test_the_folder_of_a_killed_session_goes_at_the_next_start(
    scratch: Path, repository: Path
) -> None:
    code = (
        f"import sys, tempfile; sys.path[:0] = [{str(repository / 'FractureSegmentation')!r}]\n"
        f"tempfile.tempdir = {str(scratch)!r}\n"
        "from FractureSegmentationPanel.run.folder import JobFolder\n"
        "folder = JobFolder()\n"
        "folder.ct.write_bytes(b'voxels')\n"
        "import os; os._exit(9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    subprocess.run([sys.executable, "-c", code], check=False, env=environment, timeout=60)
    (left,) = scratch.iterdir()
    living = JobFolder()
    living.remove()
    assert not left.exists(), "making a folder clears up too"

    subprocess.run([sys.executable, "-c", code], check=False, env=environment, timeout=60)
    mine = JobFolder()
    clear_dead_sessions()

    assert list(scratch.iterdir()) == [mine.path]


def test_without_a_folder_for_temporary_files_nothing_is_raised_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    clear_dead_sessions()

    with pytest.raises(OSError, match="missing"):
        JobFolder()


def test_a_folder_that_something_holds_open_goes_a_little_later(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a process that was killed keeps its files for a moment."""
    folder = JobFolder()
    really, refused = job_folder.shutil.rmtree, []

    def refuse_once(path: Path, **how: bool) -> None:
        refused.append(path)
        if len(refused) > 1:
            really(path, **how)

    monkeypatch.setattr(job_folder.shutil, "rmtree", refuse_once)
    monkeypatch.setattr(job_folder, "_PAUSE_SECONDS", 0.01)

    folder.remove()
    for _ in range(500):
        if not folder.path.exists():
            break
        time.sleep(0.01)

    assert not folder.path.exists()
    assert len(refused) == 2
