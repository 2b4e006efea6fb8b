"""The merge trees of a result: more or fewer fragments without another run.

`regions.nrrd` holds the regions that the fragments were put together from, `report.json` the tree
of every bone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import Bone, bone_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances.merge_tree import Merge, MergeTree
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.io.image_file import read_image_file
from FractureSegmentationLib.io.sitk import label_volume_from_sitk
from FractureSegmentationLib.volume import LabelVolume
from FractureSegmentationLib.voxels.boxes import bounding_box

REGIONS_NAME: Final = "regions.nrrd"
TREE_KEY: Final = "merge_tree"
_DIGITS = 5
_REMEDY = "Segment the CT again."


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneTree:
    """The tree of one bone.

    Attributes:
        bone: whose.
        offset: region n of the tree has the value `offset + n` in the volume of regions.
        tree: which regions belong together.
        is_judged: whether a trained model gave its probabilities; else they only tell the order.
    """

    bone: Bone
    offset: int
    tree: MergeTree
    is_judged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeTrees:
    """The regions of a result and what they can be put together to.

    Attributes:
        regions: uint16, on the box of the CT that holds the bones; 0 where there is none.
        bones: one tree per bone.
    """

    regions: LabelVolume
    bones: tuple[BoneTree, ...]

    def of_bone(self, bone: Bone) -> BoneTree | None:
        """The tree of a bone, None where it has none."""
        return next((one for one in self.bones if one.bone == bone), None)


def tree_entry(one: BoneTree) -> dict[str, Any]:
    """What a report says of a tree."""
    return {
        "offset": one.offset,
        "regions": one.tree.count,
        "level": one.tree.level,
        "is_judged": one.is_judged,
        "merges": [[m.a, m.b, round(m.probability, _DIGITS)] for m in one.tree.merges],
    }


def trees_of_report(report: Mapping[str, Any]) -> tuple[BoneTree, ...]:
    """The trees that a report holds; none in one of an older version.

    Raises:
        InputError: an entry is damaged.
    """
    bones = report.get("bones")
    entries = [b for b in bones if isinstance(b, dict)] if isinstance(bones, list) else []
    try:
        return tuple(
            _tree_of(str(entry.get("bone")), entry[TREE_KEY])
            for entry in entries
            if TREE_KEY in entry
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError("The merge tree of the result is damaged.", _REMEDY) from error


def read_merge_trees(folder: Path, report: Mapping[str, Any]) -> MergeTrees | None:
    """The regions and trees of a result folder; None where an older version wrote it.

    Args:
        folder: the result.
        report: its report.

    Raises:
        InputError: they are damaged.
    """
    path = folder / REGIONS_NAME
    trees = trees_of_report(report)
    if not trees or not path.is_file():
        return None
    regions = label_volume_from_sitk(read_image_file(path).image)
    largest = max(one.offset + one.tree.count for one in trees)
    if int(regions.voxels.max(initial=0)) > largest:
        raise InputError("The regions of the result do not belong to its report.", _REMEDY)
    return MergeTrees(regions=regions.with_voxels(regions.voxels.astype(np.uint16)), bones=trees)


def cropped_regions(regions: LabelVolume) -> LabelVolume:
    """The smallest part of a volume that holds all regions."""
    box = bounding_box(regions.voxels > 0)
    return regions if box is None else regions.cropped(box)


def regions_on(regions: LabelVolume, geometry: Geometry) -> LabelVolume:
    """Regions on the whole grid of the CT that they were cropped from.

    Args:
        regions: see `MergeTrees`.
        geometry: the grid, its axes in any order.

    Raises:
        InputError: they do not lie on that grid.
    """
    try:
        return placed_on_grid(regions, geometry)
    except InputError as error:
        raise InputError(
            "The regions of the result do not lie on the grid of its CT.", _REMEDY
        ) from error


def _tree_of(slug: str, entry: Mapping[str, Any]) -> BoneTree:
    offset = int(entry["offset"])
    if offset < 0:
        raise ValueError(f"an offset of {offset}")
    return BoneTree(
        bone=bone_named(slug),
        offset=offset,
        is_judged=bool(entry["is_judged"]),
        tree=MergeTree(
            count=int(entry["regions"]),
            level=float(entry["level"]),
            merges=tuple(
                Merge(a=int(a), b=int(b), probability=float(p)) for a, b, p in entry["merges"]
            ),
        ),
    )
