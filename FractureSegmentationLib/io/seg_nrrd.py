"""Segmentation files of 3D Slicer (`.seg.nrrd`): named and coloured segments in shared layers.

The header's keys are those of Slicer's own storage node. Slicer gives every segment of a layer the
extent of the layer's first one, so all of them carry the extent of the whole grid. Segments that
overlap lie in several layers, which the file holds as several values per voxel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.layers import LayeredLabels, LayeredSegment, one_layer
from FractureSegmentationLib.io.sitk import volume_to_sitk, write_image
from FractureSegmentationLib.volume import LabelVolume

_RESERVED_IN_TAGS = "|"
_RESERVED_IN_TAG_NAMES = "|:"


def write_seg_nrrd(
    path: Path,
    labels: LabelVolume,
    segments: Sequence[Segment],
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a segmentation that opens in 3D Slicer with names, colours and terminology.

    Args:
        path: ends in `.seg.nrrd`.
        labels: (K, J, I) label map; every value but 0 has a segment.
        segments: in the order in which Slicer lists them.
        extra: further header entries; they may not begin with "Segment".

    Raises:
        ValueError: labels and segments do not match, or a text holds a character that the format
            reserves.
        EnvironmentProblemError: the file could not be written.
    """
    write_layered_seg_nrrd(path, one_layer(labels, segments), extra)


def write_layered_seg_nrrd(
    path: Path, labels: LayeredLabels, extra: Mapping[str, str] | None = None
) -> None:
    """Write a segmentation whose segments may overlap; with one layer, as `write_seg_nrrd`.

    Raises:
        ValueError: a voxel belongs to no segment, or a text holds a character that the format
            reserves.
        EnvironmentProblemError: the file could not be written.
        OSError: the same.
    """
    _refuse_mismatch(path, labels)
    header = {**_header(labels.geometry, labels.segments), **_checked_extra(extra or {})}
    kind = np.result_type(*(layer.voxels.dtype for layer in labels.layers))
    layers = [
        volume_to_sitk(layer.with_voxels(layer.voxels.astype(kind, copy=False)))
        for layer in labels.layers
    ]
    image = layers[0] if len(layers) == 1 else sitk.Compose(layers)
    for key, value in header.items():
        image.SetMetaData(key, value)
    write_image(path, image)
    if len(layers) > 1:
        _call_layers_a_list(path)


def merged_layers(image: sitk.Image) -> sitk.Image:
    """One label per voxel from an image whose layers were made by 3D Slicer.

    Args:
        image: one or several values per voxel.

    Raises:
        InputError: two layers share a label value, or overlap.
    """
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image
    layers = [sitk.VectorIndexSelectionCast(image, index) for index in range(count)]
    merged = sitk.GetArrayFromImage(layers[0])
    values = set(np.unique(merged).tolist()) - {0}
    for layer in layers[1:]:
        voxels = sitk.GetArrayFromImage(layer)
        more = set(np.unique(voxels).tolist()) - {0}
        if values & more or np.any((merged != 0) & (voxels != 0)):
            raise InputError(
                "The segments of the label file overlap or share label values.",
                "Export the segmentation as one label map, e.g. in 3D Slicer's Segmentations "
                "module.",
            )
        values |= more
        merged = np.maximum(merged, voxels)
    single = sitk.GetImageFromArray(merged)
    single.CopyInformation(layers[0])
    return single


def _refuse_mismatch(path: Path, labels: LayeredLabels) -> None:
    if not path.name.endswith(".seg.nrrd"):
        raise ValueError("a segmentation file of 3D Slicer ends in .seg.nrrd")
    for index, layer in enumerate(labels.layers):
        named = {one.segment.label_value for one in labels.segments if one.layer == index}
        nameless = set(layer.values()) - named
        if nameless:
            raise ValueError(f"no segment for the labels {sorted(nameless)}")


def _call_layers_a_list(path: Path) -> None:
    """Name the axis of the layers as 3D Slicer does; ITK can only call it a vector."""
    header, end, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header.replace(b"\nkinds: vector ", b"\nkinds: list ", 1) + end + voxels)


def _header(geometry: Geometry, segments: Sequence[LayeredSegment]) -> dict[str, str]:
    k_count, j_count, i_count = geometry.shape
    header = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ConversionParameters": _reference_geometry(geometry),
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for index, one in enumerate(segments):
        segment = one.segment
        entries = {
            "Color": " ".join(f"{c:.6g}" for c in segment.color),
            "ColorAutoGenerated": "0",
            "Extent": f"0 {i_count - 1} 0 {j_count - 1} 0 {k_count - 1}",
            "ID": _one_line(segment.id),
            "LabelValue": str(segment.label_value),
            "Layer": str(one.layer),
            "Name": _one_line(segment.name),
            "NameAutoGenerated": "0",
            "Tags": _tags(segment),
        }
        header.update({f"Segment{index}_{name}": text for name, text in entries.items()})
    return header


def _reference_geometry(geometry: Geometry) -> str:
    """The grid of the CT in Slicer's words; without it Slicer saves only the box of the segments.

    A 4 x 4 matrix from (i, j, k) to RAS by rows, then the extent along i, j and k.
    """
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    to_lps = np.eye(4)
    columns_ijk = (np.asarray(geometry.direction).T * geometry.spacing_mm)[:, ::-1]
    to_lps[:3, :3] = columns_ijk
    to_lps[:3, 3] = geometry.origin_lps_mm
    matrix = [f"{value:.17g}" for value in (lps_to_ras @ to_lps).ravel() + 0.0]
    extent = [str(bound) for count in reversed(geometry.shape) for bound in (0, count - 1)]
    return f"Reference image geometry|{';'.join([*matrix, *extent])};|Grid of the CT.&"


def _tags(segment: Segment) -> str:
    for name, value in segment.tags.items():
        reserved = set(name) & set(_RESERVED_IN_TAG_NAMES) | set(value) & set(_RESERVED_IN_TAGS)
        if reserved or not name:
            raise ValueError(
                f"the tag {name!r} of segment {segment.id} is empty or holds {reserved}"
            )
    return "".join(
        f"{_one_line(name)}:{_one_line(value)}|" for name, value in sorted(segment.tags.items())
    )


def _checked_extra(extra: Mapping[str, str]) -> dict[str, str]:
    for key in extra:
        if key.startswith("Segment") or ":=" in key or not key.strip():
            raise ValueError(f"{key!r} cannot be a further header entry")
    return {_one_line(key): _one_line(value) for key, value in extra.items()}


def _one_line(text: str) -> str:
    """The text, if it keeps the header readable; a line break would begin another entry."""
    if any(ord(c) < 32 for c in text):
        raise ValueError(f"{text!r} holds a control character")
    return text
