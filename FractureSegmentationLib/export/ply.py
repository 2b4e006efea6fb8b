"""PLY: one surface per file, coloured at its points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from FractureSegmentationLib.export.model import Model

# 3D Slicer looks for SPACE=LPS in the comments.
_HEADER = """\
ply
format binary_little_endian 1.0
comment FractureSegmentation surface
comment SPACE=LPS
comment UNIT=mm
element vertex {points}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face {triangles}
property list uchar int vertex_indices
end_header
"""


def write_ply(path: Path, model: Model) -> None:
    """Write a binary PLY file in LPS, mm.

    Raises:
        OSError: the file cannot be written.
    """
    surface = model.surface
    points = np.zeros(len(surface.points_lps_mm), [("place", "<f4", 3), ("color", "u1", 3)])
    points["place"] = surface.points_lps_mm
    points["color"] = np.rint(255.0 * np.asarray(model.segment.color))
    triangles = np.zeros(len(surface.triangles), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"] = 3
    triangles["corners"] = surface.triangles
    header = _HEADER.format(points=len(points), triangles=len(triangles))
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        file.write(points.tobytes())
        file.write(triangles.tobytes())
