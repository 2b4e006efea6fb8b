"""Fracture Segmentation: one segment for every bone fragment of a CT, in 3D Slicer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# An installed library is found already; in the source tree it lies one folder up. Appended, for
# that folder holds more than the library.
_ROOT = Path(__file__).resolve().parent.parent
if (
    importlib.util.find_spec("FractureSegmentationLib") is None
    and (_ROOT / "FractureSegmentationLib" / "__init__.py").is_file()
):
    sys.path.append(str(_ROOT))

from FractureSegmentationPanel.logic.correct import CorrectLogic  # noqa: E402
from FractureSegmentationPanel.logic.parameters import FractureSegmentationParameterNode  # noqa: E402
from FractureSegmentationPanel.logic.plan import PlanLogic  # noqa: E402
from FractureSegmentationPanel.logic.segment import SegmentLogic  # noqa: E402
from FractureSegmentationPanel.sections.correct import CorrectSection  # noqa: E402
from FractureSegmentationPanel.sections.fragments import FragmentsSection  # noqa: E402
from FractureSegmentationPanel.sections.inputs import InputsSection  # noqa: E402
from FractureSegmentationPanel.sections.plan_export import PlanSection  # noqa: E402
from FractureSegmentationPanel.sections.run import RunSection  # noqa: E402
from FractureSegmentationPanel.sections.undo import UndoTimeline  # noqa: E402
from FractureSegmentationPanel.sections.watching import Following  # noqa: E402

_OWN_PACKAGES = ("FractureSegmentationLib", "FractureSegmentationPanel")
_ICONS = {
    "segmentButton": "Segment",
    "cancelButton": "Cancel",
    "mergeButton": "Merge",
    "assignButton": "Assign",
    "renumberButton": "Renumber",
    "splitPointsButton": "SplitPoints",
    "splitPlaneButton": "SplitPlane",
    "splitCurveButton": "SplitCurve",
    "undoButton": "Undo",
    "redoButton": "Redo",
    "createPlanButton": "Plan",
    "mirrorButton": "Mirror",
    "exportButton": "Export",
}


class FractureSegmentation(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Fracture Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor", "Terminologies", "Markups"]
        self.parent.contributors = ["FractureSegmentation contributors"]
        self.parent.helpText = _(
            "Finds every bone fragment of a fracture CT and makes one segment of each. "
            "Choose a CT, click Segment, look at the places listed first, correct with Merge, "
            "Split and Assign, plan the reduction with handles, and export meshes or label maps. "
            "Everything is computed on this computer; nothing is sent anywhere. "
            "Not for diagnosis: review every fragment."
        )
        self.parent.acknowledgementText = _(
            "The segmentation follows the trauma-prior contrastive network (TPC-Net) for pelvic "
            "fractures and uses ONNX Runtime or PyTorch, SimpleITK and VTK. The shipped models "
            "name their training data and licences in the cards beside them."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self) -> None:
        """Register what other modules of Slicer offer of ours; nothing heavy is loaded."""
        from FractureSegmentationPanel.setup.startup import register

        register(Path(self.resourcePath("")))


class FractureSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: five sections around one case, which is what the parameter node names."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: FractureSegmentationLogic | None = None
        self.parameterNode: FractureSegmentationParameterNode | None = None
        self._guiTag: Any = None
        self._isCleanedUp = False
        self._isResultNew = False

    @property
    def isOpen(self) -> bool:
        """Whether the panel is shown, as Slicer says: no own flag survives a reload."""
        return bool(getattr(self.parent, "isEntered", False))

    def setup(self) -> None:
        """Build the panel, the first time that it is opened."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/FractureSegmentation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = FractureSegmentationLogic()
        self.undo = UndoTimeline(self)
        self.inputs = InputsSection(self)
        self.run = RunSection(self)
        self.fragments = FragmentsSection(self)
        self.correct = CorrectSection(self)
        self.plan = PlanSection(self)
        self.logic.shareHistory(self._editorHistory)
        self._setIcons()
        self._following = Following(self)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()
        if self.isOpen:  # a reload calls no enter()
            self.correct.enter()

    def cleanup(self) -> None:
        """The module is unloaded or Slicer quits."""
        if self.logic is None:
            return
        self.logic.shutdown()
        self._following.rest()
        self.exit()
        self.correct.cleanup()
        self.setParameterNode(None)
        self.removeObservers()
        self._isCleanedUp = True

    def enter(self) -> None:
        """The panel is shown."""
        self.initializeParameterNode()
        self.correct.enter()

    def exit(self) -> None:
        """Another module is shown; a run goes on."""
        self.correct.leave()
        self.plan.leave()

    def onReload(self) -> None:
        """Load all of our files again, not only this one."""
        for name in [name for name in sys.modules if name.split(".")[0] in _OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Let go of every node before it is gone."""
        self._following.rest()
        self.correct.forgetNodes()
        self.plan.leave()
        self.setParameterNode(None)
        self.logic.forgetHistories()
        self.logic.forgetPlans()
        self.logic.forgetMoves()
        self.undo.forget()

    def onSceneEndClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Begin anew, if anybody looks."""
        if self.isOpen:
            self.initializeParameterNode()

    def onSceneEndImport(self, _caller: Any = None, _event: Any = None) -> None:
        """A scene was loaded: its case is ours now."""
        if self.isOpen:
            self.initializeParameterNode()
            if not self.logic.isRunning:
                self.run.showWarnings()

    def initializeParameterNode(self) -> None:
        """Take the case that the scene holds; a new one begins with the first CT."""
        parameterNode = self.logic.getParameterNode()
        if parameterNode.inputVolume is None:
            volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if volume is not None and not volume.GetHideFromEditors():
                parameterNode.inputVolume = volume
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode: FractureSegmentationParameterNode | None) -> None:
        """Show another case, or none."""
        if parameterNode is not self.parameterNode:
            self._disconnectParameters()
            self.parameterNode = parameterNode
            self._connectParameters()
        elif parameterNode is not None:
            # A loaded scene resolves references after the node has reported its change.
            parameterNode.Modified()
        self.refresh()

    def _connectParameters(self) -> None:
        # `connectGui` of Slicer 5.10 gives no tag, so that nobody could disconnect it.
        if self.parameterNode is None:
            return
        named = {one.property("SlicerParameterName"): one for one in vars(self.ui).values()}
        widgets = {str(name): one for name, one in named.items() if name}
        self._guiTag = self.parameterNode.connectParametersToGui(widgets)
        node = self.parameterNode.parameterNode
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)

    def _disconnectParameters(self) -> None:
        if self.parameterNode is not None:
            self.parameterNode.disconnectGui(self._guiTag)
            node = self.parameterNode.parameterNode
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)

    def onParametersModified(self, _caller: Any = None, _event: Any = None) -> None:
        """A setting, the CT or the segmentation is another one."""
        if self.parameterNode is None:
            return
        if self.segmentation() is not self._following.segmentation:
            self.refresh()
        else:
            self._following.watch(self.segmentation(), self.volume())
            self.volumeChanged()

    def volume(self) -> Any:
        """The CT of the case; None if there is none."""
        return self.parameterNode.inputVolume if self.parameterNode is not None else None

    def segmentation(self) -> Any:
        """The fragments of the case; None if there are none."""
        return self.parameterNode.outputSegmentation if self.parameterNode is not None else None

    def selectedSegmentIds(self) -> list[str]:
        """The fragments selected in the table."""
        return self.fragments.selectedSegmentIds()

    def selectionChanged(self) -> None:
        """Other fragments are selected."""
        self.correct.refresh()

    def refresh(self) -> None:
        """Show everything as it is now."""
        if self._isCleanedUp:
            return
        self._following.watch(self.segmentation(), self.volume())
        self.inputs.refresh()
        self.run.refresh()
        self.fragmentsChanged()

    def fragmentsChanged(self) -> None:
        """Fragments were changed, by a button, an effect or a script."""
        self.fragments.refresh()
        if self.fragments.areEdited:
            self.undo.corrected()
        self.correct.refresh()
        if self.fragments.areEdited:
            self.plan.fragmentsEdited()
            self._following.make_surfaces_soon()
        self.plan.refresh()
        self._following.has_settled()

    def resultLoaded(self, segmentation: Any) -> None:
        """Fragments came from a run or a folder: show them at once, their surfaces after that."""
        parameterNode = self.parameterNode or self.logic.getParameterNode()
        parameterNode.outputSegmentation = segmentation
        self._isResultNew = True
        self.refresh()

    def _setIcons(self) -> None:
        for button, icon in _ICONS.items():
            path = self.resourcePath(f"Icons/{icon}.svg")
            getattr(self.ui, button).setIcon(qt.QIcon(path))

    def showSurfaces(self) -> None:
        """Make the surfaces that are missing, if they are wanted."""
        if self.segmentation() is not None and self.parameterNode.showsSurfaces:
            self.fragments.onShowSurfaces(True)
            if self._isResultNew:
                self.logic.centre3DViews()
        self._isResultNew = False

    def _editorHistory(self, segmentation: Any) -> Any:
        """The panel's own history, for the segmentation that its editor shows."""
        if segmentation is not self.segmentation():
            return None
        self.correct.editor.show(segmentation, self.volume())
        return self.correct.history

    def volumeChanged(self) -> None:
        """The CT has other voxels, lies elsewhere, or more is known of where it comes from."""
        self.inputs.refresh()
        self.run.refresh()
        self.plan.export.refresh()


