"""The undo history of a plan: which fragments were moved, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from FractureSegmentationLib.mrml.nodes import SegmentationNode
from FractureSegmentationLib.mrml.plan_nodes import pose_of, put_pose, transforms_of
from FractureSegmentationLib.planning.pose import Pose

MOST_MOVES = 100
_SAME = 1e-6  # rounding of a matrix that nobody has moved, mm and parts of 1


@dataclass(slots=True)
class _Step:
    """Poses by segment id, before and after one move."""

    before: dict[str, Pose] = field(default_factory=dict)
    after: dict[str, Pose] = field(default_factory=dict)


class MoveHistory:
    """What can be undone and redone of the moves of a plan; the segmentation is no part of it.

    Handles move the transforms directly, so a move is noticed rather than reported: `settle` makes
    one step of whatever was moved since it was called last. Undo moves the fragments of its step
    and no others; one that is there no longer is passed over.

    Args:
        node: the segmentation; it may have no plan yet.
    """

    def __init__(self, node: SegmentationNode) -> None:
        self._node = node
        self._known = self._poses()
        self._done: list[_Step] = []
        self._undone: list[_Step] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a move to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a move to make again; any other move ends that."""
        return bool(self._undone)

    @property
    def next_undo(self) -> tuple[str, ...]:
        """Segment ids of the fragments that the next undo moves."""
        return tuple(self._done[-1].before) if self._done else ()

    @property
    def next_redo(self) -> tuple[str, ...]:
        """Segment ids of the fragments that the next redo moves."""
        return tuple(self._undone[-1].after) if self._undone else ()

    def settle(self) -> bool:
        """Make one step of what was moved since the last call; returns whether anything was.

        A fragment that is new in the plan was not moved, wherever it lies. The last pose of one
        that has left is remembered, see `give_back`.
        """
        step = _Step()
        for segment_id, pose in self._poses().items():
            known = self._known.get(segment_id, pose)
            if not np.allclose(known, pose, rtol=0.0, atol=_SAME):
                step.before[segment_id], step.after[segment_id] = known, pose
            self._known[segment_id] = pose
        if not step.after:
            return False
        self._done = [*self._done, step][-MOST_MOVES:]
        self._undone.clear()
        return True

    def undo(self) -> bool:
        """Take the latest move back; False where there is none."""
        self.settle()
        if not self._done:
            return False
        step = self._done.pop()
        self._undone.append(step)
        self._put(step.before)
        return True

    def redo(self) -> bool:
        """Make the move again that was taken back last; False where there is none."""
        if self.settle() or not self._undone:
            return False
        step = self._undone.pop()
        self._done.append(step)
        self._put(step.after)
        return True

    def give_back(self) -> None:
        """Put fragments that came back by the undo of a correction to where they were moved.

        Called when the plan has followed the fragments: a transform that was made anew is an
        identity.
        """
        back = {
            segment_id: self._known[segment_id]
            for segment_id, pose in self._poses().items()
            if segment_id in self._known and np.array_equal(pose, np.eye(4))
        }
        self._put(back)

    def drop_redo(self) -> None:
        """Another kind of change was made: what was taken back stays so."""
        self._undone.clear()

    def _put(self, poses: Mapping[str, Pose]) -> None:
        transforms = transforms_of(self._node)
        for segment_id, pose in poses.items():
            self._known[segment_id] = pose
            if segment_id in transforms:
                put_pose(transforms[segment_id], pose)

    def _poses(self) -> dict[str, Pose]:
        return {one: pose_of(transform) for one, transform in transforms_of(self._node).items()}
