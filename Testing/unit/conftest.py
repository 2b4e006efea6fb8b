"""A result folder small enough to know every corner of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.results.report import write_report
from FractureSegmentationLib.volume import LabelVolume


@pytest.fixture
def oblique() -> Geometry:
    """i = (0.6, 0.8, 0), j = (-0.8, 0.6, 0), k = (0, 0, 1); 2.0 x 0.5 x 0.75 mm along k, j, i."""
    return Geometry(
        shape=(14, 52, 40),
        spacing_mm=(2.0, 0.5, 0.75),
        origin_lps_mm=(10.0, -20.0, 30.0),
        direction=((0.0, 0.0, 1.0), (-0.8, 0.6, 0.0), (0.6, 0.8, 0.0)),
    )


@pytest.fixture
def fragments(oblique: Geometry) -> LabelVolume:
    """51: a ball of 8 mm around voxel (6, 28, 22). 52: the one voxel (1, 2, 3)."""
    k, j, i = np.ogrid[:14, :52, :40]
    distance = np.sqrt(((k - 6) * 2.0) ** 2 + ((j - 28) * 0.5) ** 2 + ((i - 22) * 0.75) ** 2)
    voxels = np.where(distance <= 8.0, 51, 0).astype(np.uint16)
    voxels[1, 2, 3] = 52
    return LabelVolume(voxels=voxels, geometry=oblique)


@pytest.fixture
def result(tmp_path: Path, fragments: LabelVolume) -> Path:
    """What `fracseg segment` leaves, as far as an export reads it."""
    folder = tmp_path / "Jane Doe 1970"
    folder.mkdir()
    write_volume(folder / "fragments.nii.gz", fragments)
    entries = [
        {"label": 51, "index": 1, "confidence": 0.9},
        {"label": 52, "index": 2, "confidence": 0.25},
    ]
    bones = [{"bone": "left_hip", "fragments": entries}]
    write_report(folder, {"numbering": "fracseg", "bones": bones})
    return folder


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Moves left_hip_2 by (3, -4, 5) mm after a quarter turn about the axis x = 0, y = 0."""
    path = tmp_path / "plan.json"
    pose = [[0, -1, 0, 3], [1, 0, 0, -4], [0, 0, 1, 5], [0, 0, 0, 1]]
    entries = {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm"}
    path.write_text(json.dumps({**entries, "poses": {"left_hip_2": pose}}))
    return path
