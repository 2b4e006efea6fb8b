"""Section Correct: merge, split, assign, renumber, undo, their keys, and the Segment Editor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from FractureSegmentationLib.errors import InputError
from FractureSegmentationPanel.sections.drawing import Drawing, Kind, hint_of
from FractureSegmentationPanel.sections.editor import (
    REDO_KEYS,
    UNDO_KEYS,
    EditorHistory,
    EmbeddedEditor,
)
from FractureSegmentationPanel.sections.granularity import GranularitySlider
from FractureSegmentationPanel.sections.messages import busy_cursor, failures_shown_in, show_message


class CorrectSection:
    """Buttons that change fragments; each of them is one call of the logic and one undo step.

    Args:
        panel: the widget that this is a section of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        ui = self._ui
        self.editor = EmbeddedEditor(ui.editorCollapsibleButton.layout())
        self.history = EditorHistory(self.editor)
        self._drawing = Drawing(
            self.onDrawingChanged, self.onDrawingStopped, lambda: ui.samePieceCheckBox.checked
        )
        self._granularity = GranularitySlider(panel, self._change)
        self._shortcuts = Shortcuts(
            {
                "M": self.onMerge,
                "S": self._toggler("points"),
                "A": self._toggler("piece"),
                **dict.fromkeys(UNDO_KEYS, self.onUndo),
                **dict.fromkeys(REDO_KEYS, self.onRedo),
            }
        )
        self._drawing_keys = Shortcuts({"Return": self.onApplyCut, "Esc": self.onStopDrawing})
        self._draw_buttons: dict[Kind, Any] = {
            "points": ui.splitPointsButton,
            "plane": ui.splitPlaneButton,
            "curve": ui.splitCurveButton,
            "piece": ui.assignButton,
        }
        for kind, button in self._draw_buttons.items():
            button.connect("clicked()", self._toggler(kind))
        ui.mergeButton.connect("clicked()", self.onMerge)
        ui.renumberButton.connect("clicked()", self.onRenumber)
        ui.undoButton.connect("clicked()", self.onUndo)
        ui.redoButton.connect("clicked()", self.onRedo)
        ui.adoptButton.connect("clicked()", self.onAdopt)
        ui.applyCutButton.connect("clicked()", self.onApplyCut)
        ui.stopDrawingButton.connect("clicked()", self.onStopDrawing)
        ui.editorCollapsibleButton.connect("contentsCollapsed(bool)", self.onEditorCollapsed)

    @property
    def drawing(self) -> Drawing:
        """What is being drawn."""
        return self._drawing

    def enter(self) -> None:
        """The panel is shown."""
        self.editor.enter()
        self._shortcuts.install()

    def leave(self) -> None:
        """The panel is hidden: every key and every view is given back."""
        self._drawing.stop()
        self._shortcuts.remove()
        self._drawing_keys.remove()
        self.editor.leave()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.editor.cleanup()

    def forgetNodes(self) -> None:
        """The scene is closing."""
        self._drawing.stop()
        self.editor.forget_nodes()
        show_message(self._ui.correctMessageLabel, "")

    def refresh(self) -> None:
        """Enable what can be done now."""
        segmentation, ui = self._panel.segmentation(), self._ui
        has_fragments = bool(segmentation and segmentation.GetSegmentation().GetNumberOfSegments())
        selected = self._panel.selectedSegmentIds() if has_fragments else []
        if self.editor.is_made:
            self.editor.show(segmentation, self._panel.volume())
        ui.mergeButton.enabled = len(selected) >= 2
        for button in (ui.renumberButton, ui.splitPointsButton, ui.splitCurveButton):
            button.enabled = has_fragments
        ui.splitPlaneButton.enabled = ui.assignButton.enabled = len(selected) == 1
        if self._drawing.kind is not None:
            self._draw_buttons[self._drawing.kind].enabled = True
        self.refreshUndo()
        self._granularity.refresh()
        ui.adoptButton.visible = has_fragments and bool(self._logic.newSegments(segmentation))

    def refreshUndo(self) -> None:
        """Enable undo and redo, and say what they would do."""
        timeline = self._panel.undo
        for button, text, nothing in (
            (self._ui.undoButton, timeline.undo_text(), _("There is nothing to undo.")),
            (self._ui.redoButton, timeline.redo_text(), _("There is nothing to redo.")),
        ):
            button.enabled = bool(text)
            button.toolTip = text or nothing

    def onMerge(self) -> None:
        """Merge the selected fragments."""
        selected = self._panel.selectedSegmentIds()
        if len(selected) < 2:
            show_message(self._ui.correctMessageLabel, _("Select two or more fragments to merge."))
            return
        self._change(lambda segmentation: self._logic.merge(segmentation, selected))

    def onRenumber(self) -> None:
        """Number by volume."""
        self._change(self._logic.renumber)

    def onUndo(self) -> None:
        """Take back what was done last: a correction, or a move of the plan."""
        self._restore(self._panel.undo.undo)

    def onRedo(self) -> None:
        """Make it again."""
        self._restore(self._panel.undo.redo)

    def onAdopt(self) -> None:
        """Make fragments of what was drawn in the Segment Editor."""
        for segment_id in self._logic.newSegments(self._panel.segmentation()):
            self._change(partial(self._logic.adopt, segmentId=segment_id))

    def settle(self) -> None:
        """Bring in order what an effect of the editor has left."""
        segmentation = self._panel.segmentation()
        # After an undo everything is in order, and another change would end the redo.
        if segmentation is None or not self._is_effect_active() or self.history.can_redo:
            return
        with failures_shown_in(self._ui.correctMessageLabel):
            self._logic.reconcile(segmentation)

    def _is_effect_active(self) -> bool:
        return self.editor.is_made and self.editor.widget.activeEffect() is not None

    def onEditorCollapsed(self, is_collapsed: bool) -> None:
        """Make the editor when it is first opened; let go of its tool when it is closed."""
        if not is_collapsed:
            self._drawing.stop()
            self.editor.show(self._panel.segmentation(), self._panel.volume())
        elif self.editor.is_made:
            self.editor.widget.setActiveEffect(None)

    def startDrawing(self, kind: Kind) -> None:
        """Let the user draw."""
        ui, segmentation = self._ui, self._panel.segmentation()
        show_message(ui.correctMessageLabel, "")
        if segmentation is None:
            return
        selected = self._panel.selectedSegmentIds()
        if kind in {"plane", "piece"} and len(selected) != 1:
            show_message(ui.correctMessageLabel, _("Select one fragment in the table first."))
            return
        bounds = self._logic.boundsOf(segmentation, selected[0]) if kind == "plane" else None
        # Esc and the left button belong to the drawing as long as it is there.
        self.editor.leave()
        self._drawing.start(kind, bounds)
        self._drawing_keys.install()
        ui.samePieceCheckBox.visible = kind == "points"
        ui.samePieceCheckBox.checked = False
        ui.applyCutButton.visible = kind != "piece"
        ui.drawingFrame.visible = True
        for name, button in self._draw_buttons.items():
            button.checked = name == kind
        self.onDrawingChanged()

    def onDrawingChanged(self) -> None:
        """A point was drawn, or the mouse does something else now."""
        kind, least = self._drawing.kind, {"points": 2, "plane": 0, "curve": 2}
        if kind is None:
            return
        self._ui.drawingHintLabel.text = hint_of(kind, self._drawing.state)
        if kind == "piece":
            if self._drawing.points():
                self.onApplyCut()
            return
        drawn = len(self._drawing.pieces() if kind == "points" else self._drawing.points())
        self._ui.applyCutButton.enabled = drawn >= least[kind]

    def onStopDrawing(self) -> None:
        """Give the drawing up."""
        self._drawing.stop()

    def onDrawingStopped(self) -> None:
        """The drawing is gone."""
        self._ui.drawingFrame.visible = False
        for button in self._draw_buttons.values():
            button.checked = False
        self._drawing_keys.remove()
        if self._panel.isOpen:
            self.editor.enter()
        self.refresh()

    def onApplyCut(self) -> None:
        """Do what was drawn; if that is not possible, the drawing stays to be changed."""
        drawing, kind = self._drawing, self._drawing.kind
        if kind is None or (kind != "piece" and not self._ui.applyCutButton.enabled):
            return
        actions: dict[Kind, Callable[[Any], None]] = {
            "points": self._split_at_points,
            "plane": self._split_by_plane,
            "curve": self._split_by_curve,
            "piece": self._assign,
        }
        if self._change(actions[kind]) or kind == "piece":
            drawing.stop()

    def _split_at_points(self, segmentation: Any) -> None:
        pieces = self._drawing.pieces()
        target = self._target(segmentation, [pieces[0][0]])
        self._logic.splitAtPoints(segmentation, target, pieces)

    def _split_by_plane(self, segmentation: Any) -> None:
        origin, normal = self._drawing.plane()
        target = self._target(segmentation, [])
        self._logic.splitByPlane(segmentation, target, origin, normal)

    def _split_by_curve(self, segmentation: Any) -> None:
        points, direction = self._drawing.points(), self._drawing.view_direction_ras
        selected = self._panel.selectedSegmentIds()
        target = selected[0] if len(selected) == 1 else self._target(segmentation, points)
        self._logic.splitByCurve(segmentation, target, points, direction)

    def _assign(self, segmentation: Any) -> None:
        target = self._target(segmentation, [])
        self._logic.assign(segmentation, self._drawing.points()[0], target)

    def _target(self, segmentation: Any, points: list[Any]) -> str:
        """The fragment that is meant: the one under the points, else the one selected."""
        for point in points:
            segment_id: str = self._logic.fragmentAt(segmentation, point)
            if segment_id:
                return segment_id
        selected: list[str] = self._panel.selectedSegmentIds()
        if len(selected) == 1:
            return selected[0]
        raise InputError(
            _("It is not clear which fragment is meant."), _("Select it in the table.")
        )

    def _change(self, action: Callable[[Any], Any]) -> bool:
        """Run a change; returns whether it was made."""
        segmentation, is_done = self._panel.segmentation(), False
        if segmentation is None:
            return False
        with failures_shown_in(self._ui.correctMessageLabel), busy_cursor():
            action(segmentation)
            is_done = True
        self._panel.fragmentsChanged()
        return is_done

    def _restore(self, action: Callable[[], None]) -> None:
        with failures_shown_in(self._ui.correctMessageLabel), busy_cursor():
            action()
        self.refresh()

    def _toggler(self, kind: Kind) -> Callable[[], None]:
        def toggle() -> None:
            is_this = self._drawing.kind == kind
            self._drawing.stop()
            if not is_this:
                self.startDrawing(kind)
            if self._drawing.kind is None:
                self._draw_buttons[kind].checked = False

        return toggle


class Shortcuts:
    """A set of keys of the main window.

    Args:
        actions: what each key does, by the key's name, e.g. "M" or "Ctrl+Z". Not to be used: the
            keys of the Segment Editor (digits, Q, W, I, Space, Esc), for Qt answers a key that two
            want by doing neither.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._installed: list[Any] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that work now."""
        return tuple(shortcut.key.toString() for shortcut in self._installed)

    def install(self) -> None:
        """Let the keys work; without a main window there is nobody to press them."""
        self.remove()
        window = slicer.util.mainWindow()
        if window is None:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            self._installed.append(shortcut)

    def remove(self) -> None:
        """Let the keys do what they did before."""
        for shortcut in self._installed:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed.clear()
