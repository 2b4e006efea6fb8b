"""The embedded Segment Editor, and its undo history for buttons and effects alike."""

from __future__ import annotations

from typing import Any

import slicer

PARAMETER_TAG = "FractureSegmentation"
"""Our own editor node: the Segment Editor module keeps its effect, segment and masks."""

EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Islands", "Smoothing")
UNDO_KEYS, REDO_KEYS = ("Ctrl+Z", "Z"), ("Ctrl+Y", "Y")
"""The Segment Editor has had both forms; the panel answers them in its place."""
_REGISTERED = "effectRegistered(QString)"


class EmbeddedEditor:
    """A Segment Editor with few tools. It is made when it is first needed: making it takes time.

    Args:
        place: the layout that receives it.
    """

    def __init__(self, place: Any) -> None:
        self._place = place
        self._widget: Any = None
        self._are_keys_wanted = False

    @property
    def widget(self) -> Any:
        """The qMRMLSegmentEditorWidget; made by the first look at it."""
        if self._widget is None:
            self._widget = self._made()
            if self._are_keys_wanted:
                self._install_keys()
        return self._widget

    @property
    def is_made(self) -> bool:
        """Whether anybody has needed it yet."""
        return self._widget is not None

    def show(self, segmentation: Any, volume: Any) -> None:
        """Edit these nodes; their order matters to the editor."""
        from FractureSegmentationLib.mrml.history import undo_states

        if segmentation is None and not self.is_made:
            return
        widget = self.widget
        self._attach()
        if widget.segmentationNode() is not segmentation:
            widget.setActiveEffect(None)
            widget.setSegmentationNode(segmentation)
        if segmentation is not None and widget.sourceVolumeNode() is not volume:
            widget.setSourceVolumeNode(volume)
        widget.setMaximumNumberOfUndoStates(undo_states(segmentation))

    def enter(self) -> None:
        """The panel is shown: the editor's keys work."""
        self._are_keys_wanted = True
        if self.is_made:
            self._widget.setupViewObservations()
            self._install_keys()

    def leave(self) -> None:
        """The panel is hidden, or its views are needed for something else."""
        self._are_keys_wanted = False
        if self.is_made:
            self._widget.setActiveEffect(None)
            self._widget.uninstallKeyboardShortcuts()
            self._widget.removeViewObservations()

    def forget_nodes(self) -> None:
        """The scene is closing."""
        if self.is_made:
            self._widget.setActiveEffect(None)
            self._widget.setSegmentationNode(None)
            self._widget.setMRMLSegmentEditorNode(None)

    def cleanup(self) -> None:
        """The panel goes away; the factory of effects, which outlives it, no longer calls."""
        if self.is_made:
            factory = slicer.qSlicerSegmentEditorEffectFactory.instance()
            factory.disconnect(_REGISTERED, self._on_effect_registered)
            self.forget_nodes()
            self._widget = None

    def _on_effect_registered(self) -> None:
        # The widget's own slot takes no argument, and PythonQt trims them for Python alone.
        if self.is_made:
            self._widget.updateEffectList()

    def _made(self) -> Any:
        widget = slicer.qMRMLSegmentEditorWidget()
        # The node before the scene, as the header of the widget asks.
        widget.setMRMLSegmentEditorNode(_editor_node())
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setEffectNameOrder(list(EFFECTS))
        widget.unorderedEffectsVisible = False
        widget.setSegmentationNodeSelectorVisible(False)
        widget.setSourceVolumeNodeSelectorVisible(False)
        widget.setSwitchToSegmentationsButtonVisible(False)
        factory = slicer.qSlicerSegmentEditorEffectFactory.instance()
        factory.connect(_REGISTERED, self._on_effect_registered)
        self._place.addWidget(widget)
        return widget

    def _install_keys(self) -> None:
        """Let the editor's keys work, but for undo and redo: the panel has moves to undo as well.

        Qt answers a key that two shortcuts want by doing neither, so the editor's are disabled.
        """
        window = slicer.util.mainWindow()
        before = set() if window is None else set(window.children())
        self._widget.installKeyboardShortcuts()
        for child in () if window is None else set(window.children()) - before:
            if child.inherits("QShortcut") and child.key.toString() in UNDO_KEYS + REDO_KEYS:
                child.setEnabled(False)

    def _attach(self) -> None:
        """Give the editor its node; a closed scene takes the node away."""
        node = _editor_node()
        if self._widget.mrmlSegmentEditorNode() is not node:
            self._widget.setMRMLSegmentEditorNode(node)


def _editor_node() -> Any:
    """Our own vtkMRMLSegmentEditorNode of the scene."""
    scene = slicer.mrmlScene
    node = scene.GetSingletonNode(PARAMETER_TAG, "vtkMRMLSegmentEditorNode")
    if node is not None:
        return node
    node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
    node.UnRegister(None)
    node.SetSingletonTag(PARAMETER_TAG)
    return scene.AddNode(node)


class EditorHistory:
    """The editor's own undo history, for what the buttons do.

    Args:
        editor: shows the segmentation that is changed.
    """

    def __init__(self, editor: EmbeddedEditor) -> None:
        self._editor = editor

    def save_state(self) -> None:
        """Remember the segmentation as it is; called before a change."""
        self._editor.widget.saveStateForUndo()

    def undo(self) -> bool:
        """Take the last change back; False if there was none."""
        if not self.can_undo:
            return False
        self._editor.widget.undo()
        return True

    def redo(self) -> bool:
        """Make the change again that was taken back; False if there was none."""
        if not self.can_redo:
            return False
        self._editor.widget.redo()
        return True

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return self._is_enabled("UndoButton")

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return self._is_enabled("RedoButton")

    def _is_enabled(self, name: str) -> bool:
        # The widget has no getter for scripts; its own buttons know, whether or not they are seen.
        if not self._editor.is_made:
            return False
        button = slicer.util.findChild(self._editor.widget, name)
        return bool(button.enabled)
