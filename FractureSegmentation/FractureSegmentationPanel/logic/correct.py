"""What the sections Fragments and Correct do, for scripts as well.

Every change is one step of the undo history, refused with a `FracSegError` where it is not
possible. Points are in the world's RAS, mm, as markups and views have them. Segments are named by
their ids; they never change, except by `renumber`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from FractureSegmentationPanel.logic.parameters import PerNode

if TYPE_CHECKING:
    from FractureSegmentationLib.editing.suspicion import SuspiciousPlace
    from FractureSegmentationLib.mrml.granularity import Granularity
    from FractureSegmentationPanel.logic.fragments import FragmentRow

PointRas = Sequence[float]


class CorrectLogic:
    """Looks at fragments and changes them. Part of `FractureSegmentationLogic`."""

    def __init__(self) -> None:
        self._histories = PerNode()
        self._shared_history: Callable[[Any], Any] | None = None

    def historyOf(self, segmentation: Any) -> Any:
        """The undo history of a segmentation: that of the panel's editor, or one without a window.

        Args:
            segmentation: vtkMRMLSegmentationNode.

        Returns:
            Has `save_state()`, `undo()`, `redo()`, `can_undo` and `can_redo`.
        """
        if self._shared_history is not None:
            shared = self._shared_history(segmentation)
            if shared is not None:
                return shared
        from FractureSegmentationLib.mrml.history import SegmentationHistory

        return self._histories.value_of(segmentation, lambda: SegmentationHistory(segmentation))

    def shareHistory(self, history: Callable[[Any], Any] | None) -> None:
        """Let buttons and effects have one history.

        Args:
            history: gives the history of a segmentation, or None where it has none; called for
                every change. None takes it back.
        """
        self._shared_history = history

    def forgetHistories(self) -> None:
        """The scene is closing: what was changed can no longer be undone."""
        self._histories.clear()

    def merge(self, segmentation: Any, segmentIds: Sequence[str]) -> None:
        """Make one fragment of several of one bone; the largest keeps its id.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            segmentIds: two or more.
        """
        from FractureSegmentationLib.mrml import correct

        correct.merge(segmentation, segmentIds, self.historyOf(segmentation))

    def splitAtPoints(
        self, segmentation: Any, segmentId: str, pieces: Sequence[Sequence[PointRas]]
    ) -> None:
        """Split a fragment where a fracture is most likely between the points.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            segmentId: the fragment.
            pieces: the points of each piece, usually one, in the world's RAS, mm.
        """
        from FractureSegmentationLib.mrml import correct

        correct.split_at_points(segmentation, segmentId, pieces, self.historyOf(segmentation))

    def splitByPlane(
        self, segmentation: Any, segmentId: str, origin: PointRas, normal: PointRas
    ) -> None:
        """Cut a fragment along a plane without end.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            segmentId: the fragment.
            origin: a point of the plane, in the world's RAS, mm.
            normal: its normal, of any length.
        """
        from FractureSegmentationLib.mrml import correct

        history = self.historyOf(segmentation)
        correct.split_by_plane(segmentation, segmentId, origin, normal, history)

    def splitByCurve(
        self, segmentation: Any, segmentId: str, points: Sequence[PointRas], viewDirection: PointRas
    ) -> None:
        """Cut a fragment along a line drawn in a view, through its whole depth.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            segmentId: the fragment.
            points: of the line in their order, in the world's RAS, mm.
            viewDirection: which way the viewer looked, RAS.
        """
        from FractureSegmentationLib.mrml import correct

        history = self.historyOf(segmentation)
        correct.split_by_curve(segmentation, segmentId, points, viewDirection, history)

    def assign(self, segmentation: Any, point: PointRas, targetId: str) -> None:
        """Give the connected piece at a point to another fragment.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            point: on the piece, in the world's RAS, mm.
            targetId: the fragment that receives it.
        """
        from FractureSegmentationLib.mrml import correct

        history = self.historyOf(segmentation)
        correct.assign(segmentation, None, point, targetId, history)

    def renumber(self, segmentation: Any) -> None:
        """Number the fragments of every bone 1, 2, 3, ... by falling volume."""
        from FractureSegmentationLib.mrml import correct

        correct.renumber(segmentation, self.historyOf(segmentation))

    def granularity(
        self, segmentation: Any, segmentIds: Sequence[str]
    ) -> tuple[Granularity | None, str]:
        """How finely the bone of some fragments can be divided, and a sentence about it.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            segmentIds: fragments of one bone; of none, the only bone there is.
        """
        from FractureSegmentationLib.mrml.granularity import bones_of, granularity_of, has_trees

        every = bones_of(segmentation)
        bones = bones_of(segmentation, segmentIds) if segmentIds else every
        if not every:
            return None, ""
        if not has_trees(segmentation):
            return None, _(
                "The result was made by a version that kept no merge tree; split and merge instead."
            )
        if len(bones) != 1:
            return None, _("Select a fragment of one bone to have fewer or more of it.")
        (bone,) = bones
        offered = granularity_of(segmentation, bone)
        if offered is None:
            return None, _("{bone}: there is no other way to divide it; split it instead.").format(
                bone=bone.name
            )
        count = len(every[bone])
        pieces = _("1 fragment") if count == 1 else _("{count} fragments").format(count=count)
        return offered, f"{bone.name}: {pieces}"

    def regroup(self, segmentation: Any, bone: str, level: float) -> bool:
        """Divide a bone more or less finely, from what the run kept; reviewed fragments stay.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            bone: its slug, e.g. "left_hip".
            level: regions that are one fragment with at least this probability are put together.

        Returns:
            Whether anything changed.
        """
        from FractureSegmentationLib.anatomy.catalogue import bone_named
        from FractureSegmentationLib.mrml.granularity import regroup_bone

        history = self.historyOf(segmentation)
        return regroup_bone(segmentation, bone_named(bone), level, history) is not None

    def newSegments(self, segmentation: Any) -> tuple[str, ...]:
        """Ids of the segments that are no fragments, e.g. drawn in the Segment Editor."""
        from FractureSegmentationLib.mrml.segmentation import foreign_segments

        return foreign_segments(segmentation)

    def adopt(self, segmentation: Any, segmentId: str) -> None:
        """Make a fragment of a segment that a person has drawn; its bone is the one it touches."""
        from FractureSegmentationLib.mrml.segmentation import adopt

        adopt(segmentation, segmentId, self.historyOf(segmentation))

    def reconcile(self, segmentation: Any) -> bool:
        """Bring fragments in order after an effect of the Segment Editor; not after undo.

        Returns:
            Whether anything had to be changed.
        """
        from FractureSegmentationLib.mrml.segmentation import reconcile

        return reconcile(segmentation)

    def undo(self, segmentation: Any) -> bool:
        """Take the last change back; False if there is none."""
        return bool(self.historyOf(segmentation).undo())

    def redo(self, segmentation: Any) -> bool:
        """Make the change again that was taken back; False if there is none."""
        return bool(self.historyOf(segmentation).redo())

    def fragmentRows(self, segmentation: Any) -> tuple[FragmentRow, ...]:
        """What is known of each fragment: name, colour, volume, confidence, review."""
        from FractureSegmentationPanel.logic.fragments import fragment_rows

        return fragment_rows(segmentation)

    def setReviewed(self, segmentation: Any, segmentIds: Sequence[str], isReviewed: bool) -> None:
        """Say that a person has looked at fragments and agrees; any later change takes it back."""
        from FractureSegmentationLib.editing.fragments import ReviewStatus
        from FractureSegmentationLib.mrml.segmentation import set_review

        status = ReviewStatus.ACCEPTED if isReviewed else ReviewStatus.UNREVIEWED
        set_review(segmentation, segmentIds, status)

    def setVisible(self, segmentation: Any, segmentId: str, isVisible: bool) -> None:
        """Show a fragment in the views, or hide it."""
        segmentation.CreateDefaultDisplayNodes()
        segmentation.GetDisplayNode().SetSegmentVisibility(segmentId, isVisible)

    def setColor(
        self, segmentation: Any, segmentId: str, color: tuple[float, float, float]
    ) -> None:
        """Give a fragment another colour: red, green, blue, each 0 to 1."""
        segment = segmentation.GetSegmentation().GetSegment(segmentId)
        segment.SetColor(*color)
        segment.SetColorAutoGenerated(False)

    def rename(self, segmentation: Any, segmentId: str, name: str) -> None:
        """Give a fragment a name of one's own, e.g. "posterior wall"; one step of the history.

        Its id, its number and its place in exported file names stay.

        Raises:
            InputError: the name is empty.
        """
        from FractureSegmentationLib.errors import InputError

        segment = segmentation.GetSegmentation().GetSegment(segmentId)
        plain = " ".join(name.split())
        if not plain:
            raise InputError(_("A fragment needs a name."), _("Enter a name."))
        if plain == segment.GetName():
            return
        self.historyOf(segmentation).save_state()
        segment.SetName(plain)
        segment.SetNameAutoGenerated(False)

    def boundsOf(self, segmentation: Any, segmentId: str) -> tuple[float, ...]:
        """The box of a fragment in the world's RAS, mm: r, a and s, least and greatest of each."""
        from FractureSegmentationPanel.logic.fragments import bounds_of

        return bounds_of(segmentation, segmentId)

    def fragmentAt(self, segmentation: Any, point: PointRas) -> str:
        """The segment id of the fragment at a point of the world (RAS, mm); "" if there is none."""
        from FractureSegmentationPanel.logic.fragments import fragment_at

        return fragment_at(segmentation, point)

    def goToFragment(self, segmentation: Any, segmentId: str) -> None:
        """Centre all views on a fragment."""
        from FractureSegmentationPanel.logic.fragments import middle_of

        self.goToPoint(middle_of(segmentation, segmentId))

    def goToPoint(self, point: PointRas) -> None:
        """Centre all views on a point of the world (RAS, mm)."""
        from FractureSegmentationPanel.logic.fragments import centre_views

        centre_views(slicer.mrmlScene, point)

    def centre3DViews(self) -> None:
        """Let the 3D views show all there is; without a main window nothing is done."""
        layout = slicer.app.layoutManager()
        if layout is not None:
            for index in range(layout.threeDViewCount):
                layout.threeDWidget(index).threeDView().resetFocalPoint()

    def places(self, segmentation: Any) -> tuple[SuspiciousPlace, ...]:
        """Where fragments may be wrong, the most doubtful first."""
        from FractureSegmentationLib.mrml.correct import places_of

        return places_of(segmentation)

    def describePlace(self, segmentation: Any, place: SuspiciousPlace) -> str:
        """What may be wrong at a place, as one line for a person."""
        from FractureSegmentationPanel.logic.fragments import place_text

        return place_text(segmentation, place)

    def goToPlace(self, segmentation: Any, place: SuspiciousPlace) -> None:
        """Centre all views on a doubtful place."""
        from FractureSegmentationLib.mrml.volume import world_ras_of

        self.goToPoint(world_ras_of(segmentation, [place.place_lps_mm])[0])

    def splitAtPlace(self, segmentation: Any, place: SuspiciousPlace) -> None:
        """Cut at a doubtful place: a fragment in two, or the border of two fragments anew."""
        from FractureSegmentationPanel.logic.fragments import split_at_place

        split_at_place(segmentation, place, self.historyOf(segmentation))

    def mergeAtPlace(self, segmentation: Any, place: SuspiciousPlace) -> None:
        """Make one fragment of the two that touch at a doubtful place."""
        from FractureSegmentationLib.mrml.segmentation import segment_id_of

        self.merge(segmentation, [segment_id_of(segmentation, label) for label in place.labels])
