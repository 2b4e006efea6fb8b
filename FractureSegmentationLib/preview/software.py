"""Drawing surfaces with numpy alone, for machines without OpenGL.

Triangles are tested against the pixels of their bounding boxes, all those of one box size at once;
the nearest wins a pixel and is shaded with its interpolated normal. Twice as many pixels are drawn
as are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from FractureSegmentationLib.preview.camera import (
    AMBIENT,
    BACKGROUND,
    LIGHTS,
    Camera,
    Part,
    Vectors,
    vertex_normals,
)
from FractureSegmentationLib.preview.raster import RgbImage, halved

Indices = npt.NDArray[np.int64]

_TESTS_AT_ONCE = 4_000_000
_SHADOW_MM = 4.0
"""How wide the soft shadow around a nearer surface is."""
_MAX_SIGMA_PX = 15.0
_SHADOW_STRENGTH = 0.05
_EMPTY = -1e9


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """All parts as one mesh in picture coordinates.

    Attributes:
        corners: (M, 3, 3) column, row, nearness of the corners of every triangle.
        normals: (M, 3, 3) right, up, towards the viewer, at every corner.
        colors: (M, 3) red, green, blue.
    """

    corners: Vectors
    normals: Vectors
    colors: Vectors


def draw(parts: Sequence[Part], camera: Camera) -> RgbImage:
    """Draw the parts as `camera` sees them.

    Returns:
        (height, width, 3) image.
    """
    fine = replace(
        camera,
        width=2 * camera.width,
        height=2 * camera.height,
        mm_per_pixel=camera.mm_per_pixel / 2.0,
    )
    mesh = _seen_mesh(parts, fine)
    nearness, owner = _fill(mesh.corners, fine)
    image = np.empty((fine.height * fine.width, 3))
    image[:] = np.asarray(BACKGROUND) / 255.0
    pixels = np.flatnonzero(owner >= 0)
    if pixels.size:
        image[pixels] = _shade(mesh, owner[pixels], pixels, fine)
        image[pixels] *= 1.0 - _shadow(nearness, fine).ravel()[pixels, None]
    shown = halved(image.reshape(fine.height, fine.width, 3))
    return np.rint(shown.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def _seen_mesh(parts: Sequence[Part], camera: Camera) -> _Mesh:
    """The triangles that face the viewer."""
    axes = np.array([camera.right, camera.up, camera.viewer])
    corners: list[Vectors] = []
    normals: list[Vectors] = []
    colors: list[Vectors] = []
    for part in parts:
        triangles = part.surface.triangles
        placed = camera.project(part.surface.points_lps_mm)[triangles]
        faces_viewer = _doubled_area(placed) < 0.0  # rows grow downwards
        corners.append(placed[faces_viewer])
        normals.append((vertex_normals(part.surface) @ axes.T)[triangles[faces_viewer]])
        colors.append(np.repeat(np.array([part.color]), len(corners[-1]), axis=0))
    return _Mesh(np.concatenate(corners), np.concatenate(normals), np.concatenate(colors))


def _doubled_area(corners: Vectors) -> Vectors:
    """(M,) twice the area in the picture; negative where counter-clockwise to the viewer."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, n, :2].T for n in range(3))
    area: Vectors = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return area


def _fill(corners: Vectors, camera: Camera) -> tuple[Vectors, Indices]:
    """Nearness (mm) and triangle at every pixel, row by row; -1e9 and -1 where there is none."""
    nearest = np.full(camera.height * camera.width, _EMPTY)
    owner = np.full(nearest.shape, -1, np.int64)
    for triangles, columns, rows in _candidates(corners, camera):
        shares = _barycentric(corners[triangles], columns, rows)
        near = np.einsum("nc,nc->n", shares, corners[triangles, :, 2])
        is_hit = (shares >= -1e-9).all(axis=1)
        pixels, near = (rows * camera.width + columns)[is_hit], near[is_hit]
        np.maximum.at(nearest, pixels, near)
        wins = nearest[pixels] == near
        owner[pixels[wins]] = triangles[is_hit][wins]
    return nearest, owner


def _candidates(corners: Vectors, camera: Camera) -> Iterator[tuple[Indices, Indices, Indices]]:
    """(triangle, column, row) of the pixels in the bounding boxes, some millions at a time."""
    first = np.ceil(corners[..., :2].min(axis=1)).astype(np.int64)
    size = np.floor(corners[..., :2].max(axis=1)).astype(np.int64) - first + 1
    size[(size < 1).any(axis=1)] = 0
    stride = int(size[:, 0].max(initial=0)) + 1
    kind = size[:, 1] * stride + size[:, 0]
    for number in np.flatnonzero(np.bincount(kind)).tolist():
        height, width = divmod(number, stride)
        if height == 0:
            continue
        members = np.flatnonzero(kind == number)
        row, column = (grid.ravel() for grid in np.mgrid[:height, :width])
        step = max(1, _TESTS_AT_ONCE // (width * height))
        for begin in range(0, len(members), step):
            some = members[begin : begin + step]
            columns = (first[some, 0, None] + column).ravel()
            rows = (first[some, 1, None] + row).ravel()
            triangles = np.repeat(some, width * height)
            inside = (columns >= 0) & (columns < camera.width) & (rows >= 0)
            inside &= rows < camera.height
            yield triangles[inside], columns[inside], rows[inside]


def _barycentric(corners: Vectors, columns: Indices, rows: Indices) -> Vectors:
    """(N, 3) share of every corner in a pixel; all are positive inside the triangle."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, n, :2].T for n in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    b = ((columns - ax) * (cy - ay) - (rows - ay) * (cx - ax)) / area
    c = ((bx - ax) * (rows - ay) - (by - ay) * (columns - ax)) / area
    return np.stack([1.0 - b - c, b, c], axis=1)


def _shade(mesh: _Mesh, owner: Indices, pixels: Indices, camera: Camera) -> Vectors:
    """(N, 3) colour of pixels that show the triangles `owner`."""
    rows, columns = np.divmod(pixels, camera.width)
    shares = _barycentric(mesh.corners[owner], columns, rows)
    normals = np.einsum("nc,ncx->nx", shares, mesh.normals[owner])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    light = np.full(len(pixels), AMBIENT)
    for direction, strength in LIGHTS:
        towards = np.asarray(direction) / np.linalg.norm(direction)
        light += strength * (normals @ towards).clip(0.0)
    colors: Vectors = mesh.colors[owner] * light[:, None]
    return colors


def _shadow(nearness: Vectors, camera: Camera) -> Vectors:
    """(H, W) 0 to 0.6: how much nearer surfaces beside a pixel darken it."""
    near = nearness.reshape(camera.height, camera.width)
    is_drawn = near > _EMPTY / 2.0
    sigma = min(_SHADOW_MM / camera.mm_per_pixel / 2.0, _MAX_SIGMA_PX)
    # Nothing is as far away as the farthest surface: outlines cast no shadow on themselves.
    filled = np.where(is_drawn, near, near[is_drawn].min())
    weight = gaussian_filter(is_drawn.astype(np.float64), sigma, truncate=2.0)
    around = gaussian_filter(np.where(is_drawn, filled, 0.0), sigma, truncate=2.0)
    ahead = around / np.maximum(weight, 1e-6) - filled
    shadow: Vectors = (_SHADOW_STRENGTH * ahead).clip(0.0, 0.6)
    return shadow
