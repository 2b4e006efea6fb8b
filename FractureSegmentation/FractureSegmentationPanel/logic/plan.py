"""What the section Plan and export does, for scripts as well; the mirrored side as a template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.errors import InputError
from FractureSegmentationPanel.logic.parameters import PerNode


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """How far one fragment is moved.

    Attributes:
        segment_id: its segment.
        name: what a person reads.
        shift_mm: how far its centre goes.
        turn_deg: how far it is turned, 0 to 180.
    """

    segment_id: str
    name: str
    shift_mm: float
    turn_deg: float


class PlanLogic:
    """Plans the reduction and writes files. Part of `FractureSegmentationLogic`."""

    def __init__(self) -> None:
        self._plans = PerNode()
        self._moves = PerNode()

    def movesOf(self, segmentation: Any) -> Any:
        """The undo history of a plan's moves, `mrml.plan_history.MoveHistory`."""
        from FractureSegmentationLib.mrml.plan_history import MoveHistory

        return self._moves.value_of(segmentation, lambda: MoveHistory(segmentation))

    def forgetMoves(self) -> None:
        """The scene is closing: what was moved can no longer be undone."""
        self._moves.clear()

    def forgetPlans(self) -> None:
        """The scene is closing, or fragments have changed: what was measured is no longer true."""
        self._plans.clear()

    def exportTo(
        self,
        segmentation: Any,
        folder: Path | str,
        formats: Sequence[str],
        *,
        volume: Any = None,
        isMoved: bool = False,
        mayReplace: bool = False,
    ) -> list[str]:
        """Write the fragments into files; every format gets a folder of its own.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            folder: where the folders are made.
            formats: of stl, obj, ply, glb, nifti, seg.nrrd and dicom-seg.
            volume: the CT; needed for dicom-seg only.
            isMoved: where the plan puts the fragments instead of where the CT shows them. A DICOM
                SEG always shows them in the CT.
            mayReplace: replace earlier exports.

        Returns:
            What the user should know, one sentence each.

        Raises:
            FracSegError: a format could not be written.
        """
        from FractureSegmentationLib.errors import InputError
        from FractureSegmentationLib.io.temporary import scratch_folder
        from FractureSegmentationPanel.logic.export_files import (
            DICOM_SEG,
            problem_of_dicom_seg,
            write_dicom_seg,
            write_formats,
        )

        folder, files = Path(folder), [name for name in formats if name != DICOM_SEG]
        if DICOM_SEG in formats and (problem := problem_of_dicom_seg(volume)):
            raise InputError(problem)
        with scratch_folder() as scratch:
            plan = scratch / "plan.json" if isMoved and self.hasPlan(segmentation) else None
            if plan is not None:
                self.savePlan(segmentation, plan)
            warnings = write_formats(segmentation, folder, files, plan=plan, may_replace=mayReplace)
        if DICOM_SEG in formats:
            write_dicom_seg(segmentation, folder, may_replace=mayReplace)
        return warnings

    def problemOfDicomSeg(self, volume: Any) -> str:
        """Why no DICOM SEG can be written of fragments of this CT; "" if it can."""
        from FractureSegmentationPanel.logic.export_files import problem_of_dicom_seg

        return problem_of_dicom_seg(volume)

    def hasPlan(self, segmentation: Any) -> bool:
        """Whether a segmentation has a reduction plan."""
        from FractureSegmentationLib.mrml.plan import find_plan

        return find_plan(segmentation) is not None

    def createPlan(self, segmentation: Any) -> Any:
        """Give every fragment a transform with handles, or bring the plan there is up to date.

        Args:
            segmentation: vtkMRMLSegmentationNode; it stays as it is, models of it are moved.

        Returns:
            The plan, `FractureSegmentationLib.mrml.plan.Plan`: moves, resets, measures.
        """
        from FractureSegmentationLib.mrml.plan import create_plan

        plan = create_plan(segmentation)
        self._plans.keep(segmentation, plan)
        self.movesOf(segmentation)
        return plan

    def removePlan(self, segmentation: Any) -> None:
        """Take the plan out of the scene, with its mirrored side; the segmentation stays."""
        self.planOf(segmentation).remove()
        self._plans.forget(segmentation)
        self._moves.forget(segmentation)

    def planOf(self, segmentation: Any) -> Any:
        """The plan of a segmentation.

        Raises:
            FracSegError: it has none.
        """
        from FractureSegmentationLib.errors import InputError
        from FractureSegmentationLib.mrml.plan import find_plan

        plan = find_plan(segmentation)
        if plan is None:
            raise InputError(_("There is no plan yet."), _("Plan the reduction first."))
        # The one known before remembers which fragments overlap.
        return self._plans.value_of(segmentation, lambda: plan)

    def poseNodes(self, segmentation: Any) -> list[Any]:
        """The vtkMRMLLinearTransformNode of every fragment in the plan."""
        plan = self.planOf(segmentation)
        return [plan.transform(segment_id) for segment_id in plan.segment_ids]

    def showHandles(self, segmentation: Any, segmentIds: Sequence[str]) -> None:
        """Show the handles of these fragments in the 3D view, and hide the others."""
        self.planOf(segmentation).show_handles(segmentIds)

    def resetPose(self, segmentation: Any, segmentIds: Sequence[str] | None = None) -> None:
        """Put fragments back to where the CT shows them; None means all."""
        plan = self.planOf(segmentation)
        for segment_id in plan.segment_ids if segmentIds is None else segmentIds:
            plan.reset(segment_id)

    def displacements(self, segmentation: Any) -> tuple[PlanRow, ...]:
        """How far the plan moves every fragment: its centre in mm, its turn in degrees."""
        plan, inner = self.planOf(segmentation), segmentation.GetSegmentation()
        return tuple(
            PlanRow(
                segment_id=segment_id,
                name=inner.GetSegment(segment_id).GetName(),
                shift_mm=moved.translation_mm,
                turn_deg=moved.rotation_degrees,
            )
            for segment_id, moved in plan.displacements().items()
        )

    def overlapWarnings(self, segmentation: Any) -> tuple[str, ...]:
        """Which fragments the plan pushes into each other, the worst first, one sentence each."""
        return tuple(one.warning for one in self.planOf(segmentation).overlaps())

    def savePlan(self, segmentation: Any, path: Path | str, mayReplace: bool = False) -> None:
        """Write the poses as plan.json: 4 x 4 matrices by rows in LPS and mm, by fragment id."""
        from FractureSegmentationLib.mrml.plan import write_plan

        write_plan(self.planOf(segmentation), Path(path), overwrite=mayReplace)

    def openPlan(self, segmentation: Any, path: Path | str) -> None:
        """Move the fragments as a plan.json says; those that it does not name are put back."""
        from FractureSegmentationLib.mrml.plan import find_plan, read_plan

        had_plan = find_plan(segmentation) is not None
        plan = self.planOf(segmentation) if had_plan else self.createPlan(segmentation)
        try:
            read_plan(plan, Path(path))
        except Exception:
            if not had_plan:
                self.removePlan(segmentation)
            raise

    def hasMirror(self, segmentation: Any) -> bool:
        """Whether the mirrored other side is shown."""
        from FractureSegmentationLib.mrml.plan_nodes import TEMPLATE_ROLE, referenced

        return any(True for _node in referenced(segmentation, TEMPLATE_ROLE))

    def showMirror(
        self, segmentation: Any, isShown: bool = True, boneSlug: str | None = None
    ) -> tuple[str, ...]:
        """Lay the mirrored other side over a broken bone, to compare with; or remove it.

        Args:
            segmentation: vtkMRMLSegmentationNode.
            isShown: whether it is shown.
            boneSlug: the broken bone; None takes that with the most fragments that has a side.

        Returns:
            Why it may be a poor template, one sentence each.

        Raises:
            FracSegError: there is no other side.
        """
        if isShown:
            return show_mirror(segmentation, boneSlug)
        remove_mirror(segmentation)
        return ()


