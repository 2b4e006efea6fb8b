"""Segments that may overlap, as label maps on one grid, and whether a person has accepted them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.types import MaskArray
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.checksum import checksum

ACCEPTED = "FracSeg.Accepted"
"""Tag with the checksum of the voxels that were accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayeredSegment:
    """A segment and the number of the layer that holds its voxels."""

    segment: Segment
    layer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayeredLabels:
    """A segmentation as 3D Slicer keeps it; without overlaps one layer is enough.

    Attributes:
        layers: label maps on one grid. A label value belongs to one segment of a layer.
        segments: in the order in which they are listed; a segment may be empty.

    Raises:
        ValueError: the grids differ, a layer is missing, or an id or a label value is used twice.
    """

    layers: tuple[LabelVolume, ...]
    segments: tuple[LayeredSegment, ...]

    def __post_init__(self) -> None:
        if not self.layers or any(one.geometry != self.geometry for one in self.layers):
            raise ValueError("a segmentation has one or more layers on one grid")
        if not all(0 <= one.layer < len(self.layers) for one in self.segments):
            raise ValueError(f"a segment lies in none of the {len(self.layers)} layers")
        for what, values in (
            ("ids", [one.segment.id for one in self.segments]),
            ("label values", [(one.layer, one.segment.label_value) for one in self.segments]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"two segments share one of the {what} {values}")

    @property
    def geometry(self) -> Geometry:
        """The grid of all layers."""
        return self.layers[0].geometry

    def on_grid(self, geometry: Geometry) -> LayeredLabels:
        """The same segments on a grid of the same voxels, whatever the order of its axes.

        Raises:
            InputError: the voxels do not coincide, or labels lie outside the grid.
        """
        return replace(self, layers=tuple(placed_on_grid(one, geometry) for one in self.layers))

    def mask(self, one: LayeredSegment) -> MaskArray:
        """(K, J, I) True inside a segment."""
        return np.asarray(self.layers[one.layer].voxels == one.segment.label_value)

    def filled(self) -> tuple[LayeredSegment, ...]:
        """The segments that have voxels."""
        present = [set(layer.values()) for layer in self.layers]
        return tuple(one for one in self.segments if one.segment.label_value in present[one.layer])

    def overlaps(self) -> tuple[tuple[Segment, Segment], ...]:
        """Pairs of segments that share voxels."""
        pairs = []
        for index, one in enumerate(self.segments):
            for layer in range(one.layer + 1, len(self.layers)):
                values = np.unique(self.layers[layer].voxels[self.mask(one)])
                pairs += [
                    (one.segment, other.segment)
                    for other in (*self.segments[:index], *self.segments[index + 1 :])
                    if other.layer == layer and other.segment.label_value in values
                ]
        return tuple(pairs)


def one_layer(labels: LabelVolume, segments: Sequence[Segment]) -> LayeredLabels:
    """A segmentation without overlaps."""
    return LayeredLabels(
        layers=(labels,), segments=tuple(LayeredSegment(segment=one) for one in segments)
    )


def is_reviewed(labels: LayeredLabels) -> bool:
    """Whether every segment that has voxels was accepted with exactly these voxels.

    3D Slicer's own status of a segment does not count: it stays when the segment is edited.
    """
    filled = labels.filled()
    return bool(filled) and len(accepted_segments(labels)) == len(filled)


def accepted_segments(labels: LayeredLabels) -> tuple[LayeredSegment, ...]:
    """The segments that were accepted with exactly the voxels that they have."""
    accepted = []
    for one in labels.filled():
        wanted = one.segment.tags.get(ACCEPTED, "")
        if not wanted:
            continue
        mask = labels.mask(one)
        (box,) = find_objects(mask.view("uint8"))
        if checksum(mask[box], box) == wanted:
            accepted.append(one)
    return tuple(accepted)
