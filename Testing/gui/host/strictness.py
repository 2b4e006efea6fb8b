"""New attributes on C++ objects are refused, as PythonQt refuses them.

`label.enabeld = False` is a silent no-op in plain Python and an error in Slicer. Classes of the
host that stand for C++ classes carry `STANDS_FOR_CPP = True` and are as strict; they keep their
own state in names that begin with an underscore. Python subclasses made by a module stay free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import shiboken6
from PySide6 import QtCore

from Testing.gui.host.properties import qt_classes

Setter = Callable[[Any, str, Any], None]

_cpp: set[type] = set()
_is_paused = False


@contextmanager
def paused() -> Iterator[None]:
    """Allow new attributes meanwhile: PySide's .ui loader makes one of each named child."""
    global _is_paused  # noqa: PLW0603  one interception per process
    before, _is_paused = _is_paused, True
    try:
        yield
    finally:
        _is_paused = before


def install_strictness() -> bool:
    """Make all Qt classes refuse unknown attributes; False where this Python forbids it.

    A Python function in place of a C-level setter has to call one that CPython accepts for a Qt
    object. Which one that is has changed between CPython versions, so each is tried on an
    object, and everything is taken back where none works.
    """
    if _cpp:
        return True
    classes = list(qt_classes())
    replaced = {cls: vars(cls).get("__setattr__") for cls in classes}
    candidates: tuple[Setter, ...] = (shiboken6.Object.__setattr__, object.__setattr__)
    _cpp.update(classes)
    for write in candidates:
        refusing = _refusing(write)
        for cls in classes:
            cls.__setattr__ = refusing
        if _is_in_force():
            return True
    _cpp.clear()
    for cls, original in replaced.items():
        if original is None:
            del cls.__setattr__
        else:
            cls.__setattr__ = original
    return False


def is_strict() -> bool:
    """Whether unknown attributes are refused in this process."""
    return bool(_cpp)


def _refusing(write: Setter) -> Setter:
    def set_attribute(self: Any, name: str, value: Any) -> None:
        cls = type(self)
        if _is_paused:
            write(self, name, value)
            return
        if _stands_for_cpp(cls) and not name.startswith("_") and not hasattr(cls, name):
            if self.property(name) is None:  # a dynamic property may be written as an attribute
                raise AttributeError(
                    f"Attribute '{name}' does not exist and creation of new attributes "
                    f"on C++ objects is not allowed ({cls.__name__})"
                )
            self.setProperty(name, value)
            return
        write(self, name, value)

    return set_attribute


def _stands_for_cpp(cls: type) -> bool:
    return cls in _cpp or "STANDS_FOR_CPP" in vars(cls)


def _is_in_force() -> bool:
    probe = QtCore.QTimer()
    try:
        probe.interval = 7
    except (TypeError, AttributeError):
        return False
    try:
        probe.intervall = 8
    except AttributeError:
        return bool(probe.interval == 7)
    except TypeError:
        return False
    return False
