"""The voxels of fragments in the layers of a segmentation, and the CT and grid they belong to.

Our own segments share one 16-bit layer whose values are their labels. Effects of the Segment
Editor may move segments into layers of their own and give them other values there; `gather` brings
them back into one. The grid is that of the CT, whose transform and subject hierarchy folder the
segmentation shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import slicer

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mrml.nodes import (
    LABELMAP,
    OrientedImage,
    SegmentationNode,
    TransformableNode,
    VolumeNode,
    fragment_ids,
)
from FractureSegmentationLib.mrml.segments import surfaces_kept
from FractureSegmentationLib.mrml.volume import (
    geometry_of_image,
    image_of,
    layer_image,
    serialized,
    start_on,
    volume_of,
    voxels_of,
)
from FractureSegmentationLib.types import Box, MaskArray, Shape
from FractureSegmentationLib.voxels.boxes import union_box

Labels = npt.NDArray[np.uint16]
_MOST_VALUES = 1 << 16
_FIRST_VOXEL: Box = (slice(0, 1), slice(0, 1), slice(0, 1))


def ct_of(node: SegmentationNode) -> VolumeNode | None:
    """The CT that a segmentation was made from; None where it is not in the scene."""
    return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())


def tie_to_ct(node: SegmentationNode, ct: VolumeNode) -> None:
    """Say which CT a segmentation belongs to, and put it where the CT is.

    That is under the same transform and, where the CT has one, into the same folder or study.
    """
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), ct.GetID())
    put_beside(node, ct)


def put_beside(node: TransformableNode, other: TransformableNode) -> None:
    """Put a node under the transform and into the subject hierarchy's folder of another one."""
    node.SetAndObserveTransformNodeID(other.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(other.GetScene())
    item = hierarchy.GetItemByDataNode(other) if hierarchy is not None else 0
    # Without the application nobody fills the hierarchy.
    if item:
        parent = hierarchy.GetItemParent(item)
        own = hierarchy.GetItemByDataNode(node)
        if own:
            hierarchy.SetItemParent(own, parent)
        else:
            hierarchy.CreateItem(parent, node)


def grid_of(node: SegmentationNode) -> Geometry:
    """The grid on which a segmentation is edited: that of its CT.

    Without the CT, or if the segmentation was made on another grid, it is the one that the
    segmentation names, or else that of its first layer.

    Raises:
        InputError: the segmentation says nothing of a grid.
    """
    named = _named_grid(node)
    ct = ct_of(node)
    if ct is not None and ct.GetImageData() is not None:
        of_ct = volume_of(ct).geometry
        # The CT's own numbers are exact; the text of the segmentation may be rounded.
        if named is None or of_ct.is_close_to(named):
            return of_ct
    if named is not None:
        return named
    raise InputError(
        "The segmentation is empty, and nothing says which CT it belongs to.",
        "Choose a segmentation that holds fragments.",
    )


def name_grid(node: SegmentationNode, geometry: Geometry) -> None:
    """Make a grid the reference geometry of a segmentation, for effects and for files."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(name, serialized(geometry))


def read_labels(
    node: SegmentationNode, ids: Mapping[int, str], geometry: Geometry
) -> tuple[Labels, Box]:
    """One label per voxel of a grid. Where segments overlap, the layer changed last has it.

    A brush that may overlap moves its segment into a layer of its own: what was painted last is on
    top.

    Args:
        node: the segmentation.
        ids: segment id by label of the segments to read.
        geometry: the grid; voxels beyond it are left out.

    Returns:
        (K, J, I) labels, 0 where no such segment is, and a box that holds all labels, at least
        one voxel large. Beyond it the array was never touched.
    """
    labels = np.zeros(geometry.shape, np.uint16)
    boxes: list[Box] = []
    for image, members in _layers(node):
        table = np.zeros(_MOST_VALUES + 1, np.uint16)
        for label, segment_id in ids.items():
            if segment_id in members:
                table[members[segment_id]] = label
        if table.any() and not image.IsEmpty():
            boxes += _paste(labels, table, image, geometry)
    return labels, union_box(boxes) if boxes else _FIRST_VOXEL


def mask_of(node: SegmentationNode, segment_id: str, geometry: Geometry) -> MaskArray:
    """(K, J, I) where any one segment is on a grid."""
    labels, _ = read_labels(node, {1: segment_id}, geometry)
    return np.asarray(labels == 1)


def shared_image(
    node: SegmentationNode, ids: Mapping[int, str], geometry: Geometry, box: Box | None = None
) -> OrientedImage | None:
    """The layer that can be changed just by writing labels into it.

    Args:
        node: the segmentation.
        ids: segment id by label of the fragments.
        geometry: the grid.
        box: what the layer has to hold.

    Returns:
        None where the segments do not share one layer of this grid that holds the box, or where
        values in it are no labels.
    """
    segmentation = node.GetSegmentation()
    segments = {label: segmentation.GetSegment(segment_id) for label, segment_id in ids.items()}
    images = [segment.GetRepresentation(LABELMAP) for segment in segments.values()]
    if not images or any(image is not images[0] for image in images) or images[0] is None:
        return None
    image = images[0]
    values = {label: segment.GetLabelValue() for label, segment in segments.items()}
    if any(label != value for label, value in values.items()) or image.IsEmpty():
        return None
    if voxels_of(image).dtype != np.uint16 or len(_members(node, image)) > len(ids):
        return None
    start = start_on(geometry, geometry_of_image(image))
    if start is None or (box is not None and not _holds(start, voxels_of(image).shape, box)):
        return None
    return image


def box_of_layer(image: OrientedImage, geometry: Geometry, box: Box) -> Labels:
    """(K, J, I) the voxels of a layer from `shared_image` within a box of the grid, not copied.

    Raises:
        ValueError: the layer does not hold the box.
    """
    voxels = voxels_of(image)
    start = start_on(geometry, geometry_of_image(image))
    if start is None or not _holds(start, voxels.shape, box):
        raise ValueError("the layer does not hold this part of the grid")
    k, j, i = (slice(a.start - b, a.stop - b) for a, b in zip(box, start, strict=True))
    return cast("Labels", voxels[k, j, i])


def write_box(image: OrientedImage, geometry: Geometry, box: Box, after: Labels) -> None:
    """Put labels into a box of a layer from `shared_image`.

    Raises:
        ValueError: the layer does not hold the box.
    """
    box_of_layer(image, geometry, box)[...] = after
    # The history compares these times to know what it holds already.
    image.GetPointData().GetScalars().Modified()
    image.Modified()


def shared_layer(labels: Labels, geometry: Geometry, boxes: Iterable[Box]) -> OrientedImage:
    """A new layer with labels of a grid, cropped to boxes; one voxel if there are none."""
    kept = list(boxes)
    return layer_image(labels, geometry, union_box(kept) if kept else _FIRST_VOXEL)


def without_values(image: OrientedImage, gone: set[int]) -> OrientedImage:
    """A copy of a layer in which no voxel has one of some values."""
    kept = slicer.vtkOrientedImageData()
    kept.DeepCopy(image)
    voxels = voxels_of(kept)
    voxels[np.isin(voxels, list(gone))] = 0
    return kept


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


def _named_grid(node: SegmentationNode) -> Geometry | None:
    segmentation = node.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    text = segmentation.GetConversionParameter(name)
    grid = slicer.vtkOrientedImageData()
    deserialize = slicer.vtkSegmentationConverter.DeserializeImageGeometry
    try:
        if text and deserialize(text, grid, False) and not grid.IsEmpty():
            return geometry_of_image(grid)
        for segment_id in segmentation.GetSegmentIDs():
            image = segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP)
            if image is not None and not image.IsEmpty():
                return geometry_of_image(image)
    except ValueError as error:
        raise InputError(
            "The axes of the segmentation are not at right angles.",
            "Segment the CT again without a transform that shears it.",
        ) from error
    return None


def _layers(node: SegmentationNode) -> Iterator[tuple[OrientedImage, dict[str, int]]]:
    """Every layer with the value of each of its segments by id, the one changed last at the end."""
    segmentation = node.GetSegmentation()
    seen: list[Any] = []
    for segment_id in segmentation.GetSegmentIDs():
        image = segmentation.GetSegment(segment_id).GetRepresentation(LABELMAP)
        if image is not None and all(image is not one for one in seen):
            seen.append(image)
    for image in sorted(seen, key=lambda one: int(one.GetMTime())):
        yield image, _members(node, image)


def _members(node: SegmentationNode, image: OrientedImage) -> dict[str, int]:
    segmentation = node.GetSegmentation()
    members = {}
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        if segment.GetRepresentation(LABELMAP) is image:
            members[segment_id] = int(segment.GetLabelValue())
    return members


def _paste(labels: Labels, table: Labels, image: OrientedImage, geometry: Geometry) -> list[Box]:
    """Write what a table makes of the values of a layer; what it makes 0 is left alone.

    Returns:
        The box written to; nothing where the layer lies beyond the grid.
    """
    own = geometry_of_image(image)
    start = start_on(geometry, own)
    if start is None:
        image = _resampled(image, geometry)
        start = (0, 0, 0)
    values = cast("npt.NDArray[np.integer]", voxels_of(image))
    begin = [max(0, -n) for n in start]
    sizes = zip(values.shape, geometry.shape, start, strict=True)
    end = [min(size, whole - n) for size, whole, n in sizes]
    if any(b >= e for b, e in zip(begin, end, strict=True)):
        return []
    inner = tuple(slice(b, e) for b, e in zip(begin, end, strict=True))
    k, j, i = (slice(b + n, e + n) for b, e, n in zip(begin, end, start, strict=True))
    part = np.take(table, values[inner], mode="clip")
    np.copyto(labels[k, j, i], part, where=part != 0)
    return [(k, j, i)]


def _resampled(image: OrientedImage, geometry: Geometry) -> OrientedImage:
    """A layer on another grid, each voxel with the nearest value."""
    reference = image_of(np.zeros(geometry.shape, np.uint8), geometry)
    result = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        image, reference, result, False, False
    )
    return result


def _holds(start: tuple[int, int, int], shape: tuple[int, ...] | Shape, box: Box) -> bool:
    return all(
        first <= side.start and side.stop <= first + size
        for first, size, side in zip(start, shape, box, strict=True)
    )


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
