"""Whole-body label maps: which voxel belongs to which named structure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.bones.totalsegmentator import PELVIC_STRUCTURES
from FractureSegmentationLib.io.sitk import label_volume_from_sitk
from FractureSegmentationLib.voxels.orient import canonical_order

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from FractureSegmentationLib.types import Box, LabelArray, MaskArray, Spacing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """A body as labels, axes k to Superior, j to Posterior, i to Left.

    Attributes:
        labels: (K, J, I) uint8, 0 where nothing is named.
        names: structure of each label value.
        spacing_mm: voxel size along (k, j, i), in mm.
    """

    labels: LabelArray
    names: Mapping[int, str]
    spacing_mm: Spacing

    def values_of(self, *prefixes: str) -> list[int]:
        """Label values of the structures whose name begins with one of `prefixes`."""
        return [value for value, name in self.names.items() if name.startswith(prefixes)]

    def mask_of(self, *prefixes: str) -> MaskArray:
        """(K, J, I) True inside the structures whose name begins with one of `prefixes`."""
        table = np.zeros(256, bool)
        table[self.values_of(*prefixes)] = True
        inside: MaskArray = table[self.labels]
        return inside

    def bones(self) -> npt.NDArray[np.uint8]:
        """(K, J, I) mask values of the bones of our catalogue."""
        table = np.zeros(256, np.uint8)
        for value, name in self.names.items():
            if name in PELVIC_STRUCTURES:
                table[value] = bone_named(PELVIC_STRUCTURES[name]).mask_value
        found: npt.NDArray[np.uint8] = table[self.labels]
        return found

    def around(self, margin_mm: float, prefixes: tuple[str, ...] = ("",)) -> LabelMap:
        """The box of the named structures with a margin of background at its sides.

        Above and below it is cut where the structures end: bodies go on there.
        """
        inside = self.mask_of(*prefixes)
        spans = [
            np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
            for axis in range(3)
        ]
        margins = [0, *(round(margin_mm / s) for s in self.spacing_mm[1:])]
        sides = []
        pads = []
        for span, margin, count in zip(spans, margins, self.labels.shape, strict=True):
            low, high = int(span[0]) - margin, int(span[-1]) + 1 + margin
            sides.append(slice(max(low, 0), min(high, count)))
            pads.append((max(-low, 0), max(high - count, 0)))
        return replace(self, labels=np.pad(self.labels[tuple(sides)], pads))

    def cropped(self, box: Box) -> LabelMap:
        """The part inside `box`."""
        return replace(self, labels=self.labels[box])


def read_label_map(labels_path: Path, names_path: Path) -> LabelMap:
    """Read a label image and the JSON file that names its values, turned to canonical axes.

    Args:
        labels_path: an image that SimpleITK reads, at most 255 structures.
        names_path: JSON object, label value to structure name.

    Returns:
        The label map in canonical axes.
    """
    volume = label_volume_from_sitk(sitk.ReadImage(str(labels_path)))
    volume = canonical_order(volume.geometry).volume(volume)
    names = json.loads(names_path.read_text(encoding="utf-8"))
    return LabelMap(
        labels=np.ascontiguousarray(volume.voxels, np.uint8),
        names={int(value): str(name) for value, name in names.items()},
        spacing_mm=volume.geometry.spacing_mm,
    )
