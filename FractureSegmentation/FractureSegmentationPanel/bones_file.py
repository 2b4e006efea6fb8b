"""The user's own bone segmentation becomes the label file that the command line takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone
from FractureSegmentationLib.errors import InputError

_SIDES = ("left", "right")
_MORE_WORDS = {"hip": ("hip", "hipbone", "pelvis", "innominate", "coxae")}
"""What a bone is called besides its slug; others go by the slug itself."""


def bone_of_name(name: str) -> Bone | None:
    """The bone that a segment is named after, e.g. "Left hip bone", "hip_left", "Femur R".

    Returns:
        None if no bone, or more than one, goes by this name.
    """
    words = set(re.findall(r"[a-z]+", name.lower()))
    words |= {"left"} if words & {"l", "lt", "sin", "sinistra"} else set()
    words |= {"right"} if words & {"r", "rt", "dex", "dextra"} else set()
    found = [bone for bone in BONES if _is_named(bone, words)]
    return found[0] if len(found) == 1 else None


def bones_of_segments(segmentation: Any) -> dict[str, Bone]:
    """The bone of each segment that stands for one, by segment id.

    Raises:
        InputError: none does, or two stand for the same.
    """
    inner = segmentation.GetSegmentation()
    found = {}
    for segment_id in inner.GetSegmentIDs():
        bone = bone_of_name(inner.GetSegment(segment_id).GetName())
        if bone is not None:
            found[segment_id] = bone
    if not found:
        raise InputError(
            _("No segment of the bone segmentation is named after a bone."),
            _("Name them like this: {names}.").format(names=_listed(b.name for b in BONES[:5])),
        )
    twice = {bone.name for bone in found.values() if list(found.values()).count(bone) > 1}
    if twice:
        raise InputError(
            _("Several segments are named after the same bone: {names}.").format(
                names=_listed(sorted(twice))
            ),
            _("Keep one segment per bone."),
        )
    return found


def write_bones(segmentation: Any, volume: Any, path: Path) -> None:
    """Write the bones on the grid of a CT, with the catalogue's mask values.

    Args:
        segmentation: vtkMRMLSegmentationNode with one segment per bone.
        volume: the CT.
        path: ends in `.nrrd`.

    Raises:
        InputError: no segment is named after a bone.
    """
    import numpy as np

    from FractureSegmentationLib.io.sitk import write_volume
    from FractureSegmentationLib.mrml.volume import volume_of
    from FractureSegmentationLib.volume import LabelVolume

    bones = bones_of_segments(segmentation)
    ids = list(bones)
    # In their order they get the values 1, 2, 3, ...
    values = np.array([0, *(bones[segment_id].mask_value for segment_id in ids)], np.uint8)
    labelmap = slicer.mrmlScene.CreateNodeByClass("vtkMRMLLabelMapVolumeNode")
    labelmap.UnRegister(None)
    labelmap.SetHideFromEditors(True)
    labelmap = slicer.mrmlScene.AddNode(labelmap)
    try:
        slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(
            segmentation, ids, labelmap, volume
        )
        labels = volume_of(labelmap)
        write_volume(path, LabelVolume(voxels=values[labels.voxels], geometry=labels.geometry))
    finally:
        _remove_with_colors(labelmap)


def _remove_with_colors(labelmap: Any) -> None:
    """Take a label map out of the scene, with the colour table that its export has made for it."""
    scene, display = slicer.mrmlScene, labelmap.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    made = (slicer.vtkMRMLColorTableNode, slicer.vtkMRMLColorTableStorageNode)
    storage = colors.GetStorageNode() if colors is not None else None
    scene.RemoveNode(labelmap)
    for node in (storage, colors):
        # Slicer's own colours belong to no saved scene.
        if isinstance(node, made) and node.GetSaveWithScene():
            scene.RemoveNode(node)


def _is_named(bone: Bone, words: set[str]) -> bool:
    kind = bone.slug.removeprefix("left_").removeprefix("right_")
    if not words & set(_MORE_WORDS.get(kind, (kind,))):
        return False
    sides = words & set(_SIDES)
    return sides == ({bone.side} if bone.side else set())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
