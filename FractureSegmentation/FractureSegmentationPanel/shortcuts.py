"""Keys that work while the panel is open, and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """A set of keys of the main window.

    Args:
        actions: what each key does, by the key's name, e.g. "M" or "Ctrl+Z". Not to be used: the
            keys of the Segment Editor (digits, Q, W, Y, Z, I, Space, Esc), for Qt answers a key
            that two want by doing neither.
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
