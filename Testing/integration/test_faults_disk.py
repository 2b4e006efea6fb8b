"""A disk that fills up, fails or may not be written to: one sentence, and everything as before."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from Testing.integration.fault_shell import Case, FaultyShell, Run, snapshot_of

FULL = "The disk is full"
READING = "call FractureSegmentationLib.pipeline.segment:read_ct"
UNWRITTEN = "could not be written"


def assert_refused(run: Run, *sentences: str) -> None:
    last = run.events[-1]
    assert run.status == 4, run.stdout + run.stderr
    assert last["event"] == "error"
    assert last["code"] == "environment"
    assert any(sentence in last["message"] for sentence in sentences), last
    assert last["remedy"]
    assert "private" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert not run.has_orphans


@pytest.mark.parametrize("place", ["open .stl", "open preview.png", "open report.json"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_file_that_cannot_be_opened_ends_the_run_and_changes_nothing(
    shell: FaultyShell, case: Case, previous: Path, place: str, number: int
) -> None:
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite"), (place, f"errno {number}"))

    assert_refused(run, FULL if number != errno.EIO else "EIO", UNWRITTEN)
    assert snapshot_of(previous.parent) == before
    assert list(shell.scratch.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["fragments.nii.gz", "fragments.seg.nrrd", "bones.nii.gz", "contact.nrrd"]
)
def test_an_image_cut_short_in_silence_is_noticed(
    shell: FaultyShell, case: Case, previous: Path, name: str
) -> None:
    """SimpleITK says nothing when the disk fills up under a file of it."""
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite"), (f"image {name}", "half"))

    assert_refused(run, f"The result file {name} could not be written.")
    assert snapshot_of(previous.parent) == before


@pytest.mark.parametrize("most_bytes", [1, 150, 300, 800, 20_000])
def test_no_file_may_grow_beyond_a_limit(
    shell: FaultyShell, case: Case, previous: Path, most_bytes: int
) -> None:
    """What a quota does, as the system's own limit on the size of a file."""
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite"), (READING, f"limit {most_bytes}"))

    assert_refused(run, FULL, UNWRITTEN)
    assert snapshot_of(previous.parent) == before
    assert list(shell.scratch.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_the_folder_cannot_take_its_name(
    shell: FaultyShell, case: Case, previous: Path, number: int
) -> None:
    before = snapshot_of(previous.parent)

    run = shell.run(
        case.arguments(previous, "--overwrite"), (f"rename-to {previous}", f"errno {number}")
    )

    assert_refused(run, FULL, "may not be written to")
    assert snapshot_of(previous.parent) == before


def mounted(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; a test chooses its size by remounting."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None or not mounted(disk, "size=4m"):
        pytest.skip("only root may mount a small file system, and not in every container")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("spare_kib", [0, 4, 8, 16, 24, 32])
def test_a_disk_that_is_really_full(
    shell: FaultyShell, case: Case, a_result: Path, small_disk: Path, spare_kib: int
) -> None:
    out = small_disk / "out"
    shutil.copytree(a_result, out)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filling").write_bytes(b"x" * (free - 1024 * spare_kib))
    before = snapshot_of(small_disk)

    run = shell.run(case.arguments(out, "--overwrite"))

    assert_refused(run, FULL, UNWRITTEN)
    assert snapshot_of(small_disk) == before


def test_a_disk_that_is_read_only(
    shell: FaultyShell, case: Case, a_result: Path, small_disk: Path
) -> None:
    shutil.copytree(a_result, small_disk / "out")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = snapshot_of(small_disk)

    for out in (small_disk / "out", small_disk / "new", small_disk / "deeper" / "new"):
        run = shell.run(case.arguments(out, "--overwrite"))

        assert_refused(run, "The output folder may not be written to.")
        assert snapshot_of(small_disk) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(shell: FaultyShell, case: Case, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)

    run = shell.run(case.arguments(tmp_path / "locked" / "out"))

    assert_refused(run, "The output folder may not be written to.")
    assert list((tmp_path / "locked").iterdir()) == []
