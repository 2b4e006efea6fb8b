"""Undo and redo: corrections of fragments and moves of the plan, in the order they were made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slicer.i18n import tr as _

from FractureSegmentationPanel.logic.parameters import PerNode

CORRECTION, MOVE = "correction", "move"


class _Order:
    """Kinds of what was done to one segmentation, and of what was taken back; latest last."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.undone: list[str] = []


class UndoTimeline:
    """Knows which of the two histories holds what the user did last.

    Corrections are kept by the Segment Editor, which its effects share; moves by the plan.

    Args:
        panel: the widget.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._logic = panel, panel.logic
        self._orders = PerNode()
        self._is_restoring = False

    def forget(self) -> None:
        """The scene is closing."""
        self._orders.clear()

    def corrected(self) -> None:
        """Fragments have changed: by a button, an effect, or the editor's own undo."""
        segmentation = self._panel.segmentation()
        if self._is_restoring or segmentation is None:
            return
        order = self._order(segmentation)
        if self._corrections.can_redo:  # a new change leaves nothing to redo: this was an undo
            for index in reversed(range(len(order.done))):
                if order.done[index] == CORRECTION:
                    order.undone.append(order.done.pop(index))
                    break
            return
        order.done.append(CORRECTION)
        order.undone.clear()
        self._moves(segmentation).drop_redo()

    def settle_moves(self) -> None:
        """Make one step of what was moved; called when the hand has come to rest."""
        segmentation = self._panel.segmentation()
        if segmentation is None or not self._logic.hasPlan(segmentation):
            return
        if self._moves(segmentation).settle():
            order = self._order(segmentation)
            order.done.append(MOVE)
            order.undone.clear()

    def undo(self) -> None:
        """Take back what was done last, whichever it was."""
        self.settle_moves()
        segmentation = self._panel.segmentation()
        kind = self._next_undo(segmentation)
        if not kind:
            return
        order = self._order(segmentation)
        if order.done:
            order.done.pop()
        order.undone.append(kind)
        if kind == MOVE:
            self._moves(segmentation).undo()
            self._panel.plan.refreshMoves()
        else:
            self._restore(segmentation, self._logic.undo)

    def redo(self) -> None:
        """Make again what was taken back last."""
        self.settle_moves()
        segmentation = self._panel.segmentation()
        kind = self._next_redo(segmentation)
        if not kind:
            return
        order = self._order(segmentation)
        if order.undone:
            order.undone.pop()
        order.done.append(kind)
        if kind == MOVE:
            self._moves(segmentation).redo()
            self._panel.plan.refreshMoves()
        else:
            self._restore(segmentation, self._logic.redo)

    def undo_text(self) -> str:
        """What the next undo takes back; "" if there is nothing."""
        segmentation = self._panel.segmentation()
        kind = self._next_undo(segmentation)
        if kind == MOVE:
            moved = self._names(segmentation, self._moves(segmentation).next_undo)
            return str(_("Undo the move of {names} (Ctrl+Z)")).format(names=moved)
        return str(_("Undo the last correction (Ctrl+Z)")) if kind else ""

    def redo_text(self) -> str:
        """What the next redo makes again; "" if there is nothing."""
        segmentation = self._panel.segmentation()
        kind = self._next_redo(segmentation)
        if kind == MOVE:
            moved = self._names(segmentation, self._moves(segmentation).next_redo)
            return str(_("Redo the move of {names} (Ctrl+Y)")).format(names=moved)
        return str(_("Redo the last correction (Ctrl+Y)")) if kind else ""

    def _next_undo(self, segmentation: Any) -> str:
        if segmentation is None:
            return ""
        order = self._order(segmentation)
        while order.done and not self._can_undo(segmentation, order.done[-1]):
            order.done.pop()  # the oldest steps are not kept for ever
        if order.done:
            return order.done[-1]
        return next((k for k in (CORRECTION, MOVE) if self._can_undo(segmentation, k)), "")

    def _next_redo(self, segmentation: Any) -> str:
        if segmentation is None:
            return ""
        order = self._order(segmentation)
        can_redo = {
            CORRECTION: self._corrections.can_redo,
            MOVE: self._moves(segmentation).can_redo,
        }
        while order.undone and not can_redo[order.undone[-1]]:
            order.undone.pop()
        return order.undone[-1] if order.undone else ""

    def _can_undo(self, segmentation: Any, kind: str) -> bool:
        if kind == CORRECTION:
            return bool(self._corrections.can_undo)
        return self._logic.hasPlan(segmentation) and self._moves(segmentation).can_undo

    def _restore(self, segmentation: Any, restore: Any) -> None:
        """Undo or redo a correction; fragments that come back lie where they were moved to."""
        self._is_restoring = True
        try:
            restore(segmentation)
            self._panel.fragmentsChanged()
        finally:
            self._is_restoring = False
        if self._logic.hasPlan(segmentation):
            self._moves(segmentation).give_back()
            self._panel.plan.refreshMoves()

    def _names(self, segmentation: Any, segment_ids: Iterable[str]) -> str:
        inner = segmentation.GetSegmentation()
        names = [inner.GetSegment(one).GetName() for one in segment_ids if inner.GetSegment(one)]
        return names[0] if len(names) == 1 else str(_("{n} fragments")).format(n=len(names))

    @property
    def _corrections(self) -> Any:
        return self._panel.correct.history

    def _moves(self, segmentation: Any) -> Any:
        return self._logic.movesOf(segmentation)

    def _order(self, segmentation: Any) -> _Order:
        order: _Order = self._orders.value_of(segmentation, _Order)
        return order
