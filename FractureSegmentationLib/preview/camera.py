"""The 3D scene, its camera and its light, shared by both renderers so that their pictures agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.mesh import Surface
from FractureSegmentationLib.types import PointLps

Vectors = npt.NDArray[np.float64]

_FILL = 0.92
"""Share of the picture that the fragments take."""


BACKGROUND = (233, 237, 242)
"""Red, green, blue behind the fragments, 0 to 255."""
LIGHTS = (((-0.35, 0.45, 0.82), 0.72), ((0.75, -0.15, 0.45), 0.22))
"""(direction as right, up, towards the viewer; strength) of every light."""
AMBIENT = 0.16
"""Share of the colour that is seen without light."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A surface in its colour.

    Attributes:
        surface: the mesh.
        color: red, green, blue, each 0 to 1.
    """

    surface: Surface
    color: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A parallel projection.

    Attributes:
        viewer: LPS unit vector from the scene towards the viewer.
        right: LPS unit vector that points right in the picture.
        up: LPS unit vector that points up in the picture.
        centre_lps_mm: the point in the middle of the picture.
        mm_per_pixel: length that one pixel shows.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """

    viewer: PointLps
    right: PointLps
    up: PointLps
    centre_lps_mm: PointLps
    mm_per_pixel: float
    width: int
    height: int

    def project(self, points_lps_mm: Vectors) -> Vectors:
        """(N, 3) column and row in pixels (centre of the first pixel = 0), and nearness in mm."""
        axes = np.array([self.right, self.up, self.viewer])
        x, y, near = ((points_lps_mm - np.asarray(self.centre_lps_mm)) @ axes.T).T
        columns = x / self.mm_per_pixel + (self.width - 1) / 2.0
        rows = -y / self.mm_per_pixel + (self.height - 1) / 2.0
        return np.stack([columns, rows, near], axis=1)


def fitted_camera(viewer: PointLps, points_lps_mm: Vectors, width: int, height: int) -> Camera:
    """The camera that shows all points, Superior up, looking against `viewer`.

    Raises:
        ValueError: the view is along the body's axis, or there are no points.
    """
    towards = np.asarray(viewer, float) / np.linalg.norm(viewer)
    right = np.cross((0.0, 0.0, 1.0), towards)
    if np.linalg.norm(right) < 1e-6:
        raise ValueError("a view along the body's axis has no upright")
    right /= np.linalg.norm(right)
    axes = np.array([right, np.cross(towards, right), towards])
    placed = points_lps_mm @ axes.T
    low, high = placed.min(axis=0), placed.max(axis=0)
    extent = np.maximum(high - low, 1.0)
    return Camera(
        viewer=_as_point(axes[2]),
        right=_as_point(axes[0]),
        up=_as_point(axes[1]),
        centre_lps_mm=_as_point((low + high) / 2.0 @ axes),
        mm_per_pixel=float(max(extent[0] / width, extent[1] / height) / _FILL),
        width=width,
        height=height,
    )


def vertex_normals(surface: Surface) -> Vectors:
    """(N, 3) outward unit normals at the points of a mesh: means over the triangles, by area."""
    corners = surface.corners_lps_mm
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    points = len(surface.points_lps_mm)
    owners = surface.triangles.ravel()
    normals = np.stack(
        [np.bincount(owners, np.repeat(across[:, axis], 3), points) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: Vectors = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    return unit


def points_of(parts: Sequence[Part]) -> Vectors:
    """(N, 3) the points of all parts, in LPS, mm."""
    return np.concatenate([part.surface.points_lps_mm for part in parts])


def _as_point(values: Vectors) -> PointLps:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
