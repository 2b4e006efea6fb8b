"""Fragments small enough to check by hand, on a plain grid and on an oblique one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from FractureSegmentationLib.editing.fragments import Fragments
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import LabelVolume

MakeFragments = Callable[[LabelArray], Fragments]

OBLIQUE_SPACING_MM = (2.0, 0.7, 1.1)


def oblique_geometry(shape: tuple[int, ...]) -> Geometry:
    """Axes turned by 0.5 about x, then by 0.3 about z; every voxel another size along each axis."""
    about_x = np.array([[1, 0, 0], [0, np.cos(0.5), -np.sin(0.5)], [0, np.sin(0.5), np.cos(0.5)]])
    about_z = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    rows = (about_z @ about_x).T[::-1].tolist()
    k, j, i = (tuple(row) for row in rows)
    return Geometry(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=OBLIQUE_SPACING_MM,
        origin_lps_mm=(-31.0, 12.5, 400.0),
        direction=(k, j, i),
    )


@pytest.fixture
def make_fragments() -> MakeFragments:
    """Fragments of 1 mm voxels; voxel (k, j, i) lies at x = i, y = j, z = k."""

    def make(labels: LabelArray) -> Fragments:
        k, j, i = labels.shape
        geometry = Geometry(shape=(k, j, i), spacing_mm=(1.0, 1.0, 1.0))
        return Fragments.of(LabelVolume(voxels=labels, geometry=geometry))

    return make


@pytest.fixture
def make_oblique() -> MakeFragments:
    """Fragments on an oblique grid of anisotropic voxels."""

    def make(labels: LabelArray) -> Fragments:
        return Fragments.of(LabelVolume(voxels=labels, geometry=oblique_geometry(labels.shape)))

    return make
