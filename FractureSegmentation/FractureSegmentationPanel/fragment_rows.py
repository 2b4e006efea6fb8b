"""What the table says of each fragment, read from the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentRow:
    """One fragment as the table shows it.

    Attributes:
        segment_id: its segment; never changes.
        name: what a person reads.
        color: red, green, blue, each 0 to 1.
        is_visible: whether the views show it.
        volume_mm3: its volume.
        confidence: 0 to 1 as the method gave it; None once it was edited.
        is_reviewed: whether a person has accepted it as it is now.
    """

    segment_id: str
    name: str
    color: tuple[float, float, float]
    is_visible: bool
    volume_mm3: float
    confidence: float | None
    is_reviewed: bool


def fragment_rows(segmentation: Any) -> tuple[FragmentRow, ...]:
    """The fragments of a segmentation in the order of their labels.

    Args:
        segmentation: vtkMRMLSegmentationNode.
    """
    if not segmentation.GetSegmentation().GetNumberOfSegments():
        return ()
    from FractureSegmentationLib.editing.fragments import ReviewStatus
    from FractureSegmentationLib.mrml.segmentation import fragments_of, segment_id_of

    fragments = fragments_of(segmentation)
    display = segmentation.GetDisplayNode()
    rows = []
    for record in fragments.records:
        segment_id = segment_id_of(segmentation, record.label)
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        rows.append(
            FragmentRow(
                segment_id=segment_id,
                name=segment.GetName(),
                color=segment.GetColor(),
                is_visible=display is None or bool(display.GetSegmentVisibility(segment_id)),
                volume_mm3=fragments.volume_mm3(record.label),
                confidence=record.confidence,
                is_reviewed=record.review is ReviewStatus.ACCEPTED,
            )
        )
    return tuple(rows)
