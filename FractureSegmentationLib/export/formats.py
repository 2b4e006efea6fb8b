"""The formats: which files each one makes of a segmentation.

STL and PLY know one object per file, so every fragment gets a file. OBJ and glTF hold many objects,
and programs open one of their files at a time, so all fragments share one. A label image comes with
a table that names its labels.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.export.dicom_seg import IDENTITY_NOTICE, write_dicom_seg
from FractureSegmentationLib.export.dicom_seg_source import read_ct_images
from FractureSegmentationLib.export.glb import write_glb
from FractureSegmentationLib.export.poses import move_labels
from FractureSegmentationLib.export.surfaces import Model, posed_models, write_obj, write_ply
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.mesh import write_stl
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.layers import (
    LayeredLabels,
    LayeredSegment,
    is_reviewed,
    one_layer,
)
from FractureSegmentationLib.results.seg_nrrd import write_layered_seg_nrrd
from FractureSegmentationLib.results.source import Source

STEM = "fragments"
"""Name of a file that holds all fragments, without its ending."""
DICOM_SEG = "dicom-seg"
"""The one format that needs the CT and moves no fragment."""
COLUMNS = ("LabelValue", "Name", "Color_R", "Color_G", "Color_B", "Color_A")
"""Those of 3D Slicer's colour tables; colours are 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a format is given.

    Attributes:
        source: the segmentation.
        poses: (4, 4) in LPS, mm by id of the segments that move.
        folder: exists and is empty.
        progress: receives progress and warnings.
        ct: DICOM folder or file that the segmentation was made from; only DICOM SEG has one.
        series: number or UID of the series there that is meant; None chooses it.
    """

    source: Source
    poses: Mapping[str, Pose]
    folder: Path
    progress: Progress
    ct: Path | None = None
    series: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A segment as it was written, and the names of the files that hold it."""

    segment: Segment
    files: tuple[str, ...]


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


def _models(job: Job) -> tuple[Model, ...]:
    return posed_models(job.source.labels, job.poses, job.progress)


def _write_each(job: Job, ending: str, write: Callable[[Path, Model], None]) -> list[Written]:
    written = []
    for model in _models(job):
        name = f"{model.stem}{ending}"
        write(job.folder / name, model)
        written.append(Written(model.segment, (name,)))
    return written


def _write_stl(job: Job) -> list[Written]:
    return _write_each(job, ".stl", lambda path, model: write_stl(path, model.surface))


def _write_ply(job: Job) -> list[Written]:
    return _write_each(job, ".ply", write_ply)


def _write_obj(job: Job) -> list[Written]:
    models = _models(job)
    materials = write_obj(job.folder / f"{STEM}.obj", models)
    return [Written(model.segment, (f"{STEM}.obj", materials.name)) for model in models]


def _write_glb(job: Job) -> list[Written]:
    models = _models(job)
    write_glb(job.folder / f"{STEM}.glb", models)
    return [Written(model.segment, (f"{STEM}.glb",)) for model in models]


def _write_nifti(job: Job) -> list[Written]:
    refuse_overlaps(job.source.labels)
    labels, warnings = in_one_layer(_moved(job))
    for warning in warnings:
        job.progress.warn(warning)
    image, table = f"{STEM}.nii.gz", f"{STEM}.labels.csv"
    segments = [one.segment for one in labels.segments]
    write_volume(job.folder / image, labels.layers[0])
    write_label_table(job.folder / table, segments)
    return [Written(segment, (image, table)) for segment in segments]


def _write_seg_nrrd(job: Job) -> list[Written]:
    labels, name = _moved(job), f"{STEM}.seg.nrrd"
    write_layered_seg_nrrd(job.folder / name, labels)
    return [Written(one.segment, (name,)) for one in labels.segments]


def _write_dicom_seg(job: Job) -> list[Written]:
    labels, name = job.source.labels, f"{STEM}.dcm"
    if job.ct is None:
        raise ValueError("a DICOM SEG needs the CT that it lies on")
    images = read_ct_images(
        job.ct, labels.geometry, series=job.series, series_hash=job.source.series_hash
    )
    if not job.source.series_hash:
        job.progress.warn(
            "Nothing says which series the segmentation was made from; only its grid was compared "
            "with that of the CT."
        )
    job.progress.warn(IDENTITY_NOTICE)
    labels = labels.on_grid(images.geometry)
    write_dicom_seg(job.folder / name, labels, images, is_reviewed=is_reviewed(labels))
    return [Written(one.segment, (name,)) for one in labels.filled()]


def _moved(job: Job) -> LayeredLabels:
    moved = move_labels(job.source.labels, job.poses)
    for warning in moved.warnings:
        job.progress.warn(warning)
    return moved.labels


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


FORMATS: Mapping[str, Callable[[Job], list[Written]]] = {
    "stl": _write_stl,
    "obj": _write_obj,
    "ply": _write_ply,
    "glb": _write_glb,
    "nifti": _write_nifti,
    "seg.nrrd": _write_seg_nrrd,
    DICOM_SEG: _write_dicom_seg,
}
"""What can be written, by the word that the user types."""
