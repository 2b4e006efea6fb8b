"""The fragments of the scene: rows of the table, positions, and views. Points are RAS, mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from FractureSegmentationLib.editing.suspicion import SuspiciousPlace

PointRas = tuple[float, float, float]
_CLICK_REACH_MM = 3.0


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


def bounds_of(segmentation: Any, segment_id: str) -> tuple[float, ...]:
    """The box of a fragment in the world: least and greatest r, a and s."""
    import numpy as np

    corners = np.array(_corners(segmentation, segment_id))
    least, greatest = corners.min(axis=0), corners.max(axis=0)
    return tuple(float(side) for pair in zip(least, greatest, strict=True) for side in pair)


def middle_of(segmentation: Any, segment_id: str) -> PointRas:
    """A point within a fragment, the one of its voxels that is nearest to its centre of mass."""
    import numpy as np

    from FractureSegmentationLib.mrml.segmentation import fragments_of, label_of
    from FractureSegmentationLib.mrml.volume import world_ras_of

    fragments = fragments_of(segmentation)
    record = fragments.record(label_of(segmentation, segment_id))
    voxels = np.argwhere(fragments.labels.voxels[record.box] == record.label)
    spacing = np.asarray(fragments.labels.geometry.spacing_mm)
    gaps = ((voxels - voxels.mean(axis=0)) * spacing) ** 2
    nearest = voxels[gaps.sum(axis=1).argmin()]
    place = fragments.labels.geometry.cropped(record.box).to_lps(nearest)
    return world_ras_of(segmentation, [place])[0]


def fragment_at(segmentation: Any, point: Sequence[float]) -> str:
    """The segment id of the fragment at a point or a few mm beside it; "" if there is none."""
    from FractureSegmentationLib.editing.points import nearest_voxel
    from FractureSegmentationLib.mrml.segmentation import fragments_of, segment_id_of
    from FractureSegmentationLib.mrml.volume import ct_lps_of

    labels = fragments_of(segmentation).labels
    place = ct_lps_of(segmentation, [point])[0]
    k, j, i = (slice(0, count) for count in labels.geometry.shape)
    voxel = nearest_voxel(labels.voxels != 0, labels.geometry, place, _CLICK_REACH_MM, (k, j, i))
    if voxel is None:
        return ""
    return segment_id_of(segmentation, int(labels.voxels[voxel]))


def centre_views(scene: Any, point: Sequence[float]) -> None:
    """Let every slice view show a point in its middle, and every 3D view turn about it."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *point, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    cameras = scene.GetNodesByClass("vtkMRMLCameraNode")
    cameras.UnRegister(None)
    for index in range(cameras.GetNumberOfItems()):
        camera = cameras.GetItemAsObject(index)
        focus, position = camera.GetFocalPoint(), camera.GetPosition()
        camera.SetPosition(
            [p + new - old for p, new, old in zip(position, point, focus, strict=True)]
        )
        camera.SetFocalPoint(list(point))
        camera.ResetClippingRange()


def place_text(segmentation: Any, place: SuspiciousPlace) -> str:
    """What may be wrong at a place, as a person reads it."""
    from FractureSegmentationLib.mrml.segmentation import segment_id_of

    inner = segmentation.GetSegmentation()
    names = [inner.GetSegment(segment_id_of(segmentation, n)).GetName() for n in place.labels]
    area = f"{place.area_mm2 / 100.0:.1f}"
    if len(names) == 1:
        return _("{name}: possible fracture inside, {area} cm²").format(name=names[0], area=area)
    # The bone is named once: what both names begin with, up to the dash.
    bone, dash, rest = names[1].partition(" – ")
    other = rest if dash and names[0].startswith(bone + dash) else names[1]
    return _("{one} and {other}: doubtful border, {area} cm²").format(
        one=names[0].removesuffix(" (main)"), other=other, area=area
    )


def split_at_place(segmentation: Any, place: SuspiciousPlace, history: Any) -> None:
    """Cut at a doubtful place, as one step of the history.

    A doubtful border is cut anew: the two fragments are joined and parted where contact is likely.
    """
    from FractureSegmentationLib.errors import InputError
    from FractureSegmentationLib.mrml import correct
    from FractureSegmentationLib.mrml.segmentation import segment_id_of
    from FractureSegmentationLib.mrml.volume import world_ras_of

    if place.split_points_lps_mm is None:
        raise InputError(
            _("There is no bone on both sides of this place."), _("Split it by your own clicks.")
        )
    ids = [segment_id_of(segmentation, label) for label in place.labels]
    pieces = [[point] for point in world_ras_of(segmentation, place.split_points_lps_mm)]
    if len(ids) == 1:
        correct.split_at_points(segmentation, ids[0], pieces, history)
        return
    history.save_state()
    correct.merge(segmentation, ids, _Saved())
    kept = set(segmentation.GetSegmentation().GetSegmentIDs())
    try:
        left = next(segment_id for segment_id in ids if segment_id in kept)
        correct.split_at_points(segmentation, left, pieces, _Saved())
    except Exception:
        history.undo()
        raise


class _Saved:
    """A history whose state was saved already: several changes make one step."""

    def save_state(self) -> None:
        """Nothing more is to be saved."""


def _corners(segmentation: Any, segment_id: str) -> tuple[PointRas, ...]:
    import itertools

    import numpy as np

    from FractureSegmentationLib.mrml.segmentation import fragments_of, label_of
    from FractureSegmentationLib.mrml.volume import world_ras_of

    fragments = fragments_of(segmentation)
    box = fragments.record(label_of(segmentation, segment_id)).box
    ends = [(side.start - 0.5, side.stop - 0.5) for side in box]
    corners = np.array(list(itertools.product(*ends)))
    return world_ras_of(segmentation, fragments.labels.geometry.to_lps(corners))
