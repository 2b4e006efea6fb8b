"""What is exported: a result folder, a segmentation of 3D Slicer, or a label image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS, Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.folder import FRAGMENTS_NAME, REPORT_NAME
from FractureSegmentationLib.io.image_file import ImageFile, kind_of, read_image_file
from FractureSegmentationLib.io.read import refuse_pipe
from FractureSegmentationLib.io.sitk import label_volume_from_sitk, merged_layers
from FractureSegmentationLib.results.layers import LayeredLabels, one_layer
from FractureSegmentationLib.results.naming import label_segments
from FractureSegmentationLib.results.report import Reported, read_report, reported_labels
from FractureSegmentationLib.results.seg_nrrd import names_segments, segmentation_of_image

NO_NUMBERING = "none"
"""The word for labels that stand for no bones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A segmentation as it was read.

    Attributes:
        labels: its segments.
        numbering: what its label values mean; None where the file names its segments itself, or
            where they stand for no bones.
        warnings: what the user should know, one sentence each.
        files: what was read, to keep outputs away from.
        series_hash: salted hash of the UID of the DICOM series it was made from; "" if not known.
    """

    labels: LayeredLabels
    numbering: Numbering | None = None
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    series_hash: str = ""


def files_of(path: Path) -> tuple[Path, ...]:
    """What is read for a segmentation, known before it is read: outputs stay away from it."""
    if path.is_dir():
        return (path,)
    report = path.with_name(REPORT_NAME)
    return (path, report) if path.name == FRAGMENTS_NAME and report.is_file() else (path,)


def read_source(path: Path, requested: str | None = None) -> Source:
    """Read a segmentation.

    Args:
        path: a result folder, its label image, a `.seg.nrrd`, or another label image.
        requested: the numbering that the user names, or `none`.

    Raises:
        InputError: it cannot be used, nothing says what its labels mean, or two say different
            things.
    """
    try:
        image_path, report = _located(path)
        file = read_image_file(image_path, may_have_layers=True)
    except OSError as error:
        raise InputError(
            "The segmentation could not be read.",
            "Check that you may read it and that the disk is there.",
        ) from error
    if names_segments(file.image):
        return _from_segments(file, path, requested)
    labels = label_volume_from_sitk(merged_layers(file.image), step=file.step)
    numbering = _chosen_numbering(report, requested)
    return Source(
        labels=one_layer(labels, label_segments(labels.values(), numbering, report)),
        numbering=numbering,
        warnings=file.warnings,
        files=files_of(path),
        series_hash=report.series_hash if report is not None else "",
    )


def _located(path: Path) -> tuple[Path, Reported | None]:
    """The image file, and what the report beside it says."""
    refuse_pipe(path)
    if not path.exists():
        raise InputError("The segmentation was not found.", "Check the name of the file or folder.")
    if path.is_dir():
        if not (path / FRAGMENTS_NAME).is_file():
            raise InputError(
                f"The folder is no result of fracseg: it holds no {FRAGMENTS_NAME}.",
                "Give a result folder, a .seg.nrrd file or a label image.",
            )
        return path / FRAGMENTS_NAME, reported_labels(read_report(path))
    if not kind_of(path):
        raise InputError(
            "The segmentation is of no known kind.",
            "Give a result folder, or a .seg.nrrd, .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file.",
        )
    if len(files_of(path)) == 1:
        return path, None
    try:
        return path, reported_labels(read_report(path.parent))
    except InputError:  # a report of another program: it says nothing of our labels
        return path, None


def _from_segments(file: ImageFile, path: Path, requested: str | None) -> Source:
    if requested is not None:
        raise InputError(
            "The segmentation file names its segments itself.", "Leave out --numbering."
        )
    content = segmentation_of_image(file.image)
    return Source(
        labels=content.labels, warnings=(*file.warnings, *content.warnings), files=files_of(path)
    )


def _chosen_numbering(report: Reported | None, requested: str | None) -> Numbering | None:
    stated = report.numbering if report is not None else None
    if requested is None:
        if stated is None:
            raise InputError(
                "The labels do not say which bones they stand for.",
                f"Name their numbering with --numbering: {', '.join(NUMBERINGS)}, or "
                f"{NO_NUMBERING} to call them by their values.",
            )
        return stated
    if stated is not None and requested != stated.name:
        raise InputError(
            f"The report of the result says its labels are numbered {stated.name}, "
            f"not {requested}.",
            "Leave out --numbering.",
        )
    return None if requested == NO_NUMBERING else NUMBERINGS[requested]
