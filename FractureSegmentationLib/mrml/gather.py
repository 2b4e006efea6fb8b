"""Fragments that effects have spread over several layers come back into one."""

from __future__ import annotations

import numpy as np

from FractureSegmentationLib.mrml.grid import voxels_of
from FractureSegmentationLib.mrml.layer import read_labels, shared_layer, without_values
from FractureSegmentationLib.mrml.nodes import OrientedImage, SegmentationNode
from FractureSegmentationLib.mrml.place import grid_of
from FractureSegmentationLib.mrml.surfaces import surfaces_kept
from FractureSegmentationLib.mrml.tags import LABELMAP, fragment_ids
from FractureSegmentationLib.types import Box


def gather(node: SegmentationNode, box: Box | None = None) -> OrientedImage:
    """Put all fragments into one layer whose values are their labels.

    Segments that are no fragments keep their voxels, in layers without fragments. Where fragments
    overlapped, each voxel belongs to one of them afterwards, as `fragments_of` says.

    Args:
        node: the segmentation.
        box: a part of the grid that the layer has to hold too.

    Returns:
        The layer.
    """
    geometry, ids = grid_of(node), fragment_ids(node)
    labels, held = read_labels(node, ids, geometry)
    image = shared_layer(labels, geometry, [held, box] if box else [held])
    segmentation = node.GetSegmentation()
    was_overlapping = int(np.count_nonzero(labels[held])) != _voxels_in_layers(node, ids)
    with surfaces_kept(node, ids.values() if was_overlapping else ()):
        _free_others(node, set(ids.values()))
        for label, segment_id in ids.items():
            segment = segmentation.GetSegment(segment_id)
            segment.SetLabelValue(label)
            segment.AddRepresentation(LABELMAP, image)
        image.Modified()
    return image


def _voxels_in_layers(node: SegmentationNode, ids: dict[int, str]) -> int:
    """How many voxels the fragments have, each on its own."""
    total = 0
    segmentation = node.GetSegmentation()
    for segment_id in ids.values():
        segment = segmentation.GetSegment(segment_id)
        image = segment.GetRepresentation(LABELMAP)
        if image is not None and not image.IsEmpty():
            total += int(np.count_nonzero(voxels_of(image) == segment.GetLabelValue()))
    return total


def _free_others(node: SegmentationNode, fragments: set[str]) -> None:
    """Give segments that share a layer with fragments a copy of it without these."""
    segmentation = node.GetSegmentation()
    all_ids = list(segmentation.GetSegmentIDs())
    layers = {s: segmentation.GetSegment(s).GetRepresentation(LABELMAP) for s in all_ids}
    copies: dict[int, OrientedImage] = {}
    for other in (s for s in all_ids if s not in fragments):
        image = layers[other]
        shared = [s for s in fragments if layers[s] is image and image is not None]
        if shared:
            gone = {segmentation.GetSegment(s).GetLabelValue() for s in shared}
            key = id(image)
            copies[key] = copies.get(key) or without_values(image, gone)
            segmentation.GetSegment(other).AddRepresentation(LABELMAP, copies[key])
