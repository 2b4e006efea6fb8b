"""Which fragments of a segmentation a reduction plan moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.planning.pose import Pose

_LONGEST_LIST = 8


def moving_poses(poses: Mapping[str, Pose], known: Iterable[str]) -> dict[str, Pose]:
    """The poses that move something.

    Args:
        poses: a pose per fragment id.
        known: ids of the fragments there are.

    Raises:
        InputError: a fragment is not among them; the message names it.
    """
    ids = list(known)
    strange = [repr(fragment) for fragment in poses if fragment not in set(ids)]
    if strange:
        raise InputError(
            f"The plan moves fragments that the segmentation does not hold: {_listed(strange)}.",
            f"It holds: {_listed(ids)}.",
        )
    return {name: pose for name, pose in poses.items() if not np.array_equal(pose, np.eye(4))}


def _listed(names: list[str]) -> str:
    more = len(names) - _LONGEST_LIST
    return ", ".join(names[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")
