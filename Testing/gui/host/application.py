"""`slicer.app` and what hangs on it: settings, extensions manager, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets

from Testing.gui.host.standin import Prop, StandIn

VERSION = (5, 13, 0)


class RestartRequestedError(RuntimeError):
    """The module asked the application to restart, which a test cannot."""


class ExtensionsManagerModel(StandIn, QtCore.QObject):
    """The installed extensions; a test says which there are and whether installing works."""

    extensionInstalled = QtCore.Signal(str)

    interactive = Prop(True, kind=bool)

    def __init__(self) -> None:
        super().__init__()
        self._installed: set[str] = set()
        self._requested: list[str] = []
        self._reachable = True

    def isExtensionInstalled(self, name: str) -> bool:
        """Whether an extension is there."""
        return name in self._installed

    def installExtensionFromServer(
        self, name: str, restart: bool = True, _update: bool = True
    ) -> bool:
        """Install an extension, asking first if `interactive`; False when that does not work."""
        import slicer

        if self.interactive and not slicer.util.confirmOkCancelDisplay(f"Install {name}?"):
            return False
        self._requested.append(name)
        if not self._reachable:
            return False
        self._installed.add(name)
        self.extensionInstalled.emit(name)
        return True

    def reset(self) -> None:
        """Nothing installed, server reachable."""
        self._installed.clear()
        self._requested.clear()
        self._reachable = True
        self.interactive = True


class qSlicerApplication(StandIn, QtWidgets.QApplication):
    """`slicer.app`; the parts that are made later are put in by `boot`."""

    SIGNATURES: ClassVar[dict[str, str]] = {
        "mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged",
    }
    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    majorVersion = Prop(VERSION[0])
    minorVersion = Prop(VERSION[1])
    revision = Prop("0")
    repositoryRevision = Prop("0")
    temporaryPath = Prop("", kind=str)
    slicerHome = Prop("", kind=str)
    extensionsInstallPath = Prop("", kind=str)
    defaultScenePath = Prop("", kind=str)
    documentationBaseUrl = Prop("https://slicer.readthedocs.io/", kind=str)
    documentationVersion = Prop("latest", kind=str)
    os = Prop("linux")
    arch = Prop("amd64")

    def __init__(self, folder: Path) -> None:
        super().__init__(["Slicer"])
        self.setStyle("Fusion")
        self.setQuitOnLastWindowClosed(False)
        self.setOrganizationName("SlicerHost")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(".".join(str(part) for part in VERSION))
        for name in ("temporaryPath", "slicerHome", "extensionsInstallPath", "defaultScenePath"):
            setattr(self, name, str(folder))
        ini = QtCore.QSettings.Format.IniFormat
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, QtCore.QSettings.Scope.UserScope, str(folder))
        self._settings = QtCore.QSettings()
        self._extensions = ExtensionsManagerModel()
        self._parts: dict[str, Any] = {}
        self._testing = False

    def applicationLogic(self) -> Any:
        """The logic shared by all modules."""
        return self._parts.get("logic")

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._parts.get("scene")

    def coreIOManager(self) -> Any:
        """Reads and writes files."""
        return self._parts.get("io")

    def ioManager(self) -> Any:
        """Reads and writes files."""
        return self._parts.get("io")

    def moduleManager(self) -> Any:
        """The loaded modules."""
        return self._parts.get("modules")

    def layoutManager(self) -> Any:
        """The views; None without a main window."""
        return self._parts.get("layout")

    def extensionsManagerModel(self) -> ExtensionsManagerModel:
        """The installed extensions."""
        return self._extensions

    def settings(self) -> QtCore.QSettings:
        """The settings, empty at the start of each test."""
        return self._settings

    def userSettings(self) -> QtCore.QSettings:
        """The settings, empty at the start of each test."""
        return self._settings

    def revisionUserSettings(self) -> QtCore.QSettings:
        """The settings, empty at the start of each test."""
        return self._settings

    def testingEnabled(self) -> bool:
        """False: dialogs are really made, and answered by the test."""
        return self._testing

    def moduleDocumentationUrl(self, name: str) -> str:
        """Where a module is documented."""
        return f"{self.documentationBaseUrl}{name}"

    def translate(self, _context: str, text: str) -> str:
        """English in, English out."""
        return text

    def pauseRender(self) -> None:
        """Views draw on demand here."""

    def resumeRender(self) -> None:
        """Views draw on demand here."""

    def setRenderPaused(self, _paused: bool) -> None:
        """Views draw on demand here."""

    def restart(self) -> None:
        """Refused.

        Raises:
            RestartRequestedError: always.
        """
        raise RestartRequestedError("the module asked for a restart")
