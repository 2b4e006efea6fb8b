"""The adapter to TotalSegmentator, with a stand-in for the package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.bones.totalsegmentator import bones_by_totalsegmentator
from FractureSegmentationLib.errors import EnvironmentProblemError, NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume


@pytest.fixture
def ct() -> Volume:
    geometry = Geometry(
        shape=(12, 13, 14),
        spacing_mm=(2.0, 1.0, 0.5),
        origin_lps_mm=(10.0, 20.0, -30.0),
        direction=((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
    )
    return Volume(voxels=np.arange(12 * 13 * 14).reshape(geometry.shape), geometry=geometry)


def test_its_masks_become_one_label_volume_and_s1_belongs_to_the_sacrum(ct: Volume) -> None:
    def segment(source: Path, out: Path, structures: list[str], device: str) -> None:
        assert {"sacrum", "hip_left", "femur_right"} <= set(structures)
        assert device == "cpu"
        grid = read_ct(source).volume.geometry
        out.mkdir()
        for structure, voxel in (("vertebrae_S1", (1, 2, 3)), ("hip_left", (4, 5, 6))):
            mask = np.zeros(grid.shape, np.uint8)
            mask[voxel] = 1
            write_volume(out / f"{structure}.nii.gz", LabelVolume(voxels=mask, geometry=grid))

    bones = bones_by_totalsegmentator(ct, "cpu", segment)

    assert {tuple(v): bones.voxels[tuple(v)] for v in np.argwhere(bones.voxels)} == {
        (1, 2, 3): 1,
        (4, 5, 6): 2,
    }
    assert bones.geometry.is_close_to(ct.geometry)


def test_finding_nothing_is_told(ct: Volume) -> None:
    with pytest.raises(NoBoneError, match="none of the bones"):
        bones_by_totalsegmentator(ct, "cpu", lambda *_: None)


def test_its_failure_becomes_one_sentence(ct: Volume) -> None:
    def segment(*_: object) -> None:
        raise RuntimeError("patient JOHN DOE")

    with pytest.raises(EnvironmentProblemError) as caught:
        bones_by_totalsegmentator(ct, "cpu", segment)
    assert "JOHN" not in str(caught.value)


def test_without_the_package_the_remedy_names_it(
    ct: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EnvironmentProblemError, match="pip install TotalSegmentator"):
        bones_by_totalsegmentator(ct, "auto")


def test_the_ct_it_reads_lies_in_a_folder_of_the_user_alone_and_is_gone_afterwards(
    ct: Volume,
) -> None:
    seen: list[Path] = []

    def segment(source: Path, *_: object) -> None:
        seen.append(source.parent)
        if os.name == "posix":
            assert source.parent.stat().st_mode & 0o777 == 0o700

    with pytest.raises(NoBoneError):
        bones_by_totalsegmentator(ct, "cpu", segment)

    assert not seen[0].exists()


def test_a_folder_that_a_killed_run_left_is_cleared_at_the_next_start(
    ct: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, sys, tempfile\n"
            "from FractureSegmentationLib.io.temporary import scratch_folder\n"
            "tempfile.tempdir = sys.argv[1]\n"
            "with scratch_folder() as folder:\n"
            "    (folder / 'ct.nii.gz').write_bytes(b'patient')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n",
            str(tmp_path),
        ],
        check=False,
    )
    assert dead.returncode != 0
    assert list(tmp_path.glob(".image*"))

    with pytest.raises(NoBoneError):
        bones_by_totalsegmentator(ct, "cpu", lambda *_: None)

    assert not list(tmp_path.iterdir())


def test_lack_of_memory_stays_what_it_is(ct: Volume) -> None:
    def segment(*_: object) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        bones_by_totalsegmentator(ct, "cpu", segment)
