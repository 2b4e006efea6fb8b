"""One label per voxel for programs that read no segments, and the table that names the labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment, one_layer

COLUMNS = ("LabelValue", "Name", "Color_R", "Color_G", "Color_B", "Color_A")
"""Those of 3D Slicer's colour tables; colours are 0 to 255."""


def refuse_overlaps(labels: LayeredLabels) -> None:
    """Refuse a segmentation that one label per voxel cannot hold.

    Raises:
        InputError: two segments share voxels.
    """
    for one, other in labels.overlaps():
        raise InputError(
            f"A label image holds one label per voxel, but {one.name} and {other.name} overlap.",
            "Export seg.nrrd or surfaces, which hold both.",
        )


def in_one_layer(labels: LayeredLabels) -> tuple[LayeredLabels, tuple[str, ...]]:
    """The same segments with one label per voxel.

    Where segments overlap, the voxels stay with the one listed first. A label value that an earlier
    segment has is replaced by the smallest free one.

    Returns:
        The segmentation in one layer, and a warning for every new label value.

    Raises:
        InputError: there are more segments than label values.
    """
    if len(labels.layers) == 1:
        return labels, ()
    segments, warnings = _with_values_of_their_own(labels.segments)
    highest = max(segment.label_value for segment in segments)
    if highest > np.iinfo(np.uint16).max:
        raise InputError("The segmentation has too many segments.", "Export seg.nrrd.")
    voxels = np.zeros(labels.geometry.shape, np.uint8 if highest < 256 else np.uint16)
    for one, segment in zip(labels.segments, segments, strict=True):
        voxels[labels.mask(one) & (voxels == 0)] = segment.label_value
    first = labels.layers[0]
    return one_layer(first.with_voxels(voxels), segments), warnings


def write_label_table(path: Path, segments: Sequence[Segment]) -> None:
    """Write which label means what, as a colour table that 3D Slicer reads.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for segment in sorted(segments, key=lambda one: one.label_value):
            color = [round(255 * value) for value in segment.color]
            table.writerow([segment.label_value, segment.name, *color, 255])


def _with_values_of_their_own(
    segments: Sequence[LayeredSegment],
) -> tuple[list[Segment], tuple[str, ...]]:
    taken: set[int] = set()
    wanted = {one.segment.label_value for one in segments}
    result, warnings = [], []
    for one in segments:
        value = one.segment.label_value
        if value in taken:
            free = iter(range(1, len(segments) + len(wanted) + 1))
            value = next(n for n in free if n not in taken and n not in wanted)
            warnings.append(
                f"{one.segment.name} has label {value} instead of {one.segment.label_value}, "
                "which another segment has."
            )
        taken.add(value)
        result.append(replace(one.segment, label_value=value))
    return result, tuple(warnings)
