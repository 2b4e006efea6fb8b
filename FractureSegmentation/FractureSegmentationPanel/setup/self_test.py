"""The part of the self test that does not depend on the window; also run outside of Slicer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import slicer

_SHAPE = (24, 32, 40)


def check_correction(case: Any, logic: Any) -> None:
    """Merge, undo, split and export two fragments of a left hip bone.

    Args:
        case: unittest.TestCase.
        logic: FractureSegmentationLogic.
    """
    segmentation = _two_fragments()
    ids = [row.segment_id for row in logic.fragmentRows(segmentation)]
    case.assertEqual(ids, ["left_hip_1", "left_hip_2"])
    logic.merge(segmentation, ids)
    case.assertEqual(len(logic.fragmentRows(segmentation)), 1)
    case.assertTrue(logic.undo(segmentation))
    case.assertEqual(len(logic.fragmentRows(segmentation)), 2)
    case.assertTrue(logic.redo(segmentation))
    # Index (k, j, i) is at (-i, -j, k) in RAS, for the grid has no turn.
    pieces = [[(-8.0, -16.0, 12.0)], [(-32.0, -16.0, 12.0)]]
    logic.splitAtPoints(segmentation, "left_hip_1", pieces)
    rows = logic.fragmentRows(segmentation)
    case.assertEqual(len(rows), 2)
    logic.setReviewed(segmentation, [rows[0].segment_id], True)
    reviewed = [row.is_reviewed for row in logic.fragmentRows(segmentation)]
    case.assertEqual(reviewed, [True, False])
    with tempfile.TemporaryDirectory() as folder:
        logic.exportTo(segmentation, folder, ["stl"])
        case.assertEqual(len(list(Path(folder).rglob("*.stl"))), 2)


def _two_fragments() -> Any:
    from FractureSegmentationLib.editing.fragments import Fragments
    from FractureSegmentationLib.geometry import Geometry
    from FractureSegmentationLib.mrml.segmentation import show_fragments
    from FractureSegmentationLib.volume import LabelVolume

    labels = np.zeros(_SHAPE, np.uint16)
    labels[4:20, 8:24, 4:20] = 51
    labels[4:20, 8:24, 20:34] = 52
    geometry = Geometry(shape=_SHAPE, spacing_mm=(1.0, 1.0, 1.0))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fragments")
    show_fragments(node, Fragments.of(LabelVolume(voxels=labels, geometry=geometry)))
    return node
