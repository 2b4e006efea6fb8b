"""Places of slices in a stack, and the two ways in which a stack can be irregular."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

SAME_PLACE_MM = 1e-2
WIDEST_FILLED_MM = 3.0
"""Uneven steps are interpolated up to this; what lies between slices further apart is unknown."""

_PLACE_TOLERANCE_MM = 0.1
_STEP_TOLERANCE = 0.2
_ROUNDING_MM = 1e-3
_STEEPEST_GANTRY_DEGREES = 45.0  # real ones stop at 30
_WIDEST_STEP_MM = 25.0

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SlicePlaces:
    """Where slices lie, relative to the first of them.

    Attributes:
        heights_mm: (K,) along the normal, ascending from 0.
        sideways_mm: (K, 2) of the first pixel along the j and i axes.
    """

    heights_mm: _Array
    sideways_mm: _Array

    def straight(self) -> SlicePlaces:
        """The same without the rounding errors of a stack that does not lean."""
        return replace(self, sideways_mm=np.zeros_like(self.sideways_mm))

    def even(self) -> SlicePlaces:
        """The same without the rounding errors of even steps."""
        count = len(self.heights_mm)
        return replace(self, heights_mm=np.linspace(0.0, self.heights_mm[-1], count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Irregularity:
    """One way in which slices fill no regular grid.

    Attributes:
        problem: the rest of "The series ...", should it be refused.
        note: what was done about it, one sentence; "" if nothing can be done.
        is_lean: the slices shift sideways.
    """

    problem: str
    note: str
    is_lean: bool

    @property
    def is_removable(self) -> bool:
        """Whether resampling makes a volume of the slices that shows what they show."""
        return bool(self.note)


def lean_of(places: SlicePlaces) -> Irregularity | None:
    """How the stack leans, as behind a tilted gantry; None if it stands straight."""
    heights, sideways = places.heights_mm, places.sideways_mm
    lengths = np.linalg.norm(sideways, axis=1)
    if lengths.max() <= _PLACE_TOLERANCE_MM or heights[-1] < SAME_PLACE_MM:
        return None
    slope = heights @ sideways / (heights @ heights)
    off_line_mm = np.linalg.norm(sideways - np.outer(heights, slope), axis=1)
    degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    worst = int(lengths.argmax())
    shift = (
        f"its slices shift sideways by up to {lengths[worst]:.1f} mm "
        f"(slice {worst + 1} of {len(heights)})"
    )
    if off_line_mm.max() > _PLACE_TOLERANCE_MM:
        return Irregularity(
            problem=f"is crooked: {shift}, and not along one line", note="", is_lean=True
        )
    note = (
        f"The slices lean by {degrees:.1f} degrees (tilted gantry); they were shifted in their "
        "planes onto a straight grid."
    )
    return Irregularity(
        problem=f"is tilted: {shift}, {degrees:.1f} degrees from the straight stack",
        note=note if degrees <= _STEEPEST_GANTRY_DEGREES else "",
        is_lean=True,
    )


def uneven_steps(heights_mm: _Array) -> Irregularity | None:
    """Whether the slices at different places fail to follow in even steps; None if they do."""
    steps = np.diff(heights_mm)
    distinct = steps[steps >= SAME_PLACE_MM]
    if not len(distinct):
        return None
    widest = int((steps >= steps.max() - SAME_PLACE_MM).argmax())  # the first of equals
    between = f"between slices {widest + 1} and {widest + 2} of {len(heights_mm)}"
    places = np.concatenate([[0.0], np.cumsum(distinct)])
    mean_mm = places[-1] / len(distinct)
    misplaced = np.abs(places - mean_mm * np.arange(len(places))).max()
    if misplaced <= min(_PLACE_TOLERANCE_MM, _STEP_TOLERANCE * mean_mm):
        if mean_mm <= _WIDEST_STEP_MM:
            return None
        return Irregularity(
            problem=f"has slices {mean_mm:.0f} mm apart, too far for a volume",
            note="",
            is_lean=False,
        )
    span = f"from {distinct.min():.2f} to {steps[widest]:.2f} mm"
    note = (
        f"The steps between the slices are uneven, {span} (the largest {between}); slices at even "
        "steps were interpolated."
    )
    return Irregularity(
        problem=f"has uneven steps {span}: the largest is {between}",
        note=note if steps[widest] <= WIDEST_FILLED_MM + _ROUNDING_MM else "",
        is_lean=False,
    )