class FractureSegmentationLogic(SegmentLogic, CorrectLogic, PlanLogic, ScriptedLoadableModuleLogic):
    """Everything that the panel's buttons do, for scripts and other modules; needs no window.

    Example:
        >>> logic = FractureSegmentationLogic()
        >>> fragments = logic.process(slicer.util.getNode("CT"))
        >>> logic.merge(fragments, ["left_hip_2", "left_hip_3"])
        >>> logic.exportTo(fragments, "exports", ["stl"])

    Failures that a user can act on are `FractureSegmentationLib.errors.FracSegError`.
    """

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        SegmentLogic.__init__(self)
        CorrectLogic.__init__(self)
        PlanLogic.__init__(self)
        self._parameterNode: FractureSegmentationParameterNode | None = None

    def getParameterNode(self) -> FractureSegmentationParameterNode:
        """The settings of the case that the scene holds; the same object while its node is."""
        node = super().getParameterNode()
        if self._parameterNode is None or self._parameterNode.parameterNode is not node:
            self._parameterNode = FractureSegmentationParameterNode(node)
        return self._parameterNode


class FractureSegmentationTest(ScriptedLoadableModuleTest):
    """Runs in Slicer: Self Tests, Reload and Test, ctest."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def test_fragments_are_merged_split_undone_and_exported(self) -> None:
        """From labels in the scene to STL files, without a network."""
        from FractureSegmentationPanel.setup.self_test import check_correction

        check_correction(self, FractureSegmentationLogic())
