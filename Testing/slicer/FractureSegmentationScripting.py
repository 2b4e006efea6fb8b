"""Self test inside Slicer, without a main window: the logic as scripts and other modules use it."""

# Slicer's runner is unittest, which explains a failure only through its own methods.
# ruff: noqa: PT009

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import slicer
from self_test_scene import LARGEST, NEIGHBOUR, made_up_ct, made_up_segmentation, voxel_counts


class FractureSegmentationScripting(unittest.TestCase):
    """No window, no panel, no mouse."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        from FractureSegmentation import FractureSegmentationLogic

        self.logic = FractureSegmentationLogic()
        self.volume = made_up_ct()
        self.segmentation = made_up_segmentation(self.volume)

    def test_there_is_no_window(self) -> None:
        self.assertIsNone(slicer.util.mainWindow())

    def test_corrections_need_no_panel(self) -> None:
        from FractureSegmentationLib.mrml.segmentation import segment_id_of

        ids = [segment_id_of(self.segmentation, label) for label in (LARGEST, NEIGHBOUR)]

        self.logic.merge(self.segmentation, ids)

        self.assertNotIn(NEIGHBOUR, voxel_counts(self.segmentation))
        self.assertTrue(self.logic.undo(self.segmentation))
        self.assertIn(NEIGHBOUR, voxel_counts(self.segmentation))

    def test_export_writes_a_mesh_per_fragment(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.logic.exportTo(self.segmentation, Path(folder), ["stl"])

            meshes = list(Path(folder).rglob("*.stl"))

        self.assertEqual(len(meshes), 3)

    def test_a_volume_without_voxels_is_refused_in_a_sentence(self) -> None:
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")

        self.assertTrue(self.logic.problemOfVolume(empty))
        self.assertEqual(self.logic.problemOfVolume(self.volume), "")

    def test_a_transform_that_bends_is_refused_in_a_sentence(self) -> None:
        grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
        self.volume.SetAndObserveTransformNodeID(grid.GetID())

        self.assertTrue(self.logic.problemOfVolume(self.volume))
