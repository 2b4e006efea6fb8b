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
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.types import Box, MaskArray
from FractureSegmentationLib.volume import LabelVolume

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData


from typing import TYPE_CHECKING

import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData


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


Points = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

SMOOTHING_PASSES = 30
SMOOTHING_PASS_BAND = 0.02
"""Share of the spatial frequencies that stays: the steps between voxels go, edges do not."""
MIN_VOLUME_KEPT = 0.8
"""A piece that smoothing would shrink below this share of its volume stays as it is."""


def smoothed(contour: vtkPolyData) -> vtkPolyData:
    """The same points and triangles, with the steps between voxels smoothed away."""
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(contour)
    smooth.SetNumberOfIterations(SMOOTHING_PASSES)
    smooth.SetPassBand(SMOOTHING_PASS_BAND)
    smooth.FeatureEdgeSmoothingOff()
    smooth.BoundarySmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    mesh: vtkPolyData = smooth.GetOutput()
    return mesh


def with_chips_kept(smooth: Points, stepped: Points, triangles: Triangles) -> Points:
    """The smooth points, but the stepped ones of pieces that smoothing would take away.

    Of a chip or a hollow of a few voxels it leaves next to nothing, at worst one point, which
    programs that join equal points read as an open surface.

    Args:
        smooth: (N, 3) points after smoothing, mm.
        stepped: (N, 3) the same points before it.
        triangles: (M, 3) indices of points; pieces share no point.
    """
    begin, end = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    size = (len(stepped), len(stepped))
    edges = coo_array((np.ones(len(begin), bool), (begin, end)), shape=size)
    _, piece_of_point = connected_components(edges, directed=False)
    piece_of_triangle = piece_of_point[triangles[:, 0]]
    before, after = (
        np.abs(np.bincount(piece_of_triangle, cone_volumes(points, triangles)))
        for points in (stepped, smooth)
    )
    is_kept = (after < MIN_VOLUME_KEPT * before)[piece_of_point]
    return np.where(is_kept[:, None], stepped, smooth)


def cone_volumes(points: Points, triangles: Triangles) -> Points:
    """(M,) signed volume between the middle of a mesh and each triangle; of use as a sum only."""
    # From the middle of the mesh, the large coordinates of a CT table cost no digits.
    corners = (points - points.mean(axis=0))[triangles]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    volumes: Points = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
    return volumes
