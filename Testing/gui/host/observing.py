"""VTK observers that end with the widget that made them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
import vtk
from PySide6 import QtCore


class Observations:
    """The observers of one Qt object; all go when it is destroyed."""

    def __init__(self, owner: QtCore.QObject) -> None:
        self._owner = weakref.ref(owner)
        self._tags: list[tuple[Any, int]] = []
        owner.connect("destroyed()", self.clear)

    def add(self, subject: Any, event: int | str, method: str) -> None:
        """Call `owner.method()` when `subject` invokes `event`."""
        self._tags.append((subject, subject.AddObserver(event, self._calling(method))))

    def add_with_node(self, subject: Any, event: int, method: str) -> None:
        """Call `owner.method(node)`, for events that carry a node."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def call(_subject: Any, _event: str, node: Any) -> None:
            owner = self._living()
            if owner is not None:
                getattr(owner, method)(node)

        self._tags.append((subject, subject.AddObserver(event, call)))

    def clear(self) -> None:
        """Remove all observers."""
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags.clear()

    def _living(self) -> Any:
        owner = self._owner()
        return owner if owner is not None and shiboken6.isValid(owner) else None

    def _calling(self, method: str) -> Callable[..., None]:
        def call(*_event: Any) -> None:
            owner = self._living()
            if owner is not None:
                getattr(owner, method)()

        return call
