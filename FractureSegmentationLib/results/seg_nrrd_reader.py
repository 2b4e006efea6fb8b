"""What the header of a segmentation file of 3D Slicer says of its segments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.io.sitk import label_volume_from_sitk
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment
from FractureSegmentationLib.volume import LabelVolume

KEPT_TAGS = ("DICOM.SegmentAlgorithm", "FracSeg.", "Segmentation.Status", "TerminologyEntry")
"""Beginnings of the tags that are read; any other may hold what an importer knew of the patient."""

_KEY = re.compile(r"Segment(?P<index>[0-9]+)_(?P<name>[A-Za-z]+)")
_REFERENCE = re.compile(r"Reference image geometry\|(?P<numbers>[^|]*)\|")
_NO_COLOR: Rgb = (0.5, 0.5, 0.5)
_MOST_REFERENCE_VOXELS = 1 << 30  # a damaged header must not ask for all memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationFile:
    """What the file holds.

    Attributes:
        labels: on the grid of the CT, where the file tells it.
        warnings: what was left out, one sentence each.
    """

    labels: LayeredLabels
    warnings: tuple[str, ...] = ()


def names_segments(image: sitk.Image) -> bool:
    """Whether the image has the header of a segmentation of 3D Slicer."""
    return bool(_entries(image))


def segmentation_of_image(image: sitk.Image) -> SegmentationFile:
    """The segments of an image that `names_segments`, overlapping ones in layers.

    Args:
        image: one or several values per voxel, as read from the file.

    Raises:
        InputError: the header contradicts itself or the voxels.
    """
    layers = [label_volume_from_sitk(layer) for layer in _split(image)]
    # Before Slicer 4.11 every segment had a layer of its own, filled with 1.
    segments = [
        LayeredSegment(
            segment=_segment(index, fields), layer=_whole_number(fields.get("Layer"), position)
        )
        for position, (index, fields) in enumerate(sorted(_entries(image).items()))
    ]
    layers, lost = _without_strays(_on_reference_grid(image, layers), segments)
    warnings = (f"{lost} voxels belong to no segment and were left out.",) if lost else ()
    try:
        labels = LayeredLabels(layers=tuple(layers), segments=tuple(segments))
    except ValueError as error:
        raise _damaged() from error
    return SegmentationFile(labels=labels, warnings=warnings)


def _entries(image: sitk.Image) -> dict[int, dict[str, str]]:
    """Header entries by segment."""
    found: dict[int, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        match = _KEY.fullmatch(key)
        if match:
            fields = found.setdefault(int(match["index"]), {})
            fields[match["name"]] = _readable(image.GetMetaData(key))
    return {index: fields for index, fields in found.items() if fields.keys() & {"ID", "Name"}}


def _split(image: sitk.Image) -> list[sitk.Image]:
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return [image]
    return [sitk.VectorIndexSelectionCast(image, index) for index in range(count)]


def _segment(index: int, fields: Mapping[str, str]) -> Segment:
    segment_id = fields.get("ID") or f"Segment_{index + 1}"
    try:
        return Segment(
            id=segment_id,
            name=fields.get("Name") or segment_id,
            label_value=_whole_number(fields.get("LabelValue"), 1),
            color=_color(fields.get("Color", "")),
            tags=_tags(fields.get("Tags", "")),
        )
    except ValueError as error:
        raise _damaged() from error


def _whole_number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.strip().isdecimal():
        raise _damaged()
    return int(text)


def _color(text: str) -> Rgb:
    try:
        red, green, blue = (min(max(float(part), 0.0), 1.0) for part in text.split())
    except ValueError:
        return _NO_COLOR
    return (red, green, blue) if np.isfinite([red, green, blue]).all() else _NO_COLOR


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split("|"))
    return {name: value for name, _, value in pairs if name.startswith(KEPT_TAGS)}


def _readable(text: str) -> str:
    """The text without bytes that are no UTF-8 and without line breaks."""
    decoded = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if ord(c) >= ord(" ") else " " for c in decoded).strip()


def _on_reference_grid(image: sitk.Image, layers: Sequence[LabelVolume]) -> list[LabelVolume]:
    """The layers on the grid of the CT: Slicer may save only the box that holds the segments."""
    geometry = _reference_geometry(image)
    if geometry is None:
        return list(layers)
    try:
        return [placed_on_grid(layer, geometry) for layer in layers]
    except InputError:  # drawn on finer voxels, or beyond the CT
        return list(layers)


def _reference_geometry(image: sitk.Image) -> Geometry | None:
    """The grid that the header names; None where it names none, or no usable one.

    A 4 x 4 matrix from (i, j, k) to RAS by rows, then first and last index along i, j and k.
    """
    key = "Segmentation_ConversionParameters"
    match = _REFERENCE.search(image.GetMetaData(key)) if image.HasMetaDataKey(key) else None
    if match is None:
        return None
    try:
        numbers = [float(part) for part in match["numbers"].split(";") if part]
        if not np.isfinite(numbers).all():
            return None
        to_ras = np.array(numbers[:16]).reshape(4, 4)
        first, last = (np.array(numbers[16:22]).reshape(3, 2).T).astype(int)
        to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_ras
        k, j, i = (int(n) for n in (last - first + 1)[::-1])
        if k * j * i > _MOST_REFERENCE_VOXELS:
            return None
        columns_kji = to_lps[:3, 2::-1]
        spacing_mm = np.linalg.norm(columns_kji, axis=0)
        x, y, z = (float(value) for value in (to_lps @ [*first, 1.0])[:3])
        axes = (columns_kji / np.maximum(spacing_mm, np.finfo(float).tiny)).T.tolist()
        return Geometry(
            shape=(k, j, i),
            spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2])),
            origin_lps_mm=(x, y, z),
            direction=(tuple(axes[0]), tuple(axes[1]), tuple(axes[2])),
        )
    except (ValueError, OverflowError):
        return None


def _without_strays(
    layers: Sequence[LabelVolume], segments: Sequence[LayeredSegment]
) -> tuple[list[LabelVolume], int]:
    """The layers without label values that no segment has, and how many voxels had one."""
    kept, lost = [], 0
    for index, layer in enumerate(layers):
        named = [one.segment.label_value for one in segments if one.layer == index]
        strays = (layer.voxels != 0) & ~np.isin(layer.voxels, named)
        lost += int(np.count_nonzero(strays))
        kept.append(layer.with_voxels(np.where(strays, 0, layer.voxels)) if strays.any() else layer)
    return kept, lost


def _damaged() -> InputError:
    return InputError(
        "The header of the segmentation file contradicts itself.",
        "Save the segmentation again from 3D Slicer.",
    )
