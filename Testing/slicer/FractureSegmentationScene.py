"""Self test inside Slicer: fragments in the scene, corrected, planned, saved and opened again."""

# Slicer's runner is unittest, which explains a failure only through its own methods.
# ruff: noqa: PT009

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from self_test_scene import (
    HIGHEST,
    LARGEST,
    NEIGHBOUR,
    made_up_ct,
    made_up_labels,
    made_up_segmentation,
    voxel_counts,
    world_ras,
)

LEFT_HIP = {LARGEST: 22 * 20 * 18, NEIGHBOUR: 22 * 20 * 10}


class FractureSegmentationScene(unittest.TestCase):
    """What a user does with a result, on the real scene and the real Segment Editor."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        self.logic = slicer.util.getModuleLogic("FractureSegmentation")
        self.volume = made_up_ct()
        self.segmentation = made_up_segmentation(self.volume)

    def ids(self, *labels: int) -> list[str]:
        from FractureSegmentationLib.mrml.segmentation import segment_id_of

        return [segment_id_of(self.segmentation, label) for label in labels]

    def show(self) -> Any:
        """The panel, with our CT and segmentation chosen."""
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("FractureSegmentation")
        widget = slicer.util.getModuleWidget("FractureSegmentation")
        widget.ui.inputVolumeSelector.setCurrentNode(self.volume)
        widget.ui.outputSelector.setCurrentNode(self.segmentation)
        slicer.app.processEvents()
        return widget

    def test_the_fragments_share_one_layer_on_the_grid_of_the_ct(self) -> None:
        inner = self.segmentation.GetSegmentation()
        self.assertEqual(inner.GetNumberOfLayers(), 1)
        self.assertEqual(inner.GetNumberOfSegments(), 3)

        [highest] = self.ids(HIGHEST)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, highest, self.volume)

        np.testing.assert_array_equal(mask > 0, made_up_labels() == HIGHEST)

    def test_the_panel_lists_them(self) -> None:
        widget = self.show()

        self.assertEqual(widget.ui.fragmentsTable.rowCount, 3)

    def test_buttons_and_undo(self) -> None:
        before = voxel_counts(self.segmentation)
        self.assertEqual({k: before[k] for k in LEFT_HIP}, LEFT_HIP)

        self.logic.merge(self.segmentation, self.ids(LARGEST, NEIGHBOUR))

        self.assertEqual(voxel_counts(self.segmentation)[LARGEST], sum(LEFT_HIP.values()))
        self.assertNotIn(NEIGHBOUR, voxel_counts(self.segmentation))
        self.assertTrue(self.logic.undo(self.segmentation))
        self.assertEqual(voxel_counts(self.segmentation), before)
        self.assertTrue(self.logic.redo(self.segmentation))
        self.assertNotIn(NEIGHBOUR, voxel_counts(self.segmentation))

    def test_a_plane_cuts_where_it_lies(self) -> None:
        """Through the middle of block 51, across its j axis: 10 of its 20 rows on each side."""
        middle = np.array(world_ras(self.volume, (18.5, 19.5, 16.5)))
        further = np.array(world_ras(self.volume, (18.5, 29.5, 16.5)))
        [largest] = self.ids(LARGEST)

        self.logic.splitByPlane(self.segmentation, largest, tuple(middle), tuple(further - middle))

        pieces = [n for label, n in voxel_counts(self.segmentation).items() if label < 101]
        self.assertEqual(sorted(pieces), sorted([22 * 10 * 18] * 2 + [LEFT_HIP[NEIGHBOUR]]))

    def test_buttons_and_effects_have_one_history(self) -> None:
        widget = self.show()
        before = voxel_counts(self.segmentation)
        self.logic.merge(self.segmentation, self.ids(LARGEST, NEIGHBOUR))
        merged = voxel_counts(self.segmentation)
        editor = widget.correct.editor.widget
        [highest] = self.ids(HIGHEST)
        editor.setCurrentSegmentID(highest)
        editor.setActiveEffectByName("Smoothing")
        effect = editor.activeEffect()
        effect.setParameter("SmoothingMethod", "MORPHOLOGICAL_OPENING")
        effect.setParameter("KernelSizeMm", "5")
        effect.self().onApply()
        editor.setActiveEffect(None)
        self.assertNotEqual(voxel_counts(self.segmentation), merged)

        self.assertTrue(self.logic.undo(self.segmentation))
        self.assertEqual(voxel_counts(self.segmentation), merged)
        self.assertTrue(self.logic.undo(self.segmentation))
        self.assertEqual(voxel_counts(self.segmentation), before)

    def test_the_editor_has_few_tools(self) -> None:
        widget = self.show()
        editor = widget.correct.editor.widget

        self.assertFalse(editor.unorderedEffectsVisible)
        self.assertNotIn("Threshold", list(editor.effectNameOrder()))
        self.assertLessEqual({"Paint", "Erase", "Scissors"}, set(editor.effectNameOrder()))

    def test_surfaces_are_closed(self) -> None:
        import vtk

        self.logic.showSurfaces(self.segmentation)

        for segment_id in self.ids(LARGEST, NEIGHBOUR, HIGHEST):
            surface = vtk.vtkPolyData()
            self.segmentation.GetClosedSurfaceRepresentation(segment_id, surface)
            edges = vtk.vtkFeatureEdges()
            edges.SetInputData(surface)
            edges.FeatureEdgesOff()
            edges.ManifoldEdgesOff()
            edges.Update()
            self.assertGreater(surface.GetNumberOfCells(), 0)
            self.assertEqual(edges.GetOutput().GetNumberOfCells(), 0)

    def test_an_edit_takes_the_review_back_and_undo_restores_it(self) -> None:
        ids = self.ids(LARGEST, NEIGHBOUR)
        self.logic.setReviewed(self.segmentation, ids, True)
        self.assertEqual(self.reviewed(), 2)

        self.logic.merge(self.segmentation, ids)

        self.assertEqual(self.reviewed(), 0)
        self.logic.undo(self.segmentation)
        self.assertEqual(self.reviewed(), 2)

    def test_a_saved_scene_brings_everything_back(self) -> None:
        self.logic.setReviewed(self.segmentation, self.ids(HIGHEST), True)
        names = self.segment_names()
        before = voxel_counts(self.segmentation)
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "case.mrb")
            self.assertTrue(slicer.util.saveScene(file))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(file)

        [self.segmentation] = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")

        self.assertEqual(self.segment_names(), names)
        self.assertEqual(voxel_counts(self.segmentation), before)
        self.assertEqual(self.reviewed(), 1)

    def reviewed(self) -> int:
        from FractureSegmentationLib.editing.fragments import ReviewStatus
        from FractureSegmentationLib.mrml.segmentation import fragments_of

        records = fragments_of(self.segmentation).records
        return sum(record.review is ReviewStatus.ACCEPTED for record in records)

    def segment_names(self) -> list[str]:
        inner = self.segmentation.GetSegmentation()
        return [inner.GetSegment(i).GetName() for i in inner.GetSegmentIDs()]
