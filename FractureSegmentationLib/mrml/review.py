"""Who accepted what: a fragment counts as reviewed only as long as its voxels are those accepted.

Undo takes back tags of segments, but no attribute of their node. Acceptance is therefore kept in
both: the tag travels with a saved segmentation, the attribute outlives an undo of something else.
"""

from __future__ import annotations

from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.mrml.nodes import SegmentationNode, SlicerSegment
from FractureSegmentationLib.mrml.tags import (
    ACCEPTED,
    COMPLETED,
    NOT_STARTED,
    REVIEWED,
    STATUS,
    object_of,
    put_object,
    put_tag,
    tag_of,
)
from FractureSegmentationLib.voxels.checksum import checksum

_ACCEPTED, _WITHDRAWN = "accepted", "withdrawn"


def checksums(fragments: Fragments) -> dict[int, str]:
    """Checksum of every fragment's voxels, by label."""
    voxels = fragments.labels.voxels
    return {
        record.label: checksum(voxels[record.box] == record.label, record.box)
        for record in fragments.records
    }


class Reviews:
    """The acceptances of a segmentation, as they are in the scene."""

    def __init__(self, node: SegmentationNode) -> None:
        self._node = node
        kept = object_of(node, REVIEWED)
        self._accepted = set(kept.get(_ACCEPTED, ()))
        self._withdrawn = set(kept.get(_WITHDRAWN, ()))

    def status(self, segment: SlicerSegment, present: str) -> ReviewStatus:
        """Whether a segment's present voxels were accepted."""
        is_tagged = bool(present) and tag_of(segment, ACCEPTED) == present
        if present in self._accepted or (is_tagged and present not in self._withdrawn):
            return ReviewStatus.ACCEPTED
        return ReviewStatus.UNREVIEWED

    def put(self, segment: SlicerSegment, present: str, status: ReviewStatus) -> None:
        """Accept a segment's present voxels, or take that back. `keep` ends it."""
        is_accepted = status is ReviewStatus.ACCEPTED
        into, out_of = self._accepted, self._withdrawn
        if not is_accepted:
            into, out_of = out_of, into
        into.add(present)
        out_of.discard(present)
        mirror(segment, present, status)

    def keep(self) -> None:
        """Write the acceptances into the scene."""
        lists = {_ACCEPTED: sorted(self._accepted), _WITHDRAWN: sorted(self._withdrawn)}
        put_object(self._node, REVIEWED, {name: values for name, values in lists.items() if values})


def mirror(segment: SlicerSegment, present: str, status: ReviewStatus) -> None:
    """Say a review status in the segment's tags, so that Slicer's own tables show it."""
    is_accepted = status is ReviewStatus.ACCEPTED
    put_tag(segment, ACCEPTED, present if is_accepted else "")
    if is_accepted or tag_of(segment, STATUS) in {"", COMPLETED}:
        put_tag(segment, STATUS, COMPLETED if is_accepted else NOT_STARTED)
