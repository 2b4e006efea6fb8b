"""Binary glTF 2.0: all fragments in one scene, a node, a mesh and a material each.

The standard wants metres, +Y up and the front towards +Z. A patient who stands upright and looks at
the viewer is turned so: Left becomes +X, Superior +Y and Anterior +Z.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.export.surfaces import Model
from FractureSegmentationLib.mesh import Surface

METRES_PER_MM = 0.001
LPS_TO_GLTF = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rows: glTF's x, y and z axis in LPS. A rotation, so nothing is mirrored."""

_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT32 = 5126, 5125
_POINT_BUFFER, _INDEX_BUFFER = 34962, 34963


@dataclass(slots=True)
class _Scene:
    """The document while it grows, and the bytes that it points into."""

    accessors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    meshes: list[dict[str, Any]] = field(default_factory=list)
    materials: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0

    def add_array(self, values: npt.NDArray[Any], target: int, **entries: Any) -> int:
        """Append an array of 4-byte numbers; returns the number of its accessor."""
        content = values.tobytes()
        self.views.append(
            {"buffer": 0, "byteOffset": self.size, "byteLength": len(content), "target": target}
        )
        self.chunks.append(content)
        self.size += len(content)
        self.accessors.append({"bufferView": len(self.views) - 1, **entries})
        return len(self.accessors) - 1

    def document(self) -> dict[str, Any]:
        """The JSON part of the file."""
        return {
            "asset": {
                "version": "2.0",
                "generator": "FractureSegmentation",
                "extras": {"axes": "x = Left, y = Superior, z = Anterior", "unit": "m"},
            },
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self.nodes)))}],
            "nodes": self.nodes,
            "meshes": self.meshes,
            "materials": self.materials,
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": self.size}],
        }


def write_glb(path: Path, models: Sequence[Model]) -> None:
    """Write a binary glTF file.

    Args:
        path: ends in `.glb`.
        models: what the scene holds, at least one.

    Raises:
        OSError: the file cannot be written.
    """
    scene = _Scene()
    for model in models:
        _add(scene, model)
    text = json.dumps(scene.document(), ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + scene.size
    with path.open("wb") as file:
        file.write(struct.pack("<III", _MAGIC, _VERSION, length))
        file.write(struct.pack("<II", len(text), _JSON_CHUNK) + text)
        file.write(struct.pack("<II", scene.size, _BINARY_CHUNK))
        file.writelines(scene.chunks)


def _add(scene: _Scene, model: Model) -> None:
    surface, segment = model.surface, model.segment
    points = (surface.points_lps_mm @ LPS_TO_GLTF.T * METRES_PER_MM).astype("<f4")
    normals = (_point_normals(surface) @ LPS_TO_GLTF.T).astype("<f4")
    kind = {"componentType": _FLOAT, "type": "VEC3", "count": len(points)}
    bounds = {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}
    indices = surface.triangles.astype("<u4").ravel()
    primitive = {
        "attributes": {
            "POSITION": scene.add_array(points, _POINT_BUFFER, **kind, **bounds),
            "NORMAL": scene.add_array(normals, _POINT_BUFFER, **kind),
        },
        "indices": scene.add_array(
            indices, _INDEX_BUFFER, componentType=_UINT32, type="SCALAR", count=len(indices)
        ),
        "material": len(scene.materials),
    }
    scene.materials.append(
        {
            "name": model.stem,
            "pbrMetallicRoughness": {
                "baseColorFactor": [*_linear(segment.color), 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.7,
            },
        }
    )
    scene.meshes.append({"name": model.stem, "primitives": [primitive]})
    scene.nodes.append(
        {
            "name": segment.name,
            "mesh": len(scene.meshes) - 1,
            "extras": {"id": segment.id, "label": segment.label_value},
        }
    )


def _linear(color: Rgb) -> list[float]:
    """Colour factors of glTF are linear in light; those of screens and of 3D Slicer are sRGB."""
    return [
        round(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4, 6)
        for value in color
    ]


def _point_normals(surface: Surface) -> npt.NDArray[np.float64]:
    """(N, 3) outward unit vectors in LPS, from the triangles around each point by their areas."""
    corners = surface.corners_lps_mm
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owners, count = surface.triangles.ravel(), len(surface.points_lps_mm)
    sums = np.stack(
        [np.bincount(owners, np.repeat(doubled[:, axis], 3), count) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    upwards = np.broadcast_to([0.0, 0.0, 1.0], sums.shape)  # any direction, where all cancel
    return np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1.0), upwards)
