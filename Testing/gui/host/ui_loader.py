"""Loads .ui files with the stand-ins, and refuses what they do not know.

Qt's loader makes a dynamic property of an unknown one and prints a line about a connection it
cannot make. Here both are errors, as is a widget class that no stand-in covers: a panel that
loads has no typing mistake in its .ui file.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from Testing.gui.host.signals import normalized
from Testing.gui.host.standin import StandIn, declared_properties
from Testing.gui.host.strictness import paused

CUSTOM: dict[str, type] = {}


class UiFileError(RuntimeError):
    """The .ui file uses something that the stand-ins, or the real classes, do not have."""


class QUiLoader(QtUiTools.QUiLoader):
    """`qt.QUiLoader` with the classes of `CUSTOM` registered."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        for cls in CUSTOM.values():
            self.registerCustomWidget(cls)

    def load(self, device: Any, parent: Any = None) -> Any:
        """Build the widget that an open file describes.

        Raises:
            UiFileError: an unknown class, property, signal or slot.
        """
        root = ET.fromstring(bytes(device.readAll().data()))  # noqa: S314  our own file
        _refuse_unknown_classes(root)
        _refuse_flags_as_enum(root)
        connections = _take_connections(root)
        properties = list(_take_properties(root))
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        with paused():
            widget = super().load(buffer, parent)
        for name, element in properties:
            setattr(_find(widget, name), str(element.get("name")), _value(element))
        for connection in connections:
            _connect(widget, connection)
        return widget


def _refuse_unknown_classes(root: ET.Element) -> None:
    used = {str(element.get("class")) for element in root.iter("widget")}
    unknown = sorted(name for name in used if name not in CUSTOM and not hasattr(QtWidgets, name))
    if unknown:
        raise UiFileError(f"no stand-in for {', '.join(unknown)}")


def _refuse_flags_as_enum(root: ET.Element) -> None:
    """Qt 5 keeps the last key of `<enum>A|B</enum>`, Qt 6 cannot read it; flags are a `<set>`."""
    for element in root.iter("enum"):
        if "|" in (element.text or ""):
            raise UiFileError(f"flags {element.text} written as <enum>: write <set>")


def _take_connections(root: ET.Element) -> list[dict[str, str]]:
    section = root.find("connections")
    if section is None:
        return []
    root.remove(section)
    keys = ("sender", "signal", "receiver", "slot")
    return [{key: str(element.findtext(key)) for key in keys} for element in section]


def _take_properties(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    """Properties that a stand-in declares itself; Qt's loader cannot see them."""
    for widget in root.iter("widget"):
        cls = CUSTOM.get(str(widget.get("class")))
        if cls is None:
            continue
        declared = declared_properties(cls)
        for element in widget.findall("property"):
            name = str(element.get("name"))
            if name in declared:
                widget.remove(element)
                yield str(widget.get("name")), element
            elif element.get("stdset") != "0" and not _qt_has(cls, name):
                raise UiFileError(f"{cls.__name__} has no property '{name}'")


def _qt_has(cls: type, name: str) -> bool:
    """Whether the Qt class under a stand-in has a property."""
    # Not of the stand-in itself: its meta object is replaced when a signal is first used.
    native = next(base for base in cls.__mro__ if base.__module__.startswith("PySide6"))
    return bool(native.staticMetaObject.indexOfProperty(name) >= 0)


def _value(element: ET.Element) -> Any:
    child = element[0]
    read = _READERS.get(child.tag)
    return child.text or "" if read is None else read(child)


def _color(child: ET.Element) -> QtGui.QColor:
    return QtGui.QColor(*(int(child.findtext(name) or 0) for name in ("red", "green", "blue")))


def _enumerated(text: str) -> Any:
    """`ctkPathLineEdit::Dirs|ctkPathLineEdit::Readable` as a number."""
    total = 0
    for part in text.split("|"):
        *scope, name = part.split("::")
        owner: Any = CUSTOM.get(scope[0]) or getattr(QtWidgets, scope[0], None)
        owner = owner or (QtCore.Qt if scope[0] == "Qt" else None)
        value = getattr(owner, name, None)
        if value is None:
            raise UiFileError(f"unknown enumerator {part}")
        total |= value if isinstance(value, int) else value.value
    return total


_READERS: dict[str, Callable[[ET.Element], Any]] = {
    "bool": lambda child: child.text == "true",
    "number": lambda child: int(child.text or 0),
    "double": lambda child: float(child.text or 0),
    "float": lambda child: float(child.text or 0),
    "stringlist": lambda child: [entry.text or "" for entry in child.findall("string")],
    "color": _color,
    "set": lambda child: _enumerated(child.text or ""),
    "enum": lambda child: _enumerated(child.text or ""),
    "iconset": lambda _: QtGui.QIcon(),
}


def _find(widget: Any, name: str) -> Any:
    found = widget if widget.objectName == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise UiFileError(f"no object named '{name}'")
    return found


def _connect(widget: Any, connection: dict[str, str]) -> None:
    sender = _find(widget, connection["sender"])
    receiver = _find(widget, connection["receiver"])
    slot = normalized(connection["slot"])
    name, _, types = slot[:-1].partition("(")
    known = isinstance(receiver, StandIn) and callable(getattr(receiver, name, None))
    if not known and receiver.metaObject().indexOfMethod(slot) < 0:
        raise UiFileError(f"{type(receiver).__name__} has no slot {slot}")
    sent = normalized(connection["signal"])[:-1].partition("(")[2]
    if types and sent.split(",")[: len(types.split(","))] != types.split(","):
        raise UiFileError(f"{connection['signal']} does not fit {slot}")
    sender.connect(connection["signal"], getattr(receiver, name))
