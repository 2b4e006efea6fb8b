"""Fragments as surfaces with names and colours, and the formats OBJ and PLY.

OBJ holds all fragments in one file, an object and a material each; PLY holds one, coloured at its
points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.mesh import Surface, fragment_surfaces
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.layers import LayeredLabels
from FractureSegmentationLib.results.naming import file_stems

# 3D Slicer looks for SPACE=LPS in the comments at the beginning.
_OBJ_HEADER = "# FractureSegmentation surfaces\n# SPACE=LPS\n# UNIT=mm\n"
# 3D Slicer looks for SPACE=LPS in the comments.
_PLY_HEADER = """\
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """One fragment as a surface.

    Attributes:
        segment: gives id, name and colour.
        stem: name of its file or object, safe on every file system.
        surface: in LPS, mm, where it is to be.
    """

    segment: Segment
    stem: str
    surface: Surface


def posed_models(
    labels: LayeredLabels, poses: Mapping[str, Pose], progress: Progress | None = None
) -> tuple[Model, ...]:
    """The surfaces of all segments that have voxels, in their order.

    The surface is made where the CT shows the fragment and then moved: a pose changes no shape.

    Args:
        labels: the segmentation.
        poses: (4, 4) in LPS, mm by segment id; a segment without one stays where it is.
        progress: receives progress after every surface.

    Raises:
        RunCancelledError: the caller asked to stop.
    """
    filled = labels.filled()
    stems = file_stems([one.segment for one in filled])
    surfaces: dict[tuple[int, int], Surface] = {}
    for index, layer in enumerate(labels.layers):
        values = [one.segment.label_value for one in filled if one.layer == index]
        made = fragment_surfaces(layer, values, progress) if values else {}
        surfaces.update({(index, value): surface for value, surface in made.items()})
    models = []
    for one in filled:
        surface, pose = surfaces[one.layer, one.segment.label_value], poses.get(one.segment.id)
        models.append(
            Model(
                segment=one.segment,
                stem=stems[one.segment.id],
                surface=surface if pose is None else surface.moved(pose),
            )
        )
    return tuple(models)


def write_obj(path: Path, models: Sequence[Model]) -> Path:
    """Write an OBJ file in LPS, mm, and the material file of the same name beside it.

    Args:
        path: ends in `.obj`.
        models: what it holds.

    Returns:
        The path of the material file.

    Raises:
        OSError: a file cannot be written.
    """
    materials = path.with_suffix(".mtl")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{_OBJ_HEADER}mtllib {materials.name}\n")
        first = 1
        for model in models:
            # Some programs part a file by its objects, others by its groups.
            file.write(f"o {model.stem}\ng {model.stem}\nusemtl {model.stem}\n")
            points, triangles = model.surface.points_lps_mm, model.surface.triangles
            file.write(("v %.5f %.5f %.5f\n" * len(points)) % tuple(points.ravel().tolist()))
            # Points are counted from 1 and through all objects.
            corners = (triangles + first).ravel().tolist()
            file.write(("f %d %d %d\n" * len(triangles)) % tuple(corners))
            first += len(points)
    materials.write_text(
        _OBJ_HEADER + "".join(map(_material, models)), encoding="utf-8", newline="\n"
    )
    return materials


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
    header = _PLY_HEADER.format(points=len(points), triangles=len(triangles))
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        file.write(points.tobytes())
        file.write(triangles.tobytes())


def _material(model: Model) -> str:
    red, green, blue = (f"{value:.6g}" for value in model.segment.color)
    return f"newmtl {model.stem}\nKa 0 0 0\nKd {red} {green} {blue}\nKs 0 0 0\nNs 1\nd 1\nillum 1\n"
