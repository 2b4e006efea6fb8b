"""Wavefront OBJ: all fragments in one file, an object and a material each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from FractureSegmentationLib.export.model import Model

# 3D Slicer looks for SPACE=LPS in the comments at the beginning.
_HEADER = "# FractureSegmentation surfaces\n# SPACE=LPS\n# UNIT=mm\n"


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
        file.write(f"{_HEADER}mtllib {materials.name}\n")
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
    materials.write_text(_HEADER + "".join(map(_material, models)), encoding="utf-8", newline="\n")
    return materials


def _material(model: Model) -> str:
    red, green, blue = (f"{value:.6g}" for value in model.segment.color)
    return f"newmtl {model.stem}\nKa 0 0 0\nKd {red} {green} {blue}\nKs 0 0 0\nNs 1\nd 1\nillum 1\n"