def show_mirror(segmentation: Any, bone_slug: str | None) -> tuple[str, ...]:
    """Show the template of a bone.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        bone_slug: the broken bone; None takes that with the most fragments that has a side.

    Returns:
        Why it may be a poor template.

    Raises:
        InputError: no bone of the segmentation has a side, or the other side is missing.
    """
    from FractureSegmentationLib.mrml.plan_nodes import show_mirrored_side

    chosen = bone_slug or _most_broken(segmentation)
    return show_mirrored_side(segmentation, chosen).template.warnings


def remove_mirror(segmentation: Any) -> None:
    """Take all templates of a segmentation out of the scene."""
    from FractureSegmentationLib.mrml.plan_nodes import TEMPLATE_ROLE, referenced, remove_nodes

    remove_nodes(segmentation, list(referenced(segmentation, TEMPLATE_ROLE)))
    segmentation.RemoveNodeReferenceIDs(TEMPLATE_ROLE)


def _most_broken(segmentation: Any) -> str:
    from FractureSegmentationLib.mrml.segmentation import fragments_of

    counts = Counter(record.bone.slug for record in fragments_of(segmentation).records)
    paired = [(count, slug) for slug, count in counts.items() if bone_named(slug).side]
    if not paired:
        raise InputError(
            _("No bone of the segmentation has another side."), _("Segment the other side too.")
        )
    return max(paired)[1]
