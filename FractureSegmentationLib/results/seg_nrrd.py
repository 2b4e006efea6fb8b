"""Segmentation files of 3D Slicer (`.seg.nrrd`), read and written: segments in shared layers.

The header's keys are those of Slicer's own storage node. Slicer gives every segment of a layer the
extent of the layer's first one, so all of them carry the extent of the whole grid. Segments that
overlap lie in several layers, which the file holds as several values per voxel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from FractureSegmentationLib.anatomy.catalogue import Rgb
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.io.image_file import kind_of
from FractureSegmentationLib.io.sitk import (
    is_utf8,
    label_volume_from_sitk,
    quiet_itk,
    volume_to_sitk,
    write_image,
)
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment, one_layer
from FractureSegmentationLib.volume import LabelVolume

_RESERVED_IN_TAGS = "|"
_RESERVED_IN_TAG_NAMES = "|:"
KEPT_TAGS = ("DICOM.SegmentAlgorithm", "FracSeg.", "Segmentation.Status", "TerminologyEntry")
"""Beginnings of the tags that are read; any other may hold what an importer knew of the patient."""
_KEY = re.compile(r"Segment(?P<index>[0-9]+)_(?P<name>[A-Za-z]+)")
_REFERENCE = re.compile(r"Reference image geometry\|(?P<numbers>[^|]*)\|")
_NO_COLOR: Rgb = (0.5, 0.5, 0.5)
_MOST_REFERENCE_VOXELS = 1 << 30  # a damaged header must not ask for all memory


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentationFile:
    """What a segmentation file holds.

    Attributes:
        labels: on the grid of the CT, where the file names it.
        warnings: what was left out, one sentence each.
    """

    labels: LayeredLabels
    warnings: tuple[str, ...] = ()


def names_segments(image: sitk.Image) -> bool:
    """Whether the image has the header of a segmentation of 3D Slicer."""
    return bool(_entries(image))


def segments_of_header(path: Path) -> tuple[Segment, ...]:
    """The segments that the header of a file names; none of a file that cannot be understood."""
    reader = sitk.ImageFileReader()
    if kind_of(path) != "NRRD" or not path.is_file() or not is_utf8(path):
        return ()
    reader.SetFileName(str(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
        return tuple(_segment(n, fields) for n, fields in sorted(_entries(reader).items()))
    except (RuntimeError, InputError):  # whoever reads the voxels says what is wrong
        return ()


def segmentation_of_image(image: sitk.Image) -> SegmentationFile:
    """The segments of an image that `names_segments`, overlapping ones in layers.

    Args:
        image: one or several values per voxel, as read from the file.

    Raises:
        InputError: the header contradicts itself or the voxels.
    """
    layers = [label_volume_from_sitk(layer) for layer in _split(image)]
    # Before Slicer 4.11 every segment had a layer of its own, filled with 1; other programs leave
    # the layer out where there is but one.
    segments = [
        LayeredSegment(
            segment=_segment(index, fields),
            layer=_whole_number(fields.get("Layer"), position if len(layers) > 1 else 0),
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


def _entries(image: Any) -> dict[int, dict[str, str]]:
    """Header entries by segment."""
    entries: dict[int, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        match = _KEY.fullmatch(key)
        if match:
            fields = entries.setdefault(int(match["index"]), {})
            fields[match["name"]] = _readable(image.GetMetaData(key))
    return {index: fields for index, fields in entries.items() if fields.keys() & {"ID", "Name"}}


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
            tags=_tags_of_text(fields.get("Tags", "")),
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


def _tags_of_text(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split("|"))
    return {name: value for name, _, value in pairs if name.startswith(KEPT_TAGS)}


def _readable(text: str) -> str:
    """The text without bytes that are no UTF-8 and without line breaks."""
    decoded = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if ord(c) >= ord(" ") else " " for c in decoded).strip()


def _on_reference_grid(image: sitk.Image, layers: Sequence[LabelVolume]) -> list[LabelVolume]:
    """The layers on the grid of the CT: Slicer may save only the box that holds the segments."""
    geometry = _read_reference_geometry(image)
    if geometry is None:
        return list(layers)
    try:
        return [placed_on_grid(layer, geometry) for layer in layers]
    except InputError:  # drawn on finer voxels, or beyond the CT
        return list(layers)


def _read_reference_geometry(image: sitk.Image) -> Geometry | None:
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
