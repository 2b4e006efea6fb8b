"""Qt properties as plain attributes, the way PythonQt shows them.

PythonQt reads `label.text` and writes `button.enabled = True`; the getter of the same name is
hidden (`label.text()` fails), setters and `is...` getters stay callable. PySide6 has methods
only, so every Qt class gets one data descriptor per property of its meta object.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

# Virtual functions: an attribute of that name would be taken for an override by C++.
VIRTUALS = frozenset({"sizeHint", "minimumSizeHint"})

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], Any]


class QtProperty:
    """One property of a Qt class; `original` is what the class had under that name.

    Class access gives the original back, so that `qt.QTimer.singleShot(0, f)` still works.
    """

    __slots__ = ("getter", "name", "original", "setter")

    def __init__(
        self, name: str, getter: Getter, setter: Setter | None, original: Any = None
    ) -> None:
        self.name, self.getter, self.setter, self.original = name, getter, setter, original

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self if self.original is None else self.original
        return self.getter(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        if self.setter is None:
            raise AttributeError(
                f"property '{self.name}' of {type(instance).__name__} is read only"
            )
        self.setter(instance, value)


def qt_classes() -> Iterator[type]:
    """Every QObject class of the Qt modules that PythonQt puts into `qt`, bases first."""
    found = {
        value
        for module in (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)
        for value in (getattr(module, name) for name in dir(module))  # vars() lacks the lazy ones
        if isinstance(value, type) and issubclass(value, QtCore.QObject)
    }
    return iter(sorted(found, key=lambda cls: (len(cls.__mro__), cls.__name__)))


def install_properties() -> None:
    """Put the descriptors on all Qt classes; a second call changes nothing."""
    if isinstance(vars(QtCore.QObject).get("objectName"), QtProperty):
        return
    for cls in qt_classes():
        meta = cls.staticMetaObject
        for index in range(meta.propertyOffset(), meta.propertyCount()):
            found = _property_of(cls, meta.property(index))
            if found is not None:
                setattr(cls, found.name, found)
    _add_what_only_pythonqt_has()


def _property_of(cls: type, qt_property: Any) -> QtProperty | None:
    name = qt_property.name()
    capital = name[0].upper() + name[1:]
    own = getattr(cls, name, None)
    # By name: isinstance(x, QtCore.Signal) loses a reference to True in PySide6 6.12.
    if name in VIRTUALS or type(own).__name__ == "Signal":
        return None
    getter: Getter = functools.partial(_read, name)
    for candidate in (f"is{capital}", name, f"has{capital}"):
        method = getattr(cls, candidate, None)
        if callable(method) and not isinstance(method, QtProperty) and method is not None:
            getter = _of_instance(method)
            break
    setter: Setter | None = None
    if qt_property.isWritable():
        method = getattr(cls, f"set{capital}", None)
        if callable(method):
            setter = _taking_integers(_of_instance(method), getter)
        else:
            setter = functools.partial(_write, name)
    return QtProperty(name, getter, setter, own if callable(own) else None)


def _of_instance(method: Any) -> Any:
    """A method as a function of the object, also where Qt made it static."""
    if type(method).__name__ != "builtin_function_or_method":
        return method
    return lambda _instance, *value: method(*value)


def _read(name: str, instance: Any) -> Any:
    return QtCore.QObject.property(instance, name)


def _write(name: str, instance: Any, value: Any) -> None:
    QtCore.QObject.setProperty(instance, name, value)


def _taking_integers(setter: Setter, getter: Getter) -> Setter:
    """PythonQt takes an integer where Qt wants an enumerator, and a string where it wants text."""

    def write(instance: Any, value: Any) -> Any:
        try:
            return setter(instance, value)
        except TypeError:
            kind = type(getter(instance))
            if not isinstance(value, int) or kind is int:
                raise
            return setter(instance, kind(value))

    return write


def _add_what_only_pythonqt_has() -> None:
    text = QtWidgets.QPlainTextEdit
    text.plainText = QtProperty("plainText", text.toPlainText, text.setPlainText)
    dialogs = (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QCoreApplication, QtCore.QEventLoop)
    for cls in dialogs:
        cls.exec_ = cls.exec  # Qt 5's spelling works in Slicer without a warning
    QtCore.QObject.name = QtProperty(
        "name", lambda q: q.objectName, lambda q, value: q.setObjectName(value)
    )
    QtCore.QObject.className = lambda self: self.metaObject().className()
