"""The command line, run where things can be made to go wrong; see `fault_server.py`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import LabelVolume, Volume
from Testing.integration.fault_shell import Case, FaultyShell, start_server


@pytest.fixture(scope="module")
def shell(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, repository: Path
) -> Iterator[FaultyShell]:
    if not hasattr(os, "fork"):
        pytest.skip("the runs are forks, which this system does not have")
    faulty = start_server(tmp_path_factory.mktemp("shell"), tiny_models, repository)
    yield faulty
    faulty.server.stdin.close()  # type: ignore[union-attr]
    faulty.server.wait(timeout=30)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A cube of bone, 16 mm wide."""
    folder = tmp_path_factory.mktemp("case") / "in"
    folder.mkdir()
    voxels = np.zeros((24, 24, 24), np.uint8)
    voxels[4:-4, 4:-4, 4:-4] = 2
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    hu = np.where(voxels > 0, 500, 40).astype(np.int16)
    hu[::2] += 3
    write_volume(folder / "ct.nii.gz", Volume(voxels=hu, geometry=geometry))
    write_volume(folder / "bones.nii.gz", LabelVolume(voxels=voxels, geometry=geometry))
    return Case(folder=folder, ct=folder / "ct.nii.gz", bones=folder / "bones.nii.gz")


@pytest.fixture(scope="module")
def a_result(shell: FaultyShell, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("result") / "out"
    run = shell.run(case.arguments(out))
    assert run.status == 0, run.stderr + run.stdout
    return out


@pytest.fixture
def previous(a_result: Path, tmp_path: Path) -> Path:
    """A copy of that result, marked, under the name that the next run wants."""
    out = tmp_path / "out"
    shutil.copytree(a_result, out)
    report = json.loads((out / "report.json").read_text())
    (out / "report.json").write_text(json.dumps(report | {"mark": "the previous one"}))
    return out
