"""The formats: which files each one makes of a segmentation.

STL and PLY know one object per file, so every fragment gets a file. OBJ and glTF hold many objects,
and programs open one of their files at a time, so all fragments share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.export.dicom_seg import IDENTITY_NOTICE, write_dicom_seg
from FractureSegmentationLib.export.dicom_seg_source import read_ct_images
from FractureSegmentationLib.export.glb import write_glb
from FractureSegmentationLib.export.label_image import (
    in_one_layer,
    refuse_overlaps,
    write_label_table,
)
from FractureSegmentationLib.export.model import Model, posed_models
from FractureSegmentationLib.export.obj import write_obj
from FractureSegmentationLib.export.ply import write_ply
from FractureSegmentationLib.export.poses import move_labels
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.mesh import write_stl
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.layers import LayeredLabels
from FractureSegmentationLib.results.reviewed import is_reviewed
from FractureSegmentationLib.results.seg_nrrd import write_layered_seg_nrrd
from FractureSegmentationLib.results.source import Source

STEM = "fragments"
"""Name of a file that holds all fragments, without its ending."""
DICOM_SEG = "dicom-seg"
"""The one format that needs the CT and moves no fragment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a format is given.

    Attributes:
        source: the segmentation.
        poses: (4, 4) in LPS, mm by id of the segments that move.
        folder: exists and is empty.
        progress: told how far it is and what the user should know.
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
    write_dicom_seg(job.folder / name, labels, images, is_reviewed=is_reviewed(labels))
    return [Written(one.segment, (name,)) for one in labels.filled()]


def _moved(job: Job) -> LayeredLabels:
    moved = move_labels(job.source.labels, job.poses)
    for warning in moved.warnings:
        job.progress.warn(warning)
    return moved.labels


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
