"""Ctrl + click while points are placed: markups themselves place points without a key only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

_BEFORE_OTHERS = 10.0


class CtrlClicks:
    """Watches the slice views.

    Args:
        on_click: called with the place clicked, in the world's RAS, mm.
    """

    def __init__(self, on_click: Callable[[tuple[float, float, float]], None]) -> None:
        self._on_click = on_click
        self._tags: list[tuple[Any, int]] = []
        self.is_clicking = False

    def start(self) -> None:
        """Begin to watch; without views there is nothing to watch."""
        self.stop()
        layout = slicer.app.layoutManager()
        if layout is None:
            return
        for name in layout.sliceViewNames():
            widget = layout.sliceWidget(name)
            interactor = widget.sliceView().interactor()
            slice_node = widget.mrmlSliceNode()

            def clicked(caller: Any, _: str, slice_node: Any = slice_node) -> None:
                self._clicked(caller, slice_node)

            tag = interactor.AddObserver("LeftButtonReleaseEvent", clicked, _BEFORE_OTHERS)
            self._tags.append((interactor, tag))

    def stop(self) -> None:
        """Stop watching."""
        for interactor, tag in self._tags:
            interactor.RemoveObserver(tag)
        self._tags.clear()

    def _clicked(self, interactor: Any, slice_node: Any) -> None:
        if not interactor.GetControlKey():
            return
        x, y = interactor.GetEventPosition()
        r, a, s, _ = slice_node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))
        self.is_clicking = True
        try:
            self._on_click((r, a, s))
        finally:
            self.is_clicking = False
