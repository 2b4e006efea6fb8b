"""Whether a person has accepted every fragment, as a `.seg.nrrd` says it."""

from __future__ import annotations

from scipy.ndimage import find_objects

from FractureSegmentationLib.results.layers import LayeredLabels
from FractureSegmentationLib.voxels.checksum import checksum

ACCEPTED = "FracSeg.Accepted"
"""Tag with the checksum of the voxels that were accepted."""


def is_reviewed(labels: LayeredLabels) -> bool:
    """Whether every segment that has voxels was accepted with exactly these voxels.

    3D Slicer's own status of a segment does not count: it stays when the segment is edited.
    """
    filled = labels.filled()
    wanted = [one.segment.tags.get(ACCEPTED, "") for one in filled]
    if not filled or not all(wanted):
        return False
    for one, accepted in zip(filled, wanted, strict=True):
        mask = labels.mask(one)
        (box,) = find_objects(mask.view("uint8"))
        if checksum(mask[box], box) != accepted:
            return False
    return True
