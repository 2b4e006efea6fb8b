"""Stand-in for `slicer.ScriptedLoadableModule`: the four base classes of a scripted module.

Written from the developer guide's description of a scripted module's life.
"""

from __future__ import annotations

import importlib
import logging
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtGui

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]

PARAMETER_CLASS = "vtkMRMLScriptedModuleNode"


class ScriptedLoadableModule:
    """What the application knows about a module; `parent` is the C++ side of it."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = self.moduleName
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        parent.hidden = False
        for ending in ("svg", "png"):
            file = Path(self.resourcePath(f"Icons/{self.moduleName}.{ending}"))
            if file.is_file():
                parent.icon = QtGui.QIcon(str(file))
                break

    def resourcePath(self, filename: str) -> str:
        """A file under Resources beside the module's file."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        """The line of help that links to the documentation."""
        address = docPage or slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p>For more information see the <a href="{address}">documentation</a>.</p>'

    def runTest(self, msec: int = 100, **keywords: Any) -> None:
        """Run the module's self test."""
        module = importlib.import_module(type(self).__module__)
        case = getattr(module, f"{self.moduleName}Test")()
        case.messageDelay = msec
        case.runTest(**keywords)


class ScriptedLoadableModuleWidget:
    """The panel; `parent` is the C++ widget that holds it and tells it of enter and exit."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        standalone = parent is None
        if standalone:
            import qt

            parent = slicer.qMRMLWidget()
            parent.setLayout(qt.QVBoxLayout())
            parent.setMRMLScene(slicer.mrmlScene)
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect(
            "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
        )
        if standalone:
            self.setup()
            parent.show()

    def resourcePath(self, filename: str) -> str:
        """A file under Resources beside the module's file."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Build the panel; the developer's reload section is not part of this host."""

    def cleanup(self) -> None:
        """Let go of everything; called before the module goes away."""

    def onReload(self) -> None:
        """Load the module's file again and build the panel anew."""
        logging.debug("reloading %s", self.moduleName)
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )


class ScriptedLoadableModuleLogic:
    """What a module does, without its panel; owns the parameter node."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's node in the scene, made when there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, PARAMETER_CLASS)
        else:
            nodes = self.getAllParameterNodes()
            node = nodes[0] if nodes else None
        return node or slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self) -> Any:
        """A new node that belongs to this module, not yet in the scene."""
        node = slicer.mrmlScene.CreateNodeByClass(PARAMETER_CLASS)
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node

    def getAllParameterNodes(self) -> list[Any]:
        """All nodes of this module in the scene."""
        nodes = slicer.util.getNodesByClass(PARAMETER_CLASS)
        return [node for node in nodes if node.GetModuleName() == self.moduleName]


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The self test; messages are logged, nothing waits."""

    messageDelay = 0

    def delayDisplay(self, message: str, *_more: Any, **_keywords: Any) -> None:
        """Show a message for a moment."""
        logging.info(message)

    def runTest(self, **_keywords: Any) -> None:
        """Run every test method, each on a fresh set-up."""
        for name in unittest.defaultTestLoader.getTestCaseNames(type(self)):
            self.setUp()
            try:
                getattr(self, name)()
            finally:
                self.tearDown()
