"""Where the slices of a DICOM series lie: their grid, or what is irregular about them.

Every slice is judged by its own position and orientation, never by what a reader makes of them:
SimpleITK gives a tilted series with steps of 1, 4 and 7 mm back as a straight, even volume.

A series counts as regular if, measured from its first slice,
- no axis of a slice turns by more than 0.001 (0.06 degrees) from that of the first slice,
- no slice lies more than 0.1 mm beside the line through the first slice along its normal,
- no slice lies more than 0.1 mm, or a fifth of the step, from its place in even steps.
Headers round positions (often to 0.1 mm or finer), hence these lengths: an error that small is
a seventh of a usual pixel, while a missing slice moves its neighbours by half a step or more.

A stack that is only sheared by a gantry tilt, or whose steps are uneven but never more than
3 mm, is irregular: it gets a straight grid of even steps, on which `volume.py` interpolates it.
The rest is a problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.dicom.headers import ImageHeader
from FractureSegmentationLib.types import PointLps

SAME_POSITION_MM = 1e-2
WIDEST_FILLED_MM = 3.0
"""Uneven steps are interpolated up to this; what lies between slices further apart is unknown."""

_PLACE_TOLERANCE_MM = 0.1
_STEP_TOLERANCE = 0.2
_ROUNDING_MM = 1e-3
_STEEPEST_GANTRY_DEGREES = 45.0  # real ones stop at 30
_WIDEST_STEP_MM = 25.0

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SlicePositions:
    """Where slices lie, relative to the first of them.

    Attributes:
        slice_positions_mm: (K,) along the normal, ascending from 0.
        in_plane_offsets_mm: (K, 2) of the first pixel along the j and i axes.
    """

    slice_positions_mm: _Array
    in_plane_offsets_mm: _Array

    def straight(self) -> SlicePositions:
        """The same without the rounding errors of a stack without gantry tilt."""
        return replace(self, in_plane_offsets_mm=np.zeros_like(self.in_plane_offsets_mm))

    def even(self) -> SlicePositions:
        """The same without the rounding errors of even steps."""
        count = len(self.slice_positions_mm)
        return replace(
            self, slice_positions_mm=np.linspace(0.0, self.slice_positions_mm[-1], count)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Irregularity:
    """One way in which slices fill no regular grid.

    Attributes:
        problem: the rest of "The series ...", should it be refused.
        note: what was done about it, one sentence; "" if nothing can be done.
        is_tilt: the slices are offset in their planes.
    """

    problem: str
    note: str
    is_tilt: bool

    @property
    def is_removable(self) -> bool:
        """Whether resampling makes a volume of the slices that shows what they show."""
        return bool(self.note)


def gantry_tilt(places: SlicePositions) -> Irregularity | None:
    """The gantry tilt, which shears the stack; None if there is none."""
    positions, offsets = places.slice_positions_mm, places.in_plane_offsets_mm
    lengths = np.linalg.norm(offsets, axis=1)
    if lengths.max() <= _PLACE_TOLERANCE_MM or positions[-1] < SAME_POSITION_MM:
        return None
    slope = positions @ offsets / (positions @ positions)
    off_line_mm = np.linalg.norm(offsets - np.outer(positions, slope), axis=1)
    degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    worst = int(lengths.argmax())
    shift = (
        f"its slices are offset in their planes by up to {lengths[worst]:.1f} mm "
        f"(slice {worst + 1} of {len(positions)})"
    )
    if off_line_mm.max() > _PLACE_TOLERANCE_MM:
        return Irregularity(
            problem=f"is sheared unevenly: {shift}, and not along one line", note="", is_tilt=True
        )
    note = (
        f"The slices are sheared by a gantry tilt of {degrees:.1f} degrees; they were shifted in "
        "their planes onto a straight grid."
    )
    return Irregularity(
        problem=f"is tilted: {shift}, {degrees:.1f} degrees from the straight stack",
        note=note if degrees <= _STEEPEST_GANTRY_DEGREES else "",
        is_tilt=True,
    )


def uneven_steps(slice_positions_mm: _Array) -> Irregularity | None:
    """Whether the slices at different places fail to follow in even steps; None if they do."""
    steps = np.diff(slice_positions_mm)
    distinct = steps[steps >= SAME_POSITION_MM]
    if not len(distinct):
        return None
    widest = int((steps >= steps.max() - SAME_POSITION_MM).argmax())  # the first of equals
    between = f"between slices {widest + 1} and {widest + 2} of {len(slice_positions_mm)}"
    places = np.concatenate([[0.0], np.cumsum(distinct)])
    mean_mm = places[-1] / len(distinct)
    misplaced = np.abs(places - mean_mm * np.arange(len(places))).max()
    if misplaced <= min(_PLACE_TOLERANCE_MM, _STEP_TOLERANCE * mean_mm):
        if mean_mm <= _WIDEST_STEP_MM:
            return None
        return Irregularity(
            problem=f"has slices {mean_mm:.0f} mm apart, too far for a volume",
            note="",
            is_tilt=False,
        )
    span = f"from {distinct.min():.2f} to {steps[widest]:.2f} mm"
    note = (
        f"The steps between the slices are uneven, {span} (the largest {between}); slices at even "
        "steps were interpolated."
    )
    return Irregularity(
        problem=f"has uneven steps {span}: the largest is {between}",
        note=note if steps[widest] <= WIDEST_FILLED_MM + _ROUNDING_MM else "",
        is_tilt=False,
    )


_AXIS_TOLERANCE = 1e-3
_SPACING_TOLERANCE_MM = 1e-4
# Of rather uneven steps the finer ones count, but no more than four new slices are made of one.
_FINE_STEPS = 0.1
_MOST_SLICES_OF_ONE = 4.0


@dataclass(frozen=True, slots=True)
class SliceStack:
    """The slices of a series in the order of their positions.

    Attributes:
        slices: sorted along the normal of the first slice.
        places: where they lie; None if that is not known.
        geometry: the regular grid that they fill or can be resampled onto; None if there are
            problems, or fewer than two slices.
        problems: what makes them no volume, each as the rest of "The series ...".
        irregularities: what resampling onto the grid removes.
    """

    slices: tuple[ImageHeader, ...]
    places: SlicePositions | None = None
    geometry: Geometry | None = None
    problems: tuple[str, ...] = ()
    irregularities: tuple[Irregularity, ...] = ()


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
        return SliceStack(tuple(images), problems=problems)
    axes = _axes(images[0])
    positions = np.array([image.position_lps_mm for image in images])
    order = np.argsort(positions @ axes[0], kind="stable")
    slices = tuple(images[index] for index in order)
    places = _places(positions[order], axes)
    problems += _shared_places(places.slice_positions_mm)
    found = (gantry_tilt(places), uneven_steps(places.slice_positions_mm))
    irregularities = tuple(one for one in found if one is not None)
    problems += tuple(one.problem for one in irregularities if not one.is_removable)
    removable = tuple(one for one in irregularities if one.is_removable)
    if problems or len(slices) < 2:
        return SliceStack(slices, places, None, problems, removable)
    if not any(one.is_tilt for one in removable):
        places = places.straight()
    if all(one.is_tilt for one in removable):
        places = places.even()
    return SliceStack(slices, places, _grid(slices[0], places, axes), (), removable)


def _places(positions: _Array, axes: tuple[_Array, _Array, _Array]) -> SlicePositions:
    k_axis, j_axis, i_axis = axes
    offsets = positions - positions[0]
    return SlicePositions(
        slice_positions_mm=offsets @ k_axis,
        in_plane_offsets_mm=np.stack([offsets @ j_axis, offsets @ i_axis], axis=1),
    )


def _grid(
    first: ImageHeader, places: SlicePositions, axes: tuple[_Array, _Array, _Array]
) -> Geometry:
    """The smallest grid of the first slice's pixels and even steps that holds all slices."""
    if first.spacing_mm is None or first.position_lps_mm is None:
        raise ValueError("the slices were not checked")
    count, step_mm = _even_steps(places.slice_positions_mm)
    pixel_mm = np.array(first.spacing_mm)
    # A thousandth of a pixel is rounding, not another row.
    begin = np.floor(places.in_plane_offsets_mm.min(axis=0) / pixel_mm + 1e-3)
    end = np.ceil(places.in_plane_offsets_mm.max(axis=0) / pixel_mm - 1e-3)
    rows, columns = (int(n) for n in np.array(first.shape) + end - begin)
    shift_mm = begin * pixel_mm
    origin_lps_mm = np.array(first.position_lps_mm) + shift_mm @ np.stack(axes[1:])
    k_axis, j_axis, i_axis = (_as_point(axis) for axis in axes)
    return Geometry(
        shape=(count, rows, columns),
        spacing_mm=(step_mm, first.spacing_mm[0], first.spacing_mm[1]),
        origin_lps_mm=_as_point(origin_lps_mm),
        direction=(k_axis, j_axis, i_axis),
    )


