"""Modules and their manager: what `slicer.modules` and `slicer.app.moduleManager()` hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from Testing.gui.host.mrml_widgets import qSlicerWidget
from Testing.gui.host.standin import Computed, Prop, StandIn


class qSlicerAbstractCoreModule(StandIn, QtCore.QObject):
    """A module that has a logic and no panel, as far as this host is concerned."""

    title = Prop("", kind=str)
    path = Prop("", kind=str)
    hidden = Prop(False, kind=bool)
    categories = Prop([], kind=list)
    dependencies = Prop([], kind=list)
    contributors = Prop([], kind=list)
    helpText = Prop("", kind=str)
    acknowledgementText = Prop("", kind=str)
    associatedNodeTypes = Prop([], kind=list)
    icon = Prop(QtGui.QIcon())
    index = Prop(-1, kind=int)
    widgetRepresentationCreationEnabled = Prop(True, kind=bool)
    name = Computed(lambda self: self._name)

    def __init__(self, name: str, logic: Any = None) -> None:
        super().__init__()
        self._name, self._logic = name, logic
        self.title = name

    def logic(self) -> Any:
        """The module's VTK logic."""
        return self._logic

    def widgetRepresentation(self) -> Any:
        """The module's panel; None for a module of which only the logic exists here."""
        return None


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The C++ side of a scripted panel: makes the Python object and passes events on."""

    def __init__(self, module_name: str) -> None:
        super().__init__()
        self._module_name, self._python = module_name, None
        self._entered = False
        self.setLayout(QtWidgets.QVBoxLayout())
        self.setObjectName(f"{module_name}ModuleWidget")
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = Computed(lambda self: self._entered)

    def self(self) -> Any:
        """The Python object."""
        return self._python

    def setup(self) -> None:
        """Make the Python object and let it build the panel."""
        cls = getattr(sys.modules[self._module_name], f"{self._module_name}Widget")
        self._python = cls(self)
        setattr(slicer.modules, f"{self._module_name}Widget", self._python)
        self._python.setup()

    def reload(self) -> None:
        """Make the Python object anew from the module's present source.

        As in Slicer, the panel stays entered and the new object's `enter` is not called.
        """
        for child in self.findChildren(QtWidgets.QWidget):
            if child.parent() is self:
                child.hide()
                child.deleteLater()
        self.setup()

    def enter(self) -> None:
        """The user opened the module."""
        if not self._entered:
            self._entered = True
            self._call("enter")

    def exit(self) -> None:
        """The user went to another module."""
        if self._entered:
            self._entered = False
            self._call("exit")

    def _call(self, name: str) -> None:
        if hasattr(self._python, name):
            getattr(self._python, name)()


class qSlicerScriptedLoadableModule(qSlicerAbstractCoreModule):
    """A module made from a Python file."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self.path = path
        self._widget: Any = None

    def widgetRepresentation(self) -> Any:
        """The module's panel, built at the first call."""
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        """A new panel."""
        widget = qSlicerScriptedLoadableModuleWidget(self.name)
        widget.setup()
        return widget


class FactoryManager(StandIn, QtCore.QObject):
    """The part of the module factory that scripts ask."""

    def __init__(self, modules: dict[str, Any]) -> None:
        super().__init__()
        self._modules = modules

    def loadedModuleNames(self) -> list[str]:
        """Names of the loaded modules."""
        return sorted(self._modules)


class ModuleManager(StandIn, QtCore.QObject):
    """`slicer.app.moduleManager()`."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleUnloaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}
        self._factory = FactoryManager(self._modules)

    def factoryManager(self) -> FactoryManager:
        """The factory."""
        return self._factory

    def module(self, name: str) -> Any:
        """A module by name, or None."""
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        """Names of the loaded modules."""
        return sorted(self._modules)

    def add(self, module: qSlicerAbstractCoreModule) -> None:
        """Make a module known under `slicer.modules`."""
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)
        self.moduleLoaded.emit(module.name)

    def unload(self, name: str) -> None:
        """Take a scripted module away, with its panel, instances and imported files."""
        self.moduleAboutToBeUnloaded.emit(name)
        module = self._modules.pop(name)
        if module._widget is not None:
            module._widget.exit()
            module._widget.deleteLater()
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(slicer.modules).pop(attribute, None)
        vars(slicer.moduleNames).pop(name, None)
        folder = Path(module.path).parent
        forget_files_of(folder)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        self.moduleUnloaded.emit(name)


def forget_files_of(folder: Path) -> None:
    """Drop every imported module whose file lies in `folder`."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]


def load_scripted_module(path: str | Path) -> qSlicerScriptedLoadableModule:
    """Load a module file the way the application does at start-up.

    Only the file's own folder is appended to `sys.path`; the file becomes a top-level module of
    its name, and the class of that name is made with the C++ side of the module.

    Raises:
        ImportError: there is no such file.
    """
    file = Path(path).resolve()
    name, folder = file.stem, str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ImportError(f"no module file {file}")
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    module = qSlicerScriptedLoadableModule(name, str(file))
    instance = getattr(source, name)(module)
    setattr(slicer.modules, f"{name}Instance", instance)
    slicer.app.moduleManager().add(module)
    if hasattr(instance, "setup"):
        instance.setup()
    return module
