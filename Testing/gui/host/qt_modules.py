"""The modules `qt` and `ctk` that scripted modules import."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from Testing.gui.host import ctk_boxes, ctk_numbers, ctk_paths, dialogs, ui_loader
from Testing.gui.host.standin import StandIn

# PySide's own inventions, which PythonQt does not have.
PYSIDE_ONLY = frozenset({"Signal", "Slot", "Property", "SignalInstance", "ClassInfo"})


def stand_ins(*modules: Any, prefixes: tuple[str, ...]) -> dict[str, type]:
    """The classes of `modules` that stand for C++ classes with such a name."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith(prefixes) and isinstance(value, type)
    }


def make_qt() -> types.ModuleType:
    """`qt`: all of Qt in one flat namespace, and the loader of .ui files."""
    qt = types.ModuleType("qt", "Stand-in for Slicer's qt module.")
    for module in (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools):
        for name in dir(module):
            if not name.startswith("_") and name not in PYSIDE_ONLY:
                setattr(qt, name, getattr(module, name))
    for name in ("ReadOnly", "WriteOnly", "ReadWrite", "Append", "Text"):
        for cls in (QtCore.QFile, QtCore.QIODevice):
            setattr(cls, name, getattr(QtCore.QIODevice.OpenModeFlag, name))
    qt.QUiLoader = ui_loader.QUiLoader
    return qt


def make_ctk() -> types.ModuleType:
    """`ctk`: the stand-ins of CTK's widgets; they are made known to the .ui loader too."""
    ctk = types.ModuleType("ctk", "Stand-in for Slicer's ctk module.")
    classes = stand_ins(ctk_boxes, ctk_numbers, ctk_paths, dialogs, prefixes=("ctk",))
    vars(ctk).update(classes)
    register(classes)
    return ctk


def register(classes: dict[str, type]) -> None:
    """Let .ui files use these widget classes."""
    ui_loader.CUSTOM.update(
        {
            name: cls
            for name, cls in classes.items()
            if issubclass(cls, QtWidgets.QWidget) and issubclass(cls, StandIn)
        }
    )
