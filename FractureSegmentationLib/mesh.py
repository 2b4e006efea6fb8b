"""Closed surfaces of label maps, in LPS mm, and their STL files.

Every fragment gets a surface of its own: flying edges around its voxels, then windowed sinc
smoothing, which keeps the volume. One surface for all labels (surface nets) would be shared where
fragments touch, but pinches at corners; what is printed or planned with has to be manifold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mesh_smoothing import (
    Points,
    Triangles,
    cone_volumes,
    smoothed,
    with_chips_kept,
)
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import Box, MaskArray
from FractureSegmentationLib.volume import LabelVolume

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData

STL_HEADER = b"FractureSegmentation surface. SPACE=LPS. UNIT=mm"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes:
        points_lps_mm: (N, 3) x, y, z in LPS, mm.
        triangles: (M, 3) indices of points, counter-clockwise seen from outside.
    """

    points_lps_mm: Points
    triangles: Triangles

    @property
    def corners_lps_mm(self) -> Points:
        """(M, 3, 3) the three points of every triangle, in LPS, mm."""
        return self.points_lps_mm[self.triangles]

    @property
    def area_mm2(self) -> float:
        """Area of all triangles."""
        return float(np.linalg.norm(_doubled_normals(self.corners_lps_mm), axis=1).sum() / 2.0)

    @property
    def volume_mm3(self) -> float:
        """Volume enclosed; positive where the triangles look outwards."""
        return float(cone_volumes(self.points_lps_mm, self.triangles).sum())

    def moved(self, pose: Points) -> Surface:
        """The surface after a rigid motion.

        Args:
            pose: (4, 4) takes (x, y, z, 1) in LPS, mm to its new place; it must not mirror.
        """
        points = self.points_lps_mm @ pose[:3, :3].T + pose[:3, 3]
        return Surface(points_lps_mm=points, triangles=self.triangles)


def fragment_surface(labels: LabelVolume, label: int) -> Surface:
    """The closed, smoothed surface of one label.

    Args:
        labels: fragment or bone labels.
        label: the label to wrap.

    Raises:
        ValueError: no voxel has the label.
    """
    surfaces = fragment_surfaces(labels, [label])
    return surfaces[label]


def fragment_surfaces(
    labels: LabelVolume, wanted: Sequence[int] | None = None, progress: Progress | None = None
) -> dict[int, Surface]:
    """The closed, smoothed surfaces of several labels.

    Args:
        labels: fragment or bone labels.
        wanted: the labels to wrap; None takes all there are.
        progress: told after every surface.

    Returns:
        One surface per label, in the order of `wanted` or ascending.

    Raises:
        ValueError: no voxel has a wanted label.
        RunCancelledError: the caller asked to stop.
    """
    boxes = find_objects(labels.voxels.astype(np.int32, copy=False))
    present = {label: box for label, box in enumerate(boxes, start=1) if box is not None}
    chosen = list(present) if wanted is None else list(wanted)
    absent = [label for label in chosen if label not in present]
    if absent:
        raise ValueError(f"no voxel has the labels {absent}; there are {sorted(present)}")
    surfaces = {}
    for done, label in enumerate(chosen, start=1):
        box = present[label]
        surfaces[label] = _wrap(labels.voxels[box] == label, labels, box)
        if progress is not None:
            progress.report(done / len(chosen))
    return surfaces


def write_stl(path: Path, surface: Surface) -> None:
    """Write a binary STL file; its header says LPS and mm and nothing of the patient.

    Raises:
        OSError: the file cannot be written.
    """
    corners = surface.corners_lps_mm
    normals = _doubled_normals(corners)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets = np.zeros(
        len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]
    )
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    facets["corners"] = corners
    with path.open("wb") as file:
        file.write(STL_HEADER.ljust(80))
        file.write(np.uint32(len(facets)).astype("<u4").tobytes())
        file.write(facets.tobytes())


def write_meshes(
    folder: Path, surfaces: Mapping[int, Surface], names: Mapping[int, str]
) -> tuple[Path, ...]:
    """Write one STL file per surface, called `<name>.stl`.

    Args:
        folder: an existing folder.
        surfaces: surface per label.
        names: file name per label, without its ending.

    Raises:
        OSError: a file cannot be written.
    """
    paths = []
    for label, surface in surfaces.items():
        paths.append(folder / f"{names[label]}.stl")
        write_stl(paths[-1], surface)
    return tuple(paths)


def _wrap(mask: MaskArray, labels: LabelVolume, box: Box) -> Surface:
    """The surface of the mask that fills `box` of `labels`."""
    contour = _contour(_as_image(mask, labels.geometry))
    stepped = _as_surface(contour, labels.geometry, box)
    smooth = _as_surface(smoothed(contour), labels.geometry, box)
    points = with_chips_kept(smooth.points_lps_mm, stepped.points_lps_mm, stepped.triangles)
    return Surface(points_lps_mm=points, triangles=stepped.triangles)


def _as_image(mask: MaskArray, geometry: Geometry) -> vtkImageData:
    """`mask` with a border of one empty voxel, spaced in mm along (i, j, k)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

    padded = np.pad(mask, 1).astype(np.uint8)
    image = vtkImageData()
    image.SetDimensions(padded.shape[::-1])
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(), deep=True))
    return image


def _contour(image: vtkImageData) -> vtkPolyData:
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    mesh: vtkPolyData = edges.GetOutput()
    return mesh


def _as_surface(mesh: vtkPolyData, geometry: Geometry, box: Box) -> Surface:
    """Bring a mesh around `box` from the image's mm along (i, j, k) to LPS."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    steps_mm = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    corners = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray())
    triangles = corners.reshape(-1, 3).astype(np.int64)
    # The image has one voxel of padding before the box.
    first = np.array([side.start for side in box]) - 1.0
    indices = steps_mm[:, ::-1] / np.asarray(geometry.spacing_mm) + first
    if np.linalg.det(np.asarray(geometry.direction)[::-1]) < 0:
        triangles = triangles[:, ::-1]
    points = geometry.to_lps(indices).astype(np.float64)
    return Surface(points_lps_mm=points, triangles=triangles)


def _doubled_normals(corners: Points) -> Points:
    """(M, 3) outward normals, twice as long as the triangles are large."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
