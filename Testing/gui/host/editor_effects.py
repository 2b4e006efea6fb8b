"""Names, parameters and keys of the Segment Editor's effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from Testing.gui.host.standin import Computed, StandIn

EFFECTS = (
    "Threshold", "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds",
    "Fill between slices", "Margin", "Hollow", "Smoothing", "Scissors", "Islands",
    "Logical operators", "Mask volume",
)  # fmt: skip


class Effect(StandIn, QtCore.QObject):
    """One effect of one editor; parameters are kept in the editor's node, as in Slicer."""

    name = Computed(lambda self: self._name)
    title = Computed(lambda self: self._name)

    def __init__(self, editor: Any, name: str) -> None:
        super().__init__(editor)
        self._editor, self._name = editor, name

    def setParameter(self, name: str, value: Any) -> None:
        """Store a parameter as text."""
        node = self._editor.mrmlSegmentEditorNode()
        node.SetAttribute(f"{self._name}.{name}", str(value))

    def parameter(self, name: str) -> str:
        """A parameter, "" when it was never set."""
        node = self._editor.mrmlSegmentEditorNode()
        return node.GetAttribute(f"{self._name}.{name}") or ""

    def self(self) -> Any:
        """The Python object of a scripted effect.

        Raises:
            NotImplementedError: always; effects are not emulated.
        """
        raise NotImplementedError(f"the effect {self._name} is not emulated")


class qSlicerSegmentEditorEffectFactory(StandIn, QtCore.QObject):
    """The registry of effects; the core effects are there from the start."""

    effectRegistered = QtCore.Signal(str)

    @staticmethod
    def instance() -> qSlicerSegmentEditorEffectFactory:
        """The one registry."""
        global _factory  # noqa: PLW0603  a singleton in Slicer too
        if _factory is None:
            _factory = qSlicerSegmentEditorEffectFactory()
        return _factory


_factory: qSlicerSegmentEditorEffectFactory | None = None


def make_effects(editor: Any) -> dict[str, Effect]:
    """The effects of a new editor by name."""
    return {name: Effect(editor, name) for name in EFFECTS}


class EffectsOfEditor:
    """The part of the editor that deals with effects."""

    _node: Any
    _effects: dict[str, Effect]
    _order: list[str]
    _effect_row: QtWidgets.QHBoxLayout
    unorderedEffectsVisible: Any

    def availableEffectNames(self) -> list[str]:
        """Names of all effects."""
        return list(EFFECTS)

    def setEffectNameOrder(self, names: list[str]) -> None:
        """Show effects in this order."""
        self._order = list(names)
        self.updateEffectList()

    def effectNameOrder(self) -> list[str]:
        """The order asked for."""
        return list(self._order)

    def effectCount(self) -> int:
        """How many effects are shown."""
        return len(self._shown_effects())

    def effectByIndex(self, index: int) -> Effect | None:
        """An effect by place."""
        names = self._shown_effects()
        return self._effects[names[index]] if 0 <= index < len(names) else None

    def effectByName(self, name: str) -> Effect | None:
        """An effect by name."""
        return self._effects.get(name)

    def activeEffect(self) -> Effect | None:
        """The effect in use."""
        return self._effects.get(self._node.GetActiveEffectName() or "") if self._node else None

    def setActiveEffect(self, effect: Effect | None) -> None:
        """Use an effect, None for none."""
        self.setActiveEffectByName("" if effect is None else effect.name)

    def setActiveEffectByName(self, name: str) -> None:
        """Use an effect by name, "" for none; nothing happens for an unknown name."""
        if self._node is not None and (not name or name in self._effects):
            self._node.SetActiveEffectName(name or "")

    def updateEffectList(self) -> None:
        """Make the buttons of the effects anew."""
        while self._effect_row.count():
            self._effect_row.takeAt(0).widget().deleteLater()
        for name in self._shown_effects():
            button = QtWidgets.QToolButton(self)
            button.setText(name)
            button.setObjectName(name)
            button.connect("clicked()", self._activating(name))
            self._effect_row.addWidget(button)

    def _activating(self, name: str) -> Any:
        return lambda: self.setActiveEffectByName(name)

    def _shown_effects(self) -> list[str]:
        ordered = [name for name in self._order if name in self._effects]
        rest = [name for name in EFFECTS if name not in ordered]
        return ordered + (rest if self.unorderedEffectsVisible else [])


def _shortcut(key: str, act: Callable[[Any], None]) -> Callable[[Any, Any], Any]:
    def make(editor: Any, parent: Any) -> Any:
        shortcut = QtGui.QShortcut(parent)
        shortcut.setKey(QtGui.QKeySequence(key))
        shortcut.connect("activated()", lambda: act(editor))
        return shortcut

    return make


def _choose_effect(place: int) -> Callable[[Any], None]:
    return lambda editor: editor.setActiveEffect(editor.effectByIndex(place))


def _step(offset: int) -> Callable[[Any], None]:
    def act(editor: Any) -> None:
        node = editor.segmentationNode()
        names = [] if node is None else list(node.GetSegmentation().GetSegmentIDs())
        if editor.currentSegmentID() in names:
            place = names.index(editor.currentSegmentID()) + offset
            editor.setCurrentSegmentID(names[min(max(place, 0), len(names) - 1)])

    return act


def make_shortcuts(editor: Any, parent: Any) -> list[Any]:
    """The editor's keys, at work in `parent`."""
    return [make(editor, parent) for make in SHORTCUTS]


# As the user guide lists them: digits choose an effect, 0 and Esc none.
SHORTCUTS = (
    *(_shortcut(str(digit), _choose_effect(digit - 1)) for digit in range(1, 10)),
    _shortcut("0", lambda editor: editor.setActiveEffect(None)),
    _shortcut("Esc", lambda editor: editor.setActiveEffect(None)),
    _shortcut("Space", lambda editor: editor.setActiveEffect(None)),
    _shortcut("Z", lambda editor: editor.undo()),
    _shortcut("Y", lambda editor: editor.redo()),
    _shortcut("Q", _step(-1)),
    _shortcut("W", _step(1)),
    _shortcut("I", lambda _editor: None),
)
