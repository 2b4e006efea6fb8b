"""CTK's widgets for files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from Testing.gui.host.standin import Computed, Prop, StandIn

HISTORY_LENGTH = 5


class ctkPathLineEdit(StandIn, QtWidgets.QWidget):
    """A path that can be typed or browsed, with a history in the settings."""

    Dirs, AllDirs, Files, Drives = 0x001, 0x400, 0x002, 0x004
    NoSymLinks, Readable, Writable, Executable = 0x008, 0x010, 0x020, 0x040
    Hidden, System, NoDot, NoDotDot = 0x100, 0x200, 0x2000, 0x4000
    NoDotAndDotDot = 0x6000

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    filters = Prop(0x400 | 0x001 | 0x002 | 0x4000)
    nameFilters = Prop([], kind=list)
    settingKey = Prop("", kind=str, changed="retrieveHistory")
    label = Prop("", kind=str)
    showBrowseButton = Prop(True, kind=bool, changed="_show")
    showHistoryButton = Prop(True, kind=bool, changed="_show")
    options = Prop(0)
    currentPath = Computed(
        lambda self: self._line.text, lambda self, value: self._line.setText(str(value))
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._line = QtWidgets.QLineEdit(self)
        self._browse = QtWidgets.QToolButton(self)
        self._browse.setText("...")
        row.addWidget(self._line)
        row.addWidget(self._browse)
        self._browse.connect("clicked()", self.browse)
        self._line.connect("textChanged(QString)", self._changed)

    def browse(self) -> None:
        """Ask for a path; Cancel leaves the present one."""
        only_folders = bool(self.filters & (self.Dirs | self.AllDirs)) and not (
            self.filters & self.Files
        )
        ask = QtWidgets.QFileDialog.getOpenFileName
        if only_folders:
            ask = QtWidgets.QFileDialog.getExistingDirectory
        elif self.filters & self.Writable and not self.filters & self.Readable:
            ask = QtWidgets.QFileDialog.getSaveFileName
        chosen = ask(self, self.label or "Select a path", self.currentPath)
        if chosen:
            self.setCurrentPath(chosen)

    def retrieveHistory(self) -> None:
        """Show the last path stored under `settingKey`."""
        history = self._history()
        if history:
            self.setCurrentPath(history[0])

    def addCurrentPathToHistory(self) -> None:
        """Store the present path under `settingKey`."""
        if self.settingKey and self.currentPath:
            rest = [path for path in self._history() if path != self.currentPath]
            QtCore.QSettings().setValue(self.settingKey, [self.currentPath, *rest][:HISTORY_LENGTH])

    def clear(self) -> None:
        """Empty the line."""
        self._line.clear()

    def _history(self) -> list[str]:
        stored = QtCore.QSettings().value(self.settingKey) if self.settingKey else None
        return [stored] if isinstance(stored, str) else list(stored or [])

    def _changed(self, path: str) -> None:
        self.currentPathChanged.emit(path)
        self.validInputChanged.emit(not path or Path(path).exists())

    def _show(self) -> None:
        self._browse.setVisible(self.showBrowseButton)


class ctkDirectoryButton(StandIn, QtWidgets.QPushButton):
    """A button that shows a folder and asks for another."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    caption = Prop("", kind=str)
    displayAbsolutePath = Prop(True, kind=bool)
    directory = Prop("", kind=str, changed="_show", signal="directoryChanged")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.connect("clicked()", self.browse)

    def browse(self) -> None:
        """Ask for a folder; Cancel leaves the present one."""
        ask = QtWidgets.QFileDialog.getExistingDirectory
        chosen = ask(self, self.caption or "Select directory", self.directory)
        if chosen:
            self.setDirectory(chosen)
            self.directorySelected.emit(chosen)

    def _show(self) -> None:
        self.setText(self.directory)
