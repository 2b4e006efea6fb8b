"""One undo history for buttons and effects: the segmentation's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import slicer

from FractureSegmentationLib.mrml.nodes import SegmentationNode

MOST_UNDO_STATES = 10
MOST_UNDO_BYTES = 500_000_000


class UndoHistory(Protocol):
    """What a correction asks of a history: the Segment Editor's or `SegmentationHistory`."""

    def save_state(self) -> None:
        """Remember the segmentation as it is, for the undo of what comes next."""
        ...


def undo_states(node: SegmentationNode | None) -> int:
    """How many states an undo history may keep of a segmentation: 10 or 500 MB, but at least one.

    A state holds a copy of every labelmap layer (segments that share one share its copy), in the
    worst case of all of them: a change of one voxel changes its whole layer.

    Args:
        node: the segmentation; None where there is none.
    """
    size = 0 if node is None else _labelmap_bytes(node)
    return max(1, min(MOST_UNDO_STATES, MOST_UNDO_BYTES // size)) if size else MOST_UNDO_STATES


def _labelmap_bytes(node: SegmentationNode) -> int:
    inner = node.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segments = (inner.GetSegment(one) for one in inner.GetSegmentIDs())
    layers = {one.GetRepresentation(name) for one in segments} - {None}
    return sum(_image_bytes(layer) for layer in layers)


def _image_bytes(image: Any) -> int:
    voxels: int = image.GetNumberOfPoints()
    return voxels * int(image.GetScalarSize())


class SegmentationHistory:
    """What can be undone and redone where no Segment Editor widget keeps the history.

    Voxels, names, colours and tags of all segments are taken back, and segments themselves.

    Args:
        node: the segmentation.
        maximum_states: how many steps are kept at most; each holds the bones' voxels, so of large
            ones it may be fewer, see `undo_states`.
        editor_logic: a vtkSlicerSegmentEditorLogic that works on the same segmentation: buttons
            and effects then undo from its history. None makes a history for buttons alone.

    Raises:
        ValueError: fewer than one step is to be kept.
    """

    def __init__(
        self,
        node: SegmentationNode,
        maximum_states: int = MOST_UNDO_STATES,
        editor_logic: Any = None,
    ) -> None:
        if maximum_states < 1:
            raise ValueError(f"maximum_states must be at least 1, got {maximum_states}")
        self._node = node
        # The other way round, a history given to the logic, crashes once the logic is gone.
        self._history = _OwnHistory(node) if editor_logic is None else editor_logic
        self._maximum_states = maximum_states
        self._bound()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._history.CanUndo())

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again; any other change ends that."""
        return bool(self._history.CanRedo())

    def save_state(self) -> None:
        """Remember the segmentation as it is, for the undo of what comes next."""
        self._bound()
        self._history.SaveStateForUndo()

    def _bound(self) -> None:
        # The state before an undo is one of those that are kept, and not yet a step.
        states = min(self._maximum_states, undo_states(self._node))
        self._history.SetMaximumNumberOfUndoStates(states + 1)

    def undo(self) -> bool:
        """Take the latest step back; False where there is none."""
        return self.can_undo and self._restored(self._history.Undo)

    def redo(self) -> bool:
        """Do the step again that was undone last; False where there is none."""
        return self.can_redo and self._restored(self._history.Redo)

    def clear(self) -> None:
        """Forget everything, e.g. when another segmentation is loaded."""
        self._history.ClearUndoState()

    def _restored(self, restore: Callable[[], object]) -> bool:
        was_modifying = self._node.StartModify()
        try:
            restore()
        finally:
            self._node.EndModify(was_modifying)
        return True


class _OwnHistory:
    """A vtkSegmentationHistory that is called as the Segment Editor's logic is."""

    def __init__(self, node: SegmentationNode) -> None:
        history = slicer.vtkSegmentationHistory()
        history.SetSegmentation(node.GetSegmentation())
        self.SetMaximumNumberOfUndoStates = history.SetMaximumNumberOfStates
        self.CanUndo = history.IsRestorePreviousStateAvailable
        self.CanRedo = history.IsRestoreNextStateAvailable
        self.SaveStateForUndo = history.SaveState
        self.Undo = history.RestorePreviousState
        self.Redo = history.RestoreNextState
        self.ClearUndoState = history.RemoveAllStates
