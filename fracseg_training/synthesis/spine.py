"""Other lowest vertebrae on the same sacrum: a few label maps, many transitions to the spine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.synthesis.deform import rotation, warp_labels

if TYPE_CHECKING:
    from fracseg_training.synthesis.label_map import LabelMap
    from FractureSegmentationLib.types import FloatArray

LUMBAR = ("vertebrae_L5", "vertebrae_L4", "vertebrae_L3", "vertebrae_L2", "vertebrae_L1")
"""From the lowest up."""

_SPINE = ("vertebrae_C", "vertebrae_T", "vertebrae_L")
_PELVIS = ("hip_", "sacrum", "vertebrae_S1")


def with_lowered_spine(body: LabelMap, levels: int, tilt_deg: float = 0.0) -> LabelMap:
    """The lowest vertebrae left out, and the spine above them set down on the sacrum instead.

    What a network takes for the end of the sacrum must not be the look of one person's fifth
    lumbar vertebra.

    Args:
        body: a body whose label map names its lumbar vertebrae.
        levels: how many to leave out, 0 to 4.
        tilt_deg: turn of the spine about the left-right axis through the place of its lowest
            vertebra, positive to the front.

    Returns:
        The changed body; the same one where it lacks a vertebra that would be needed.

    Raises:
        ValueError: `levels` is out of its range.
    """
    if not 0 <= levels < len(LUMBAR):
        raise ValueError(f"levels must be 0 to {len(LUMBAR) - 1}, got {levels}")
    place = _centroid_mm(body, LUMBAR[0])
    lowest = _centroid_mm(body, LUMBAR[levels])
    if place is None or lowest is None:
        return body
    left_out = np.isin(body.labels, body.values_of(*LUMBAR[:levels]))
    spine = body.mask_of(*_SPINE)
    turn = rotation(np.array([0.0, 0.0, tilt_deg]))
    kept = replace(body, labels=np.where(spine & ~left_out, body.labels, 0))
    k, j, i = body.labels.shape
    moved = warp_labels(kept, (k, j, i), body.spacing_mm, turn, lowest - turn @ place)
    is_free = (moved > 0) & ~body.mask_of(*_PELVIS)
    labels = np.where(is_free, moved, np.where(spine, 0, body.labels))
    return replace(body, labels=labels.astype(body.labels.dtype))


def _centroid_mm(body: LabelMap, name: str) -> FloatArray | None:
    """Middle of a structure, in mm from the centre of voxel 0; None where it is not there."""
    where = np.argwhere(np.isin(body.labels, body.values_of(name)))
    if not len(where):
        return None
    middle: FloatArray = where.mean(axis=0) * np.asarray(body.spacing_mm)
    return middle
