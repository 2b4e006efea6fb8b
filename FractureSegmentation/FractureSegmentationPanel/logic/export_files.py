"""Fragments of the scene into files, through the library's own export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

DICOM_SEG = "dicom-seg"
_UIDS = "DICOM.instanceUIDs"


def folder_of(format_name: str) -> str:
    """The folder of a format within the one that the user chose."""
    return format_name.replace(".", "-")


def write_formats(
    segmentation: Any,
    folder: Path,
    formats: Sequence[str],
    *,
    plan: Path | None = None,
    may_replace: bool = False,
) -> list[str]:
    """Write the fragments as they are now, each format into a folder of its own.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        folder: exists or is made.
        formats: of `export.formats.FORMATS`.
        plan: poses that move the fragments; None leaves them.
        may_replace: replace earlier exports.

    Returns:
        What the user should know, one sentence each.

    Raises:
        FracSegError: a format could not be written; earlier ones of the list are there.
    """
    from FractureSegmentationLib.export.export import ExportRequest, export_segmentation
    from FractureSegmentationLib.io.temporary import scratch_folder
    from FractureSegmentationLib.mrml.segmentation import fragments_of
    from FractureSegmentationLib.progress import Progress
    from FractureSegmentationLib.results.seg_nrrd import write_seg_nrrd

    fragments = fragments_of(segmentation)
    warnings: list[str] = []
    with scratch_folder() as scratch:
        source = scratch / "fragments.seg.nrrd"
        write_seg_nrrd(source, fragments.labels, list(_segments(segmentation, fragments)))
        for name in formats:
            request = ExportRequest(
                segmentation=source,
                out=folder / folder_of(name),
                format=name,
                plan=plan,
                overwrite=may_replace,
            )
            progress = Progress()
            export_segmentation(request, progress)
            warnings += [text for text in progress.warnings if text not in warnings]
    return warnings


def problem_of_dicom_seg(volume: Any) -> str:
    """Why no DICOM SEG can be written of fragments of this CT; "" if it can."""
    if volume is None or not volume.GetAttribute(_UIDS):
        return _("A DICOM SEG needs the CT from Slicer's DICOM database.")
    from FractureSegmentationLib.mrml.dicom_export import can_export_dicom_seg

    if not can_export_dicom_seg():
        return _("This Slicer writes no DICOM SEG; 5.12 and later do.")
    return ""


def write_dicom_seg(segmentation: Any, folder: Path, *, may_replace: bool = False) -> None:
    """Write a DICOM SEG with Slicer's own exporter; it says whether every fragment was reviewed.

    Args:
        segmentation: vtkMRMLSegmentationNode whose reference volume came from the DICOM database.
        folder: exists or is made.
        may_replace: replace an earlier file.

    Raises:
        FracSegError: it could not be written.
    """
    from FractureSegmentationLib.errors import EnvironmentProblemError
    from FractureSegmentationLib.mrml.dicom_export import export_dicom_seg

    place = folder / folder_of(DICOM_SEG)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblemError(
            _("The DICOM SEG could not be written."), _("Check that you may write to the folder.")
        ) from error
    export_dicom_seg(segmentation, place / "fragments.dcm", overwrite=may_replace)


def _segments(segmentation: Any, fragments: Any) -> Iterator[Any]:
    """Names, colours and tags as the scene has them."""
    from FractureSegmentationLib.anatomy.naming import Segment
    from FractureSegmentationLib.mrml.segmentation import segment_id_of

    inner = segmentation.GetSegmentation()
    for record in fragments.records:
        segment_id = segment_id_of(segmentation, record.label)
        segment = inner.GetSegment(segment_id)
        yield Segment(
            id=segment_id,
            name=segment.GetName(),
            label_value=record.label,
            color=segment.GetColor(),
            tags=_tags(segment),
        )


def _tags(segment: Any) -> dict[str, str]:
    from FractureSegmentationLib.anatomy.naming import fragment_segment
    from FractureSegmentationLib.mrml.nodes import CONFIDENCE, meant_by, tag_of
    from FractureSegmentationLib.results.layers import ACCEPTED

    # The tags that a file of ours has, not those that only the scene needs.
    _, bone, index = meant_by(segment)
    names = {*fragment_segment(bone, index).tags, CONFIDENCE, ACCEPTED}
    tags = {name: tag_of(segment, name) for name in names}
    return {name: value for name, value in tags.items() if value and "|" not in value}