def _even_steps(slice_positions_mm: _Array) -> tuple[int, float]:
    """How many slices of which even step, in mm, replace those at `slice_positions_mm`."""
    extent_mm = float(slice_positions_mm[-1])
    if uneven_steps(slice_positions_mm) is None:
        return len(slice_positions_mm), extent_mm / (len(slice_positions_mm) - 1)
    steps = np.sort(np.diff(slice_positions_mm))
    fine_mm = float(steps[int(_FINE_STEPS * len(steps))])
    wanted_mm = max(fine_mm, float(steps.mean()) / _MOST_SLICES_OF_ONE)
    intervals = max(1, round(extent_mm / wanted_mm))
    return intervals + 1, extent_mm / intervals


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
    """Unit vectors of the k, j and i axes, exactly at right angles; k is the slice's normal."""
    i_axis, j_axis = np.array(image.axes).reshape(2, 3)
    i_axis = i_axis / np.linalg.norm(i_axis)
    normal = np.cross(i_axis, j_axis)
    normal /= np.linalg.norm(normal)
    return normal, np.cross(normal, i_axis), i_axis


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


def _shared_places(slice_positions_mm: _Array) -> tuple[str, ...]:
    """Whether two slices lie at one place."""
    shared = np.flatnonzero(np.diff(slice_positions_mm) < SAME_POSITION_MM)
    if not len(shared):
        return ()
    return (
        f"holds {len(shared)} duplicate positions: e.g. slices {shared[0] + 1} and "
        f"{shared[0] + 2} of {len(slice_positions_mm)} lie at the same place",
    )


def _as_point(values: npt.NDArray[np.floating]) -> PointLps:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
