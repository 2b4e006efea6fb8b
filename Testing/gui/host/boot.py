"""Starts the host: `start()` once per process, then `Host.enter()` and `Host.leave()` per test."""

from __future__ import annotations

import importlib
import tempfile
import types
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from Testing.gui.host import (
    editor_effects,
    markups_widgets,
    modules,
    mrml_widgets,
    node_combo_box,
    packaging_stand_in,
    parameter_wrapper,
    qt_modules,
    sample_data,
    scripted_module,
    segment_editor,
    segments_table,
    torch_stand_in,
    translation,
    view_widgets,
)
from Testing.gui.host.application import qSlicerApplication
from Testing.gui.host.dialogs import install_dialogs
from Testing.gui.host.environment import Environment
from Testing.gui.host.file_io import CoreIOManager
from Testing.gui.host.host import Host
from Testing.gui.host.immortal import keep_constants_alive
from Testing.gui.host.layout import LayoutManager
from Testing.gui.host.main_window import MainWindow
from Testing.gui.host.modules import ModuleManager, qSlicerAbstractCoreModule
from Testing.gui.host.mrml_world import make_world
from Testing.gui.host.properties import install_properties
from Testing.gui.host.signals import install_signals
from Testing.gui.host.strictness import install_strictness

# Names under which Slicer's Python offers the compiled libraries.
LIBRARIES = {
    "vtkSegmentationCorePython": "vtkSegmentationCore",
    "vtkSegmentationCore": "vtkSegmentationCore",
    "vtkITK": "vtkITK",
    "MRMLCorePython": "MRMLCore",
    "vtkSlicerSegmentationsModuleLogicPython": "vtkSlicerSegmentationsModuleLogic",
    "vtkSlicerSegmentationsModuleMRMLPython": "vtkSlicerSegmentationsModuleMRML",
}

_host: Host | None = None


def start(views: bool = True) -> Host:
    """The one host of this process, in force; the first call builds it.

    Args:
        views: build three slice views and a 3D view. Has an effect at the first call only.

    Raises:
        RuntimeError: another QApplication was made before.
    """
    global _host  # noqa: PLW0603  Qt allows one application per process
    if _host is None:
        if QtWidgets.QApplication.instance() is not None:
            raise RuntimeError("another QApplication exists in this process")
        _host = _build(views)
    _host.enter()
    return _host


def load_module(path: str | Path) -> Any:
    """Load a scripted module's file into the running host; see `Host.load_module`."""
    return start().load_module(path)


def _build(views: bool) -> Host:
    keep_constants_alive()
    install_properties()
    install_strictness()
    install_signals()
    install_dialogs()
    folder = Path(tempfile.mkdtemp(prefix="slicer-host-"))
    application = qSlicerApplication(folder)
    world = make_world(folder)
    environment = _make_environment(application, world.scene)
    environment.enter(None)
    manager = ModuleManager()
    application._parts.update(
        logic=world.application_logic, scene=world.scene, io=CoreIOManager(), modules=manager
    )
    for name, logic in world.logics.items():
        manager.add(qSlicerAbstractCoreModule(name, logic))
    layout = LayoutManager(world) if views else None
    application._parts["layout"] = layout
    window = MainWindow(layout) if views else None
    environment.leave()
    return Host(application, world, environment, window)


def _make_environment(application: Any, scene: Any) -> Environment:
    environment = Environment()
    aliases = {
        "i18n": translation,
        "ScriptedLoadableModule": scripted_module,
        "parameterNodeWrapper": parameter_wrapper,
        "packaging": packaging_stand_in,
    }
    classes = qt_modules.stand_ins(
        editor_effects, markups_widgets, modules, mrml_widgets, node_combo_box, segment_editor,
        segments_table, view_widgets,
        prefixes=("qMRML", "qSlicer"),
    )  # fmt: skip
    qt_modules.register(classes)
    slicer_modules = types.ModuleType("slicer.modules", "Stand-in for slicer.modules.")
    environment.modules = {
        "qt": qt_modules.make_qt(),
        "ctk": qt_modules.make_ctk(),
        "SampleData": sample_data.make_sample_data(),
        "PyTorchUtils": torch_stand_in.make_pytorch_utils(),
        "slicer.modules": slicer_modules,
        **{f"slicer.{name}": module for name, module in aliases.items()},
        **{
            name: importlib.import_module(f"slicer_core.{library}")
            for name, library in LIBRARIES.items()
        },
    }
    environment.attributes = {
        **classes,
        **aliases,
        "qSlicerApplication": qSlicerApplication,
        "app": application,
        "mrmlScene": scene,
        "modules": slicer_modules,
        "moduleNames": types.SimpleNamespace(),
        "util": slicer.util,
    }
    return environment
