"""The running host, as tests use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from Testing.gui.host import sample_data
from Testing.gui.host.dialogs import Dialogs, dialogs
from Testing.gui.host.editor_effects import qSlicerSegmentEditorEffectFactory
from Testing.gui.host.environment import Environment
from Testing.gui.host.modules import load_scripted_module
from Testing.gui.host.mrml_world import MrmlWorld
from Testing.gui.host.packaging_stand_in import PipState, pip_state
from Testing.gui.host.signals import SlotErrors, receivers, slot_errors
from Testing.gui.host.torch_stand_in import TorchState, torch_state

STEP_S = 0.005
# Nodes that survive closing the scene in Slicer, but not the end of a test.
MADE_BY_MODULES = ("vtkMRMLScriptedModuleNode", "vtkMRMLSegmentEditorNode")


class Host:
    """The application around a module under test.

    Attributes:
        app: `slicer.app`.
        scene: `slicer.mrmlScene`.
        window: the main window, None when the host has no views.
        dialogs: what was shown, and the answers to come.
        slot_errors: exceptions raised in slots.
        pip: which Python packages are missing, and whether installing works.
        torch: whether PyTorch is installed, and whether installing works.
        sample_data: the registered data sets by name.
    """

    def __init__(self, app: Any, world: MrmlWorld, environment: Environment, window: Any) -> None:
        self.app, self.scene, self.window = app, world.scene, window
        self.dialogs: Dialogs = dialogs
        self.slot_errors: SlotErrors = slot_errors
        self.pip: PipState = pip_state
        self.torch: TorchState = torch_state
        self.sample_data = sample_data.registered
        self._environment = environment
        self._loaded: list[str] = []
        nodes = (world.scene.GetNthNode(n) for n in range(world.scene.GetNumberOfNodes()))
        self._own_nodes = [node for node in nodes if node.GetSingletonTag()]

    def enter(self) -> None:
        """Put `qt`, `ctk`, `slicer.app`, ... in place; nothing happens when they are."""
        self._environment.enter(self.slot_errors.collect)

    def leftovers(self) -> str:
        """What a test leaves behind for the next ones, "" for nothing.

        To ask after `leave`: a panel that still listens to the registry of effects, which
        outlives it, or nodes of the application that are gone from the scene.
        """
        gone = [node.GetID() for node in self._own_nodes if node.GetScene() is not self.scene]
        slots = receivers(qSlicerSegmentEditorEffectFactory.instance())
        parts = [f"the scene lost {node}" for node in gone]
        return "; ".join(parts + [f"{slot} still listens to the effects" for slot in slots])

    def leave(self) -> None:
        """Unload modules, clear scene and settings, and give the names back."""
        self.enter()
        if self.window is not None:
            self.window.close_module()
            self.window.hide()
        for name in reversed(self._loaded):
            self.app.moduleManager().unload(name)
        self._loaded.clear()
        self.app.disconnect("startupCompleted()")
        for widget in self.app.topLevelWidgets():
            if widget is not self.window and widget.objectName != "layoutViewport":
                widget.close()
        self.process_events()
        self._clear_scene()
        self.app.settings().clear()
        self.app.extensionsManagerModel().reset()
        self.reset_scripts()
        self._environment.leave()

    def reset_scripts(self) -> None:
        """Forget dialogs, answers, slot errors and what was decided about installations."""
        self.dialogs.clear()
        self.slot_errors.clear()
        vars(self.pip).update(vars(PipState()))
        vars(self.torch).update(vars(TorchState()))
        self.sample_data.clear()
        vars(self._environment.attributes["modules"]).pop("sampleDataSources", None)

    def load_module(self, path: str | Path) -> Any:
        """Load a scripted module and finish start-up; returns the module object."""
        module = load_scripted_module(path)
        self._loaded.append(module.name)
        self.app.startupCompleted.emit()
        return module

    def unload_module(self, name: str) -> None:
        """Take a module away, as the application does at its end."""
        self._loaded.remove(name)
        self.app.moduleManager().unload(name)

    def open_module(self, name: str) -> Any:
        """Show a module's panel and enter it; returns its Python widget object."""
        if self.window is not None:
            self.window.moduleSelector().selectModule(name)
        else:
            self.app.moduleManager().module(name).widgetRepresentation().enter()
        return slicer.util.getModuleWidget(name)

    def close_module(self) -> None:
        """Leave the open module, as a change to another module does."""
        if self.window is not None:
            self.window.close_module()

    @contextmanager
    def without_main_window(self) -> Iterator[None]:
        """As `Slicer --no-main-window`: no main window, no layout manager."""
        parts = self.app._parts
        layout = parts["layout"]
        name = self.window.objectName if self.window is not None else ""
        parts["layout"] = None
        if self.window is not None:
            self.window.setObjectName("nothing")
        try:
            yield
        finally:
            parts["layout"] = layout
            if self.window is not None:
                self.window.setObjectName(name)

    def close_scene(self) -> None:
        """File > Close scene."""
        self.scene.Clear(0)

    def process_events(self, seconds: float = 0.0) -> None:
        """Let Qt work through its queue, for at least `seconds`."""
        end = time.monotonic() + seconds
        self.app.processEvents()
        deferred = QtCore.QEvent.Type.DeferredDelete
        self.app.sendPostedEvents(None, deferred.value)
        while time.monotonic() < end:
            time.sleep(STEP_S)
            self.app.processEvents()

    def wait_until(self, is_done: Callable[[], bool], seconds: float = 10.0) -> None:
        """Process events until `is_done()`.

        Raises:
            TimeoutError: it did not happen in time.
        """
        end = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > end:
                raise TimeoutError(f"not done after {seconds} s")
            self.process_events(STEP_S)

    def screenshot(self, widget: QtWidgets.QWidget, path: str | Path) -> None:
        """Write a picture of a widget as it looks now."""
        widget.show()
        self.process_events(0.05)
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if not widget.grab().save(str(file)):
            raise OSError(f"cannot write {file}")

    def place_points(self, node: Any, points_ras: Sequence[Sequence[float]]) -> None:
        """Click points for a markups node that is being placed.

        Args:
            node: the markups node; it has to be the one the application is placing.
            points_ras: world coordinates, in mm.

        Raises:
            AssertionError: the application is not placing points of this node.
        """
        interaction = self.app.applicationLogic().GetInteractionNode()
        selection = self.app.applicationLogic().GetSelectionNode()
        for point in points_ras:
            placing = interaction.GetCurrentInteractionMode() == interaction.Place
            if not placing or selection.GetActivePlaceNodeID() != node.GetID():
                raise AssertionError(f"{node.GetName()} is not being placed")
            node.AddControlPointWorld(*point)
            if not interaction.GetPlaceModePersistence():
                interaction.SwitchToViewTransformMode()
            self.process_events()

    def paint(self, editor: Any, segment_id: str, mask: Any, *, is_erasing: bool = False) -> None:
        """Change a segment as an effect does: state saved, masks and overwriting respected.

        Args:
            editor: a qMRMLSegmentEditorWidget with a segmentation and a source volume.
            segment_id: the segment to paint into.
            mask: (K, J, I) what the brush touches, on the source volume's grid.
            is_erasing: take the voxels away instead.
        """
        logic = editor._logic
        logic.ResetModifierLabelmapToDefault()
        brush = logic.GetModifierLabelmap()
        array = vtk_to_numpy(brush.GetPointData().GetScalars())
        array.reshape(mask.shape)[:] = mask != 0
        brush.Modified()
        editor.saveStateForUndo()
        mode = logic.ModificationModeRemove if is_erasing else logic.ModificationModeAdd
        logic.ModifySegmentByLabelmap(
            editor.segmentationNode(), segment_id, brush, mode, is_erasing, False
        )

    def _clear_scene(self) -> None:
        self.scene.Clear(0)
        for class_name in MADE_BY_MODULES:
            for node in slicer.util.getNodesByClass(class_name):
                self.scene.RemoveNode(node)
        interaction = self.app.applicationLogic().GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SwitchToViewTransformMode()
        if self.app.layoutManager() is not None:
            self.app.layoutManager().after_clear()
