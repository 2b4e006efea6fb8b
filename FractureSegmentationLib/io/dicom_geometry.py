"""Where the slices of a DICOM series lie: their grid, or what is irregular about them.

Every slice is judged by its own position and orientation, never by what a reader makes of them:
SimpleITK gives a tilted series with steps of 1, 4 and 7 mm back as a straight, even volume.

A series counts as regular if, measured from its first slice,
- no axis of a slice leans by more than 0.001 (0.06 degrees) from that of the first slice,
- no slice lies more than 0.1 mm beside the line through the first slice along its normal,
- no slice lies more than 0.1 mm, or a fifth of the step, from its place in even steps.
Headers round positions (often to 0.1 mm or finer), hence these lengths: an error that small is
a seventh of a usual pixel, while a missing slice moves its neighbours by half a step or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom_header import ImageHeader
from FractureSegmentationLib.types import PointLps

_AXIS_TOLERANCE = 1e-3
_PLACE_TOLERANCE_MM = 0.1
_STEP_TOLERANCE = 0.2
_SPACING_TOLERANCE_MM = 1e-4
_SAME_PLACE_MM = 1e-2

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SliceStack:
    """The slices of a series in the order of their positions.

    Attributes:
        slices: sorted along the normal of the first slice.
        geometry: their grid; None if there are problems.
        problems: what is irregular, each as the rest of "The series ...".
        is_resamplable: the problems are tilt or uneven steps alone, so a resampling program can
            make a regular volume of the series.
    """

    slices: tuple[ImageHeader, ...]
    geometry: Geometry | None
    problems: tuple[str, ...] = ()
    is_resamplable: bool = False


def stack_slices(images: Sequence[ImageHeader]) -> SliceStack:
    """Sort the images of a series and judge whether they fill a regular grid.

    Args:
        images: at least one image.

    Raises:
        ValueError: there is no image.
    """
    if not images:
        raise ValueError("no image to stack")
    problems = _plane_problems(images)
    is_placed = all(i.position_lps_mm is not None and _has_proper_axes(i) for i in images)
    if not is_placed or not _is_one_orientation(images):
        return SliceStack(tuple(images), None, problems)
    row_axis, column_axis, normal = _axes(images[0])
    heights = np.array([image.position_lps_mm for image in images]) @ normal
    order = np.argsort(heights, kind="stable")
    slices = tuple(images[index] for index in order)
    problems += _shared_places(heights[order])
    is_resamplable = not problems
    problems += _tilt_problems(slices, normal) + _step_problems(heights[order])
    if problems or len(slices) < 2:
        return SliceStack(slices, None, problems, is_resamplable and bool(problems))
    step_mm = float(heights[order][-1] - heights[order][0]) / (len(slices) - 1)
    return SliceStack(slices, _grid(slices, step_mm, (normal, column_axis, row_axis)))


def _grid(
    slices: Sequence[ImageHeader], step_mm: float, axes: tuple[_Array, _Array, _Array]
) -> Geometry:
    first = slices[0]
    if first.spacing_mm is None or first.position_lps_mm is None:
        raise ValueError("the slices were not checked")
    k_axis, j_axis, i_axis = (_as_point(axis) for axis in axes)
    return Geometry(
        shape=(len(slices), *first.shape),
        spacing_mm=(step_mm, first.spacing_mm[0], first.spacing_mm[1]),
        origin_lps_mm=_as_point(np.array(first.position_lps_mm)),
        direction=(k_axis, j_axis, i_axis),
    )


def _has_proper_axes(image: ImageHeader) -> bool:
    """Whether the two axes of an image are there, of unit length and at a right angle."""
    if image.axes is None:
        return False
    rows = np.array(image.axes).reshape(2, 3)
    return bool(np.allclose(rows @ rows.T, np.eye(2), atol=_AXIS_TOLERANCE))


def _is_one_orientation(images: Sequence[ImageHeader]) -> bool:
    axes = np.array([image.axes for image in images if _has_proper_axes(image)])
    return len(axes) == 0 or bool(np.abs(axes - axes[0]).max() <= _AXIS_TOLERANCE)


def _axes(image: ImageHeader) -> tuple[_Array, _Array, _Array]:
    """Unit vectors of the i and j axes and their normal, exactly at right angles."""
    i_axis, j_axis = np.array(image.axes).reshape(2, 3)
    i_axis = i_axis / np.linalg.norm(i_axis)
    normal = np.cross(i_axis, j_axis)
    normal /= np.linalg.norm(normal)
    return i_axis, np.cross(normal, i_axis), normal


def _plane_problems(images: Sequence[ImageHeader]) -> tuple[str, ...]:
    """What is wrong with the planes themselves: absent, or not all alike."""
    problems = []
    lost = sum(
        image.position_lps_mm is None or image.spacing_mm is None or not _has_proper_axes(image)
        for image in images
    )
    if lost:
        problems.append(
            f"holds {lost} of {len(images)} images without a usable position, orientation or "
            "pixel spacing"
        )
    if not _is_one_orientation(images):
        problems.append("mixes images of different orientations")
    spacings = np.array([image.spacing_mm for image in images if image.spacing_mm is not None])
    if len(spacings) and np.abs(spacings - spacings[0]).max() > _SPACING_TOLERANCE_MM:
        problems.append("mixes images of different pixel spacings")
    sizes = sorted({image.shape for image in images})
    if len(sizes) > 1:
        problems.append(
            "mixes images of different sizes ("
            + ", ".join(f"{rows} x {columns}" for rows, columns in sizes)
            + ")"
        )
    return tuple(problems)


def _tilt_problems(slices: Sequence[ImageHeader], normal: _Array) -> tuple[str, ...]:
    """Whether the stack leans, as behind a tilted gantry."""
    offsets = np.array([image.position_lps_mm for image in slices])
    offsets -= offsets[0]
    heights = offsets @ normal
    sideways = np.linalg.norm(offsets - heights[:, None] * normal, axis=1)
    if sideways.max() <= _PLACE_TOLERANCE_MM or heights[-1] < _SAME_PLACE_MM:
        return ()
    degrees = np.degrees(np.arctan2(sideways[-1], heights[-1]))
    worst = int(sideways.argmax())
    return (
        f"is tilted: its slices shift sideways by up to {sideways[worst]:.1f} mm "
        f"(slice {worst + 1} of {len(slices)}), {degrees:.1f} degrees from the straight stack",
    )


def _shared_places(heights: _Array) -> tuple[str, ...]:
    """Whether two slices lie at one place."""
    shared = np.flatnonzero(np.diff(heights) < _SAME_PLACE_MM)
    if not len(shared):
        return ()
    return (
        f"holds {len(shared)} duplicate positions: e.g. slices {shared[0] + 1} and "
        f"{shared[0] + 2} of {len(heights)} lie at the same place",
    )


def _step_problems(heights: _Array) -> tuple[str, ...]:
    """Whether slices at different places follow in even steps."""
    steps = np.diff(heights)
    distinct = steps[steps >= _SAME_PLACE_MM]
    places = np.concatenate([[0.0], np.cumsum(distinct)])
    if len(places) < 3:
        return ()
    mean_mm = places[-1] / len(distinct)
    misplaced = np.abs(places - mean_mm * np.arange(len(places))).max()
    if misplaced <= min(_PLACE_TOLERANCE_MM, _STEP_TOLERANCE * mean_mm):
        return ()
    widest = int(steps.argmax())
    return (
        f"has uneven steps from {distinct.min():.2f} to {steps[widest]:.2f} mm: the "
        f"largest is between slices {widest + 1} and {widest + 2} of {len(heights)}",
    )


def _as_point(values: npt.NDArray[np.floating]) -> PointLps:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
