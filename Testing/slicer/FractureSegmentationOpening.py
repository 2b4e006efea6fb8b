"""Self test inside Slicer: finding, opening, leaving, reloading the module; what it registers."""

# Slicer's runner is unittest, which explains a failure only through its own methods.
# ruff: noqa: PT009, T201

from __future__ import annotations

import sys
import time
import unittest
from pathlib import Path
from typing import Any

import slicer
import vtk
from self_test_scene import made_up_ct, made_up_segmentation

MODULE = "FractureSegmentation"
HEAVY = {"torch", "monai", "cc3d", "safetensors", "highdicom"}


def panel() -> Any:
    """The widget of the module, its panel shown if there is a window."""
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(MODULE)
    return slicer.util.getModuleWidget(MODULE)


def register_as_at_start_up() -> None:
    """What the module does once Slicer has started; a test may run before that."""
    if MODULE not in getattr(slicer.modules, "sampleDataSources", {}):
        from FractureSegmentationPanel.setup.startup import register

        register(Path(slicer.util.modulePath(MODULE)).parent / "Resources")


class FractureSegmentationOpening(unittest.TestCase):
    """What a user meets before there is a CT."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def test_the_module_is_complete(self) -> None:
        module = slicer.util.getModule(MODULE)

        self.assertIn("Segmentation", module.categories)
        self.assertIn("diagnosis", module.helpText)
        self.assertTrue(module.acknowledgementText)
        self.assertEqual(list(module.contributors), ["FractureSegmentation contributors"])

    def test_the_module_shows_its_icon(self) -> None:
        self.assertFalse(slicer.util.getModule(MODULE).icon.isNull())

    def test_opening_loads_no_heavy_package(self) -> None:
        before = set(sys.modules)
        started = time.perf_counter()

        panel()

        seconds = time.perf_counter() - started
        print(f"opened in {seconds:.3f} s")
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        self.assertEqual(loaded & HEAVY, set())

    def test_the_library_comes_with_the_module(self) -> None:
        import FractureSegmentationLib

        models = Path(FractureSegmentationLib.__file__).parent / "models"
        self.assertTrue(list(models.glob("*/model.safetensors")))

    def test_the_segment_button_says_why_it_cannot_be_used(self) -> None:
        ui = panel().ui
        self.assertFalse(ui.segmentButton.enabled)
        self.assertIn("CT", ui.segmentButton.toolTip)

        volume = made_up_ct()
        ui.inputVolumeSelector.setCurrentNode(volume)

        self.assertTrue(ui.segmentButton.enabled, ui.segmentButton.toolTip)

    def test_leaving_and_coming_back_keeps_the_choice(self) -> None:
        volume = made_up_ct()
        panel().ui.inputVolumeSelector.setCurrentNode(volume)

        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("Data")

        self.assertEqual(panel().ui.inputVolumeSelector.currentNodeID, volume.GetID())

    def test_closing_the_scene_empties_the_panel(self) -> None:
        widget = panel()
        volume = made_up_ct()
        widget.ui.inputVolumeSelector.setCurrentNode(volume)
        widget.ui.outputSelector.setCurrentNode(made_up_segmentation(volume))

        slicer.mrmlScene.Clear()
        slicer.app.processEvents()

        self.assertIsNone(widget.ui.inputVolumeSelector.currentNode())
        self.assertIsNone(widget.ui.outputSelector.currentNode())
        self.assertFalse(widget.ui.segmentButton.enabled)

    def test_reloading_works_twice_with_a_result_in_the_scene(self) -> None:
        widget = panel()
        volume = made_up_ct()
        widget.ui.inputVolumeSelector.setCurrentNode(volume)
        widget.ui.outputSelector.setCurrentNode(made_up_segmentation(volume))

        for _again in range(2):
            slicer.util.reloadScriptedModule(MODULE)
            self.assertIsNotNone(panel().ui.segmentButton)

    def test_the_sample_is_registered(self) -> None:
        register_as_at_start_up()

        [source] = [
            known
            for known in slicer.modules.sampleDataSources[MODULE]
            if known.sampleName == "PelvicFracture"
        ]

        self.assertTrue(Path(source.thumbnailFileName).is_file())
        self.assertTrue(source.checksums)
        self.assertTrue(all(text.startswith("SHA256:") for text in source.checksums))

    def test_the_terminology_is_loaded(self) -> None:
        from FractureSegmentationLib.anatomy.naming import TERMINOLOGY_CONTEXT

        register_as_at_start_up()
        names = vtk.vtkStringArray()
        slicer.modules.terminologies.logic().GetLoadedTerminologyNames(names)

        loaded = [names.GetValue(index) for index in range(names.GetNumberOfValues())]
        self.assertIn(TERMINOLOGY_CONTEXT, loaded)
